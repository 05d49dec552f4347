#!/usr/bin/env python3
"""Writes the table of fingerprints by which `portcullis report` guesses what a client is, from clients as they are.

    tests/corpus/known.py --root TRIXIE --node NODE24 [--keep-going] [--out FILE]

Runs each client of FINGERPRINTS against a listener that only reads, has tshark say what is hashed in its JA4, and writes
crates/proxy/src/report/clients.tsv: a fingerprint and a name a line, as sent and as sent again to resume a session. What
`--root` and `--node` are stands in capture.py; tests/peers/install.sh makes both (PEERS/trixie and PEERS/node/bin/node).
A client that is not there is an error, unless --keep-going leaves its lines as they are.
"""

import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

import capture
import reading
from clients import CHROMIUM, CURL, HERE, NAME, NAMED, NODE, PYTHON, ROOT

TABLE = pathlib.Path(__file__).resolve().parents[2] / "crates/proxy/src/report/clients.tsv"
HEAD = "# Fingerprints of real clients; written by tests/corpus/known.py, not by hand\n"
PSK = 0x0029
GREASE = {f"{n:x}a{n:x}a" for n in range(16)}

GNUTLS = ["gnutls-cli", "--insecure", "--sni-hostname", NAME, "-p", "{port}", "127.0.0.1"]
JAVA = ["java", "{java}", "127.0.0.1", "{port}", NAME]
WGET = ["wget", "-q", "-O", "/dev/null", "-T", "5", "-t", "1", "https://localhost:{port}/"]
TSTCLNT = ["tstclnt", "-h", "127.0.0.1", "-p", "{port}", "-a", NAME, "-D", "-o"]
FIREFOX = ["firefox-esr", "--headless", "--no-remote", "--profile", "{profile}", "https://localhost:{port}/"]
PSQL = ["psql", "host=localhost port={port} user=x sslmode=require sslnegotiation=direct connect_timeout=5"]
FETCH = "fetch(\"https://localhost:{port}/\").catch(() => 0)"
OPENSSL_VERSION, CURL_VERSION = ["openssl", "version"], ["curl", "--version"]

# A name with its version in it, what prints the version, what makes it connect to 127.0.0.1:{port}, where it runs.
FINGERPRINTS = [
    ("OpenSSL {0}.{1}", OPENSSL_VERSION, NAMED, ROOT),
    ("OpenSSL {0}.{1}", OPENSSL_VERSION, NAMED + ["-tls1_3"], ROOT),
    ("OpenSSL {0}.{1}", OPENSSL_VERSION, NAMED + ["-tls1_2"], ROOT),
    ("OpenSSL {0}.{1}", OPENSSL_VERSION, NAMED, HERE),
    ("OpenSSL {0}.{1}", OPENSSL_VERSION, NAMED + ["-tls1_3"], HERE),
    ("OpenSSL {0}.{1}", OPENSSL_VERSION, NAMED + ["-tls1_2"], HERE),
    ("curl {0}.{1}", CURL_VERSION, CURL, ROOT),
    ("curl {0}.{1}", CURL_VERSION, CURL, HERE),
    ("Python {0}.{1}", ["python3", "--version"], ["python3", "-c", PYTHON], ROOT),
    ("Python {0}.{1}", ["python3", "--version"], ["python3", "-c", PYTHON], HERE),
    ("Node {0}", ["{node}", "--version"], ["{node}", "-e", NODE], HERE),
    ("Node {0} (fetch)", ["{node}", "--version"], ["{node}", "-e", FETCH], HERE),
    ("Node {0}", ["node", "--version"], ["node", "-e", NODE], HERE),
    ("Node {0} (fetch)", ["node", "--version"], ["node", "-e", FETCH], HERE),
    ("Go {0}.{1}", ["{scratch}/hello-go", "version"], ["{scratch}/hello-go", "127.0.0.1:{port}", NAME], HERE),
    ("Java {0}", ["java", "--version"], JAVA, ROOT),
    ("Java {0}", ["java", "--version"], JAVA, HERE),
    ("GnuTLS {0}.{1}", ["gnutls-cli", "--version"], GNUTLS, ROOT),
    ("GnuTLS {0}.{1}", ["gnutls-cli", "--version"], GNUTLS, HERE),
    ("wget {0}.{1}", ["wget", "--version"], WGET, ROOT),
    ("wget {0}.{1}", ["wget", "--version"], WGET, HERE),
    ("NSS {0}.{1}", ["dpkg-query", "-Wf", "${{Version}}", "libnss3-tools"], TSTCLNT, ROOT),
    ("Firefox {0}", ["firefox-esr", "--version"], FIREFOX, ROOT),
    ("psql {0}", ["psql", "--version"], PSQL, ROOT),
    ("Chromium {0}", ["chromium", "--version"], CHROMIUM, HERE),
]


def main():
    args = arguments()
    rows, missing = [], []
    scratch = pathlib.Path("/tmp") / f"portcullis-known-{os.getpid()}"
    with Machine(args, scratch) as machine:
        for name, version, command, place in FINGERPRINTS:
            try:
                called = name.format(*numbers(machine, version, place))
                prints = fingerprints(machine, hello(machine, command, place))
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                missing.append(name)
                print(f"{name} ({place}): {error}", file=sys.stderr)
                continue
            print(f"{called} ({place}): {prints[0]}")
            rows += [(ja4, called) for ja4 in prints]
    if missing and not args.keep_going:
        return 1
    if missing:
        rows += [tuple(line.split("\t")) for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    args.out.write_text(HEAD + "".join(f"{ja4}\t{name}\n" for ja4, name in dict.fromkeys(rows)))
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, required=True, help="root of a Debian trixie")
    parser.add_argument("--node", default="node", help="a Node.js 24")
    parser.add_argument("--keep-going", action="store_true", help="keep the lines of what is not there")
    parser.add_argument("--out", type=pathlib.Path, default=TABLE, help="the table")
    return parser.parse_args()


class Machine(capture.Machine):
    """The same, for programs that also want /proc and /dev in their root, and a file that both sides see."""

    def command(self, argv, place, port=0):
        words = super().command(argv, place, port)
        if place != ROOT:
            return words
        mounts = 'for m in proc dev; do mount --bind "/$m" "$0/$m"; done; exec "$@"'
        return ["unshare", "--mount", "sh", "-ec", mounts, str(self.root), *words]

    def words(self, word, port):
        return super().words(word, port) | {"java": self.scratch / "Hello.java", "profile": self.scratch / "profile"}

    def __enter__(self):
        """Puts what both sides of the chroot need where both call it the same."""
        for place in self.places():
            (place / "profile").mkdir(parents=True)
            source = pathlib.Path(__file__).with_name("Hello.java")
            (place / "Hello.java").write_bytes(source.read_bytes())
        return self

    def __exit__(self, *_):
        for place in self.places():
            shutil.rmtree(place, ignore_errors=True)

    def places(self):
        return [self.scratch, self.root / self.scratch.relative_to("/")]


def numbers(machine, version, place):
    """The numbers of the version that a program prints."""
    run = subprocess.run(machine.command(version, place), capture_output=True, text=True, timeout=60)
    found = re.search(r"(?:\d+:)?(\d+)\.(\d+)", run.stdout)
    if run.returncode or not found:
        raise RuntimeError(f"prints no version: {run.stderr.strip() or run.stdout.strip()}")
    return found.groups()


def hello(machine, command, place):
    """The first flight of a client that nobody answers."""
    with capture.socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        argv = machine.command(command, place, listener.getsockname()[1])
        client = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True, **capture.QUIET)
        try:
            flight = capture.first_hello(listener)
        finally:
            os.killpg(client.pid, 9)
            client.wait()
    if not flight:
        raise RuntimeError("sent no hello")
    return flight


def fingerprints(machine, flight):
    """The JA4 of a hello, and of the same with a session to resume."""
    capture_file = reading.pcap(flight, reading.CLIENT)
    raw = reading.lines(machine.tshark(), capture_file, [("ja4_r", "tls.handshake.ja4_r", str)])[0]
    head, ciphers, extensions, *schemes = raw.split(" ", 1)[1].split("_")
    # GREASE is ignored wherever it stands; Wireshark 4.4 does not ignore it here
    schemes = [",".join(scheme for scheme in part.split(",") if scheme not in GREASE) for part in schemes]
    listed = extensions.split(",")
    again = sorted({*listed, f"{PSK:04x}"})
    heads = [head, f"{head[:6]}{int(head[6:8]) + len(again) - len(listed):02}{head[8:]}"]
    made = [
        "_".join([head, shortened(ciphers), shortened("_".join([",".join(part), *schemes]))])
        for head, part in zip(heads, [listed, again])
    ]
    return made if head[1:3] == "13" else made[:1]


def shortened(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12


if __name__ == "__main__":
    sys.exit(main())
