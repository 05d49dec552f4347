"""Clients of HTTP/2 by `httpx` and by hyper's `h2`, through a proxy before server.js. Arguments: URL, CA or `none`."""
import asyncio
import hashlib
import json
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events
import h2.settings
import httpx

URL, CA = sys.argv[1:3]
HOST, PORT = URL.split("//")[1].split(":")
LARGE = b"large " * 1_000_000
PIECES = [b"%d " % n * 997 for n in range(700)]


class Talk:
    """One connection, and what came of each stream."""

    def __init__(self, settings=None):
        plain = socket.create_connection((HOST, int(PORT)), 30)
        if CA != "none":
            context = ssl.create_default_context(cafile=CA)
            context.set_alpn_protocols(["h2"])
            plain = context.wrap_socket(plain, server_hostname=HOST)
            assert plain.selected_alpn_protocol() == "h2"
        plain.settimeout(30)
        self.socket = plain
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        if settings:
            self.h2.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.h2.initiate_connection()
        self.heads, self.bodies, self.trailers, self.ended, self.resets = {}, {}, {}, set(), {}
        self.acknowledge = True
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def ask(self, method, path, fields=(), end=True):
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", URL.split(":")[0]), (":authority", f"{HOST}:{PORT}"), (":path", path)]
        self.h2.send_headers(stream, head + list(fields), end_stream=end)
        self.flush()
        return stream

    def hear(self):
        """Takes what comes next."""
        data = self.socket.recv(65536)
        assert data, "the connection is closed"
        for event in self.h2.receive_data(data):
            stream = getattr(event, "stream_id", None)
            if isinstance(event, h2.events.ResponseReceived):
                self.heads[stream] = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[stream] = self.bodies.get(stream, b"") + event.data
                if self.acknowledge:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers[stream] = dict(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(stream)
            elif isinstance(event, h2.events.StreamReset):
                self.resets[stream] = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                raise AssertionError(event)
        self.flush()

    def until(self, holds):
        while not holds():
            self.hear()

    def send(self, stream, data, end=False):
        """As much at once as the windows let it."""
        while data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(data))
            if not room:
                self.hear()
                continue
            self.h2.send_data(stream, data[:room])
            self.flush()
            data = data[room:]
        if end:
            self.h2.end_stream(stream)
            self.flush()

    def whole(self, stream):
        self.until(lambda: stream in self.ended)
        return self.bodies.get(stream, b"")


def bodies_stream_both_ways():
    talk = Talk()
    stream = talk.ask("POST", "/echo", end=False)
    for n in range(100):  # what comes back is awaited before the next goes
        talk.send(stream, b"%d," % n)
        talk.until(lambda: talk.bodies.get(stream, b"").endswith(b"%d," % n))
    assert stream not in talk.ended
    talk.send(stream, b"", end=True)
    assert talk.whole(stream) == b"".join(b"%d," % n for n in range(100))
    assert talk.heads[stream][":status"] == "200"


def trailers_pass_both_ways():
    talk = Talk()
    stream = talk.ask("GET", "/trailers", [("te", "trailers")])
    assert talk.whole(stream) == b"body"
    assert talk.trailers[stream] == {"x-sum": "42"}, talk.trailers
    stream = talk.ask("POST", "/sum", end=False)
    talk.send(stream, b"abc")
    talk.h2.send_headers(stream, [("x-mine", "7")], end_stream=True)
    talk.flush()
    assert json.loads(talk.whole(stream))["trailers"] == {"x-mine": "7"}


def cancelled_streams_reach_the_server_and_no_other_stream():
    talk = Talk()
    hanging = talk.ask("GET", "/hang?1")
    dripping = talk.ask("GET", "/drip?2")
    talk.until(lambda: talk.bodies.get(dripping, b"").count(b"\n") > 3)
    for stream in (hanging, dripping):
        talk.h2.reset_stream(stream, 8)
    talk.flush()
    after = talk.ask("GET", "/after")
    assert json.loads(talk.whole(after))["url"] == "/after"
    assert not talk.resets, talk.resets


def five_hundred_streams_are_answered_each_with_its_own():
    talk = Talk()
    asked, most = {}, 0
    for n in range(500):
        talk.until(lambda: talk.h2.open_outbound_streams < 90)
        asked[talk.ask("POST", f"/many?{n}", end=False)] = n
        talk.send(list(asked)[-1], b"%d" % n, end=True)
        most = max(most, talk.h2.open_outbound_streams)
    talk.until(lambda: len(talk.ended) == 500)
    for stream, n in asked.items():
        told = json.loads(talk.bodies[stream])
        assert (told["url"], told["length"]) == (f"/many?{n}", len(str(n))), told
        assert told["sha256"] == hashlib.sha256(b"%d" % n).hexdigest()
    assert most > 20, most


def a_reader_without_room_gets_what_it_gives_room_for():
    # windows of 1000 bytes, opened by hand; another stream goes on meanwhile
    talk = Talk({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1000})
    talk.acknowledge = False
    stream = talk.ask("GET", "/large")
    got = lambda: len(talk.bodies.get(stream, b""))
    talk.until(lambda: got() == 1000)
    other = talk.ask("GET", "/other")
    talk.h2.increment_flow_control_window(4000, other)
    talk.flush()
    assert json.loads(talk.whole(other))["url"] == "/other"
    assert got() == 1000, got()
    for size in (1, 999, 50_000):
        before = got()
        talk.h2.increment_flow_control_window(size, stream)
        talk.flush()
        talk.until(lambda: got() == before + size)
    talk.h2.increment_flow_control_window(30_000_000)
    talk.h2.increment_flow_control_window(30_000_000, stream)
    talk.flush()
    assert talk.whole(stream) == LARGE


def a_window_that_shrinks_below_nothing_holds():
    # RFC 9113 6.9.2
    talk = Talk({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 16000})
    talk.acknowledge = False
    stream = talk.ask("GET", "/large")
    talk.until(lambda: len(talk.bodies.get(stream, b"")) == 16000)
    talk.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    talk.h2.increment_flow_control_window(16_000, stream)  # it stands at nothing again
    talk.flush()
    other = talk.ask("HEAD", "/other")
    talk.whole(other)
    assert len(talk.bodies[stream]) == 16000
    talk.h2.increment_flow_control_window(10, stream)
    talk.flush()
    talk.until(lambda: len(talk.bodies[stream]) >= 16010)
    assert len(talk.bodies[stream]) == 16010


def httpx_streams_both_ways():
    async def main():
        verify = ssl.create_default_context(cafile=CA) if CA != "none" else False
        async with httpx.AsyncClient(http1=False, http2=True, verify=verify, base_url=URL, timeout=30, trust_env=False) as client:
            async def pieces():
                for piece in PIECES:
                    yield piece
                    await asyncio.sleep(0)

            whole = b"".join(PIECES)
            answer = await client.post("/echo", content=pieces())
            assert answer.http_version == "HTTP/2" and answer.content == whole
            told = (await client.put("/sum", content=whole)).json()
            assert told["sha256"] == hashlib.sha256(whole).hexdigest()
            async with client.stream("GET", "/large") as answer:
                digest = hashlib.sha256()
                async for piece in answer.aiter_bytes(1 << 16):
                    digest.update(piece)
                assert digest.hexdigest() == hashlib.sha256(LARGE).hexdigest()
            answers = await asyncio.gather(*(client.get(f"/many?{n}") for n in range(300)))
            assert [answer.json()["url"] for answer in answers] == [f"/many?{n}" for n in range(300)]
            # last: it forgets a stream that it leaves without ending it, and then opens one more than it may
            async with client.stream("GET", "/drip?3") as answer:
                async for _ in answer.aiter_bytes():
                    break  # and go
    asyncio.run(main())


for part in (
    bodies_stream_both_ways,
    trailers_pass_both_ways,
    cancelled_streams_reach_the_server_and_no_other_stream,
    five_hundred_streams_are_answered_each_with_its_own,
    a_reader_without_room_gets_what_it_gives_room_for,
    a_window_that_shrinks_below_nothing_holds,
    httpx_streams_both_ways,
):
    part()
    print(part.__name__, flush=True)
