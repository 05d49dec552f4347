"""An echo server, and a client that proves one, by the library `websockets`.

Arguments: `serve`, or `ask URL [CA]`. The server closes as it is told by `close CODE REASON`.
"""
import asyncio
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

MOST = 64 << 20
# Where the length of a frame is written differently (RFC 6455 5.2), and whole windows of everything between.
SIZES = (0, 1, 125, 126, 127, 65535, 65536, 65537, 1 << 20, 16 << 20)


async def echo(socket):
    try:
        async for message in socket:
            if message[:6] == "close ":
                _, code, reason = message.split(" ", 2)
                return await socket.close(int(code), reason)
            await socket.send(message)
    except ConnectionClosed:
        pass


async def serving():
    async with serve(echo, "127.0.0.1", 0, max_size=MOST) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def sizes(dial):
    for compression in ("deflate", None):
        async with dial(compression=compression) as socket:
            for size in SIZES:
                data = bytes(n * 7 % 251 for n in range(min(size, 4096)))
                data = (data * (size // 4096 + 1))[:size]
                for message in (data, data.hex()[:size]):
                    await socket.send(message)
                    assert await socket.recv() == message, (compression, size)


async def fragments(dial):
    async with dial() as socket:
        pieces = ["one", "", "zwei ü", "x" * 70000]
        await socket.send(pieces)
        assert await socket.recv() == "".join(pieces)
        for count in (1, 100):
            await socket.send([b"%d " % n for n in range(count)])
            assert await socket.recv() == b"".join(b"%d " % n for n in range(count))


async def pings(dial):
    async with dial() as socket:
        for data in (b"", b"p", b"p" * 125):
            took = await asyncio.wait_for(await socket.ping(data), 30)
            assert took >= 0
        # between two pieces of one message
        async def pieces():
            yield b"first "
            await (await socket.ping(b"between"))
            yield b"last"
        await socket.send(pieces())
        assert await socket.recv() == b"first last"


async def closes(dial):
    for code, reason in ((1000, ""), (1001, "going"), (1003, "ü" * 61), (1011, "failed"), (3000, "ours"), (4999, "x" * 123)):
        async with dial() as socket:
            await socket.close(code, reason)
            assert (socket.close_code, socket.close_reason) == (code, reason), socket.close_code
        async with dial() as socket:
            await socket.send(f"close {code} {reason}")
            try:
                raise AssertionError(await socket.recv())
            except ConnectionClosed as closed:
                assert closed.rcvd_then_sent, closed
                assert (closed.rcvd.code, closed.rcvd.reason) == (code, reason), closed


async def both_ways(dial):
    async with dial(compression=None) as socket:
        async def send():
            for n in range(2000):
                await socket.send(b"%d" % n * 100)
        sending = asyncio.create_task(send())
        for n in range(2000):
            assert await socket.recv() == b"%d" % n * 100
        await sending


async def crowd(dial):
    async def one(n):
        async with dial() as socket:
            for turn in range(20):
                await socket.send(f"{n} {turn}")
                assert await socket.recv() == f"{n} {turn}"
    await asyncio.gather(*(one(n) for n in range(50)))


async def asking(url, ca):
    context = ssl.create_default_context(cafile=ca) if ca else None

    def dial(**more):
        return connect(url, ssl=context, max_size=MOST, open_timeout=30, close_timeout=30, proxy=None, **more)

    for part in (sizes, fragments, pings, closes, both_ways, crowd):
        await part(dial)
        print(part.__name__, flush=True)


if sys.argv[1] == "serve":
    asyncio.run(serving())
else:
    asyncio.run(asking(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
