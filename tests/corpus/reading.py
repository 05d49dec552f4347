"""What Wireshark reads in each hello and answer: the witness against our own parser."""

import json
import struct
import subprocess

# line in expected.txt, tshark's field, how its value is written
HELLO = [
    ("len", "tls.handshake.length", lambda value: str(int(value) + 4)),
    ("legacy_version", "tls.handshake.version", lambda value: f"{int(value, 16):#06x}"),
    ("ciphers", "tls.handshake.ciphersuite", lambda value: f"{int(value, 16):#06x}"),
    ("extensions", "tls.handshake.extension.type", str),
    ("sni", "tls.handshake.extensions_server_name", str),
    ("alpn", "tls.handshake.extensions_alpn_str", str),
    ("versions", "tls.handshake.extensions.supported_version", lambda value: f"{int(value, 16):#06x}"),
    ("groups", "tls.handshake.extensions_supported_group", lambda value: f"{int(value, 16):#06x}"),
    ("shares", "tls.handshake.extensions_key_share_group", lambda value: f"{int(value):#06x}"),
    ("share_lengths", "tls.handshake.extensions_key_share_key_exchange_length", str),
    ("schemes", "tls.handshake.sig_hash_alg", lambda value: f"{int(value, 16):#06x}"),
    ("psk_identities", "tls.handshake.extensions.psk.identity.identity_length", str),
    ("ja4", "tls.handshake.ja4", str),
    ("ja4_r", "tls.handshake.ja4_r", str),
]


ANSWER = [
    ("version", "tls.handshake.version", lambda value: f"{int(value, 16):#06x}"),
    ("cipher", "tls.handshake.ciphersuite", lambda value: f"{int(value, 16):#06x}"),
    ("supported_version", "tls.handshake.extensions.supported_version", lambda value: f"{int(value, 16):#06x}"),
    ("group", "tls.handshake.extensions_key_share_group", lambda value: f"{int(value):#06x}"),
    ("retry_group", "tls.handshake.extensions_key_share_selected_group", lambda value: f"{int(value):#06x}"),
    ("alert", "tls.alert_message.desc", str),
]

CLIENT, SERVER = 40000, 443


def write(folder, names, tshark, fields=HELLO, sender=CLIENT):
    """Writes expected.txt for the messages of these names; `tshark` is the command that runs Wireshark 4.2 or later,
    which knows JA4."""
    parts = ["# tshark's reading of each message; written by tests/corpus\n"]
    for name in names:
        parts.append(f"\n[{name}]\n")
        flight = (folder / f"{name}.bin").read_bytes()
        parts += [f"{line}\n" for line in lines(tshark, pcap(flight, sender), fields)]
    (folder / "expected.txt").write_text("".join(parts))


def lines(tshark, capture, fields):
    """One line for each field that is there: its name and its values."""
    command = [*tshark, "-r", "-", "-d", f"tcp.port=={SERVER},tls", "-T", "json"]
    for _, field, _ in fields:
        command += ["-e", field]
    out = subprocess.run(command, input=capture, capture_output=True, check=True).stdout
    found = {}
    for packet in json.loads(out):
        for field, values in packet["_source"].get("layers", {}).items():
            found.setdefault(field, []).extend(values)
    if not found:
        raise RuntimeError("tshark sees no message")
    return [" ".join([line, *map(form, found[field])]) for line, field, form in fields if field in found]


def pcap(flight, sender):
    """A capture of one TCP connection on which one side sent these bytes."""
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)  # 101: raw IP
    packets = [segment(sender, 0, 0x02, b"")]
    for at in range(0, len(flight), 1400):
        packets.append(segment(sender, 1 + at, 0x18, flight[at:at + 1400]))
    return head + b"".join(struct.pack("<IIII", i, 0, len(p), len(p)) + p for i, p in enumerate(packets))


def segment(sender, sequence, flags, payload):
    receiver = CLIENT + SERVER - sender
    tcp = struct.pack(">HHIIBBHHH", sender, receiver, sequence, 0, 0x50, flags, 65535, 0, 0)
    address = bytes([127, 0, 0, 1])
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0) + address + address
    return ip + tcp + payload
