#!/usr/bin/env python3
"""Saves the ClientHello of each client in clients.py, as bytes and as Wireshark reads it.

    tests/corpus/capture.py --root TRIXIE --node NODE24 [--only NAME ...]

Writes crates/wire/testdata/hellos/NAME.bin (the TLS records of the first flight), expected.txt (what tshark makes of
them: a reading that owes nothing to our parser) and README.md; then sends some of them to servers and saves the first
record of each answer in testdata/answers in the same way. Everything happens on 127.0.0.1. TRIXIE is the root of
a Debian trixie with openssl, curl, python3, gnutls-bin, golang-go and tshark; its programs run by chroot, so this runs as root.
"""

import argparse
import datetime
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

import reading
from clients import CLIENTS, ROOT, SERVERS

TESTDATA = pathlib.Path(__file__).resolve().parents[2] / "crates/wire/testdata"
HELLOS, ANSWERS = TESTDATA / "hellos", TESTDATA / "answers"
PATIENCE = 15.0
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
CHROOT_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"


def main():
    args = arguments()
    HELLOS.mkdir(parents=True, exist_ok=True)
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        machine = Machine(args, pathlib.Path(scratch))
        rows = read_rows()
        for name, version, command, place in CLIENTS:
            if args.only and name not in args.only:
                continue
            try:
                rows[name] = capture(machine, name, version, command, place)
                print(f"{name}: {rows[name][0]}")
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                failed.append(name)
                print(f"{name}: {error}", file=sys.stderr)
        write_rows(rows)
        reading.write(HELLOS, list(rows), machine.tshark())
        if not args.only:
            answers(machine)
    return 1 if failed else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, required=True, help="root of a Debian trixie")
    parser.add_argument("--node", default="node", help="a Node.js 24")
    parser.add_argument("--only", nargs="*", help="names of clients")
    return parser.parse_args()


class Machine:
    """Where clients run, and what they need prepared."""

    def __init__(self, args, scratch):
        self.root, self.node, self.scratch = args.root, args.node, scratch
        self.session = None

    def command(self, argv, place, port=0):
        argv = [word.format(**self.words(word, port)) for word in argv]
        return ["chroot", str(self.root), "/usr/bin/env", CHROOT_PATH, *argv] if place == ROOT else argv

    def words(self, word, port):
        if "hello-go" in word:
            self.build_go()
        if "{session}" in word:
            self.make_session()
        return {"port": port, "scratch": self.scratch, "node": self.node, "session": self.session}

    def tshark(self):
        return self.command(["tshark"], ROOT)

    def build_go(self):
        binary = self.scratch / "hello-go"
        if binary.exists():
            return
        source = pathlib.Path(__file__).with_name("hello.go")
        (self.root / "tmp/hello.go").write_bytes(source.read_bytes())
        env = [CHROOT_PATH, "HOME=/tmp", "GOROOT=/usr/lib/go-1.24", "CGO_ENABLED=0", "GOTOOLCHAIN=local"]
        build = ["go", "build", "-o", "/tmp/hello-go", "/tmp/hello.go"]
        run = ["chroot", str(self.root), "/usr/bin/env", *env, *build]
        subprocess.run(run, check=True, stderr=subprocess.DEVNULL)
        binary.write_bytes((self.root / "tmp/hello-go").read_bytes())
        binary.chmod(0o755)

    def make_session(self):
        """A TLS 1.3 session with a ticket, from a server of the same OpenSSL."""
        if self.session:
            return
        with Server(self, ROOT, ["-early_data"]) as port:
            client = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "shop.example.com",
                      "-sess_out", "/tmp/session.pem"]
            talk = subprocess.Popen(self.command(client, ROOT), stdin=subprocess.PIPE, **QUIET)
            time.sleep(1)  # the ticket comes after the handshake
            talk.communicate(b"Q\n", timeout=PATIENCE)
        self.session = "/tmp/session.pem"


class Server:
    """OpenSSL's server with a certificate of its own, while the `with` lasts; its port."""

    def __init__(self, machine, place, options):
        self.machine, self.place, self.options = machine, place, options

    def __enter__(self):
        folder = "/tmp" if self.place == ROOT else self.machine.scratch
        key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=localhost", "-keyout", key, "-out", certificate]
        subprocess.run(self.machine.command(make, self.place), check=True, **QUIET)
        port = free_port()
        serve = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key, "-quiet",
                 *self.options]
        self.process = subprocess.Popen(self.machine.command(serve, self.place), stdin=subprocess.PIPE, **QUIET)
        wait_for(port)
        return port

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def answers(machine):
    """What servers say to some of the hellos: the first record."""
    ANSWERS.mkdir(exist_ok=True)
    for name, hello, options, place in SERVERS:
        with Server(machine, place, options) as port, socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
            peer.sendall((HELLOS / f"{hello}.bin").read_bytes())
            header = peer.recv(5, socket.MSG_WAITALL)
            payload = peer.recv(int.from_bytes(header[3:]), socket.MSG_WAITALL)
        (ANSWERS / f"{name}.bin").write_bytes(header + payload)
    reading.write(ANSWERS, [name for name, *_ in SERVERS], machine.tshark(), reading.ANSWER, reading.SERVER)
    head = (
        "# Answers of real servers\n\n"
        "The first record that `openssl s_server` sent to a hello of the corpus; taken by `tests/corpus/capture.py`.\n"
        "`expected.txt` is tshark's reading of them. OpenSSL 3.5.7 unless the name says 3.0.\n\n"
        "| name | hello | options of the server |\n|---|---|---|\n"
    )
    rows = "".join(f"| `{name}` | {hello} | `{' '.join(options)}` |\n" for name, hello, options, _ in SERVERS)
    (ANSWERS / "README.md").write_text(head + rows.replace("``", ""))


def capture(machine, name, version, command, place):
    """Runs one client against a listener that only reads; the row for the table."""
    printed = subprocess.run(machine.command(version, place), capture_output=True, text=True, check=True, timeout=PATIENCE)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        argv = machine.command(command, place, listener.getsockname()[1])
        client = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True, **QUIET)
        try:
            flight = first_hello(listener)
        finally:
            os.killpg(client.pid, 15)
            client.wait(PATIENCE)
    (HELLOS / f"{name}.bin").write_bytes(flight)
    line = next(line for line in printed.stdout.splitlines() if line.strip())
    return version_of(line), datetime.date.today().isoformat(), shown(command)


def shown(command):
    """The command for the table, without what only this machine knows."""
    stand_in = {"port": "PORT", "scratch": "SCRATCH", "node": "node", "session": "SESSION"}
    return " ".join(f"'{word}'" if " " in word else word for word in (word.format(**stand_in) for word in command))


def version_of(line):
    """The program and its version, without build details."""
    return re.sub(r" *\(.*| built on.*|libcurl.*", "", line).strip()


def first_hello(listener):
    """The records that carry the first handshake message, and nothing after them."""
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(PATIENCE)
            buffer = b""
            while (end := end_of_hello(buffer)) is None:
                got = connection.recv(65536)
                if not got:
                    break
                buffer += got
            if end:
                return buffer[:end]


def end_of_hello(buffer):
    """Where the record ends that completes the hello; None while it is not whole."""
    message, at = b"", 0
    while len(buffer) >= at + 5:
        length = int.from_bytes(buffer[at + 3:at + 5])
        if len(buffer) < at + 5 + length:
            return None
        message += buffer[at + 5:at + 5 + length]
        at += 5 + length
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4]):
            return at
    return None


def read_rows():
    """What earlier runs captured."""
    readme = HELLOS / "README.md"
    lines = readme.read_text().splitlines() if readme.exists() else []
    cells = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {row[0]: tuple(row[1:]) for row in cells}


def write_rows(rows):
    """README.md, in the order of the table of clients."""
    head = (
        "# Hellos of real clients\n\n"
        "Captured on loopback by `tests/corpus/capture.py`; one file `NAME.bin` each, the TLS records as they came.\n"
        "`expected.txt` is tshark's reading of them. The tests and the fuzz targets share them.\n\n"
        "| name | client | date | command |\n|---|---|---|---|\n"
    )
    order = [name for name, *_ in CLIENTS if name in rows]
    body = "".join(f"| `{name}` | {rows[name][0]} | {rows[name][1]} | `{rows[name][2]}` |\n" for name in order)
    (HELLOS / "README.md").write_text(head + body)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


if __name__ == "__main__":
    sys.exit(main())
