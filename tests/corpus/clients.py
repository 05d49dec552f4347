"""The tables of clients whose hellos make the corpus, and of servers that answer some of them.

Each row: a name, what prints the client's version, what makes it connect to 127.0.0.1:{port}, and where it runs: on
this machine, or inside the root of a newer Debian (trixie) given with --root.
"""

NAME = "shop.example.com"

PYTHON = (
    "import socket, ssl; s = socket.create_connection((\"127.0.0.1\", {port})); "
    "ssl.create_default_context().wrap_socket(s, server_hostname=\"" + NAME + "\")"
)
NODE = (
    "require(\"tls\").connect({{host: \"127.0.0.1\", port: {port}, servername: \"" + NAME + "\"}})"
    ".on(\"error\", () => 0)"
)

OPENSSL = ["openssl", "s_client", "-connect", "127.0.0.1:{port}"]
NAMED = OPENSSL + ["-servername", NAME]
CURL = ["curl", "-s", "-m", "5", "--resolve", NAME + ":{port}:127.0.0.1", "https://" + NAME + ":{port}/"]
CHROMIUM = [
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--user-data-dir={scratch}/chromium", "--host-resolver-rules=MAP " + NAME + " 127.0.0.1",
    "--dump-dom", "https://" + NAME + ":{port}/",
]

HERE, ROOT = "here", "root"


def groups(name, value):
    """OpenSSL 3.5 asked for one list of groups."""
    return ("openssl35-" + name, ["openssl", "version"], NAMED + ["-groups", value], ROOT)


CLIENTS = [
    ("openssl35", ["openssl", "version"], NAMED, ROOT),
    ("openssl35-no-name", ["openssl", "version"], OPENSSL + ["-noservername"], ROOT),
    ("openssl35-alpn", ["openssl", "version"], NAMED + ["-alpn", "h2,http/1.1"], ROOT),
    ("openssl35-tls13", ["openssl", "version"], NAMED + ["-tls1_3"], ROOT),
    ("openssl35-tls12", ["openssl", "version"], NAMED + ["-tls1_2"], ROOT),
    ("openssl35-tls10", ["openssl", "version"], NAMED + ["-tls1", "-cipher", "ALL@SECLEVEL=0"], ROOT),
    ("openssl35-many-records", ["openssl", "version"], NAMED + ["-max_send_frag", "512"], ROOT),
    ("openssl35-mldsa-only", ["openssl", "version"], NAMED + ["-sigalgs", "mldsa44:mldsa65:mldsa87"], ROOT),
    ("openssl35-resumed", ["openssl", "version"], NAMED + ["-sess_in", "{session}"], ROOT),
    ("openssl35-early-data", ["openssl", "version"],
     NAMED + ["-sess_in", "{session}", "-early_data", "/etc/hostname"], ROOT),
    groups("x25519mlkem768", "X25519MLKEM768"),
    groups("secp256r1mlkem768", "SecP256r1MLKEM768"),
    groups("secp384r1mlkem1024", "SecP384r1MLKEM1024"),
    groups("mlkem768", "MLKEM768"),
    groups("mlkem1024", "MLKEM1024"),
    groups("mlkem512", "MLKEM512"),
    groups("x25519", "X25519"),
    groups("p521", "P-521"),
    groups("ffdhe2048", "ffdhe2048"),
    groups("pq-listed-x25519-shared", "X25519MLKEM768:*X25519"),
    groups("three-shares", "*X25519MLKEM768:*SecP256r1MLKEM768:*SecP384r1MLKEM1024:X25519"),
    ("curl814", ["curl", "--version"], CURL, ROOT),
    ("python313", ["python3", "--version"], ["python3", "-c", PYTHON], ROOT),
    ("gnutls38", ["gnutls-cli", "--version"],
     ["gnutls-cli", "--insecure", "--sni-hostname", NAME, "-p", "{port}", "127.0.0.1"], ROOT),
    ("go124", ["{scratch}/hello-go", "version"], ["{scratch}/hello-go", "127.0.0.1:{port}", NAME], HERE),
    ("node24", ["{node}", "--version"], ["{node}", "-e", NODE], HERE),
    ("node20", ["node", "--version"], ["node", "-e", NODE], HERE),
    ("openssl30", ["openssl", "version"], NAMED, HERE),
    ("curl788", ["curl", "--version"], CURL, HERE),
    ("python311", ["python3", "--version"], ["python3", "-c", PYTHON], HERE),
    ("gnutls37", ["gnutls-cli", "--version"],
     ["gnutls-cli", "--insecure", "--sni-hostname", NAME, "-p", "{port}", "127.0.0.1"], HERE),
    ("chromium", ["chromium", "--version"], CHROMIUM, HERE),
]

# A name, the hello that is sent, the server's options, and where it runs.
SERVERS = [
    ("hybrid", "openssl35", [], ROOT),
    ("hybrid-chromium", "chromium", [], ROOT),
    ("hybrid-p384", "openssl35-secp384r1mlkem1024", ["-groups", "SecP384r1MLKEM1024"], ROOT),
    ("pure-mlkem1024", "openssl35-mlkem1024", ["-groups", "MLKEM1024"], ROOT),
    ("classical", "openssl35-x25519", [], ROOT),
    ("classical-30", "openssl35", [], HERE),
    ("retry", "openssl35-pq-listed-x25519-shared", [], ROOT),
    ("retry-classical", "openssl35", ["-groups", "P-384"], ROOT),
    ("tls12", "openssl35-tls12", [], ROOT),
    ("alert-no-common-group", "openssl35-mlkem512", ["-groups", "X25519"], ROOT),
    ("alert-version", "openssl35-tls12", ["-tls1_3"], ROOT),
]
