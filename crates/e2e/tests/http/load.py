"""Ten clients of HTTP/2 on one connection: GETs and POSTs in turn, each of its own path; tells how they ended.

Arguments: URL, CA, seconds.
"""
import asyncio
import collections
import json
import ssl
import sys
import time

import httpx

URL, CA, SECONDS = sys.argv[1:4]
EACH = 0.05
endings = {method: {"statuses": collections.defaultdict(list), "broken": []} for method in ("GET", "POST")}


async def client(http, number, until):
    turn = 0
    while time.monotonic() < until:
        due = time.monotonic() + EACH
        method, path = ("GET", "POST")[turn % 2], f"/{number}/{turn}"
        try:
            answer = await http.request(method, path, content=b"abc" if method == "POST" else None)
            assert answer.http_version == "HTTP/2"
            endings[method]["statuses"][answer.status_code].append(path)
        except httpx.LocalProtocolError:
            pass  # httpcore lost count of its own streams: how this one ended it cannot say
        except httpx.TransportError as error:
            endings[method]["broken"].append((path, repr(error)))
        turn += 1
        await asyncio.sleep(max(0, due - time.monotonic()))


async def main():
    context = ssl.create_default_context(cafile=CA)
    async with httpx.AsyncClient(http1=False, http2=True, verify=context, base_url=URL, timeout=30, trust_env=False) as http:
        until = time.monotonic() + float(SECONDS)
        await asyncio.gather(*(client(http, number, until) for number in range(10)))
    print(json.dumps(endings))


asyncio.run(main())
