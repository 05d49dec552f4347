"""A WebSocket over HTTP/2 (RFC 8441) by the library h2, and the server `websockets` behind the proxy."""
import asyncio
import os
import socket
import struct
import sys

MESSAGES = [b"hello", b"x" * 70000, b"", b"last"]


def serve():
    from websockets.asyncio.server import serve

    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async def run():
        async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
            print(server.sockets[0].getsockname()[1], flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    asyncio.run(run())


def masked(opcode, payload):
    """A frame of RFC 6455 5.2, as clients send them."""
    key = os.urandom(4)
    if len(payload) < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | len(payload))
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, len(payload))
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


class Stream:
    def __init__(self, address):
        from h2.config import H2Configuration
        from h2.connection import H2Connection

        self.socket = socket.create_connection(address, timeout=60)
        self.h2 = H2Connection(H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.came = b""
        self.events = []
        self.flush()
        self.until("RemoteSettingsChanged")

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def pump(self):
        for event in self.h2.receive_data(self.socket.recv(65536)):
            self.events.append(event)
            if type(event).__name__ == "DataReceived":
                self.came += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()

    def until(self, name):
        while True:
            for event in self.events:
                if type(event).__name__ == name:
                    self.events.remove(event)
                    return event
            self.pump()

    def send(self, data):
        while data:
            room = min(self.h2.local_flow_control_window(1), self.h2.max_outbound_frame_size, len(data))
            if room == 0:
                self.pump()
                continue
            self.h2.send_data(1, data[:room])
            data = data[room:]
            self.flush()

    def exactly(self, count):
        while len(self.came) < count:
            self.pump()
        taken, self.came = self.came[:count], self.came[count:]
        return taken

    def message(self):
        first, length = self.exactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", self.exactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.exactly(8))
        return first & 15, self.exactly(length)


def ask(address):
    host, port = address.rsplit(":", 1)
    stream = Stream((host, int(port)))
    assert stream.h2.remote_settings.enable_connect_protocol == 1, "it is announced"
    head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat"),
            (":authority", address), ("sec-websocket-version", "13")]
    stream.h2.send_headers(1, head)
    stream.flush()
    answer = dict(stream.until("ResponseReceived").headers)
    assert answer[b":status"] == b"200", answer
    assert b"sec-websocket-accept" not in answer, answer
    for message in MESSAGES:
        stream.send(masked(2, message))
        assert stream.message() == (2, message), len(message)
    stream.send(masked(8, struct.pack("!H", 1000)))
    assert stream.message() == (8, struct.pack("!H", 1000))
    stream.h2.end_stream(1)
    stream.flush()
    stream.until("StreamEnded")
    print("all came back")


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else ask(sys.argv[2])
