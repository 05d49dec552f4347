# Requests over HTTP/3 by aioquic, all at once on one connection. What to do comes as JSON on standard input; what came
# of it goes out as one line of JSON: the answers, or the code with which the connection ended.
import asyncio, hashlib, json, sys

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset

PIECE = 1 << 16


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        self.http = H3Connection(self._quic)
        self.answers = {}
        self.code = None

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            self.code = event.error_code
            for answer in self.answers.values():
                answer.fail(f"closed {event.error_code:#x}")
        elif isinstance(event, StreamReset) and event.stream_id in self.answers:
            self.answers[event.stream_id].fail(f"reset {event.error_code:#x}")
        for event in self.http.handle_event(event):
            answer = self.answers.get(getattr(event, "stream_id", None))
            if answer is None:
                continue
            if isinstance(event, HeadersReceived):
                answer.head(event.headers)
            elif isinstance(event, DataReceived):
                answer.sum.update(event.data)
                answer.length += len(event.data)
            if event.stream_ended:
                answer.end()

    async def ask(self, authority, request):
        stream = self._quic.get_next_available_stream_id()
        answer = self.answers[stream] = Answer(self._loop)
        body = request.get("body", 0)
        pseudo = {":method": request.get("method", "GET"), ":scheme": "https", ":authority": authority, ":path": request["path"]}
        fields = {**pseudo, **request.get("headers", {})}
        self.http.send_headers(stream, [(k.encode(), v.encode()) for k, v in fields.items()], end_stream=body == 0)
        piece = bytes(range(256)) * (PIECE // 256)
        sent = hashlib.sha256()
        while body > 0:
            data = piece[:body]
            body -= len(data)
            sent.update(data)
            self.http.send_data(stream, data, end_stream=body == 0)
            self.transmit()
            await asyncio.sleep(0)
        self.transmit()
        await answer.done
        return {**answer.told, "length": answer.length, "sha256": answer.sum.hexdigest(), "sent": sent.hexdigest()}


class Answer:
    def __init__(self, loop):
        self.done = loop.create_future()
        self.told, self.length, self.sum = {}, 0, hashlib.sha256()

    def head(self, fields):
        fields = {name.decode(): value.decode() for name, value in fields}
        if "status" in self.told:
            self.told["trailers"] = fields
        else:
            self.told["status"] = int(fields.pop(":status"))
            self.told["headers"] = fields

    def end(self):
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, why):
        self.told["error"] = why
        self.end()


async def visit(plan, tickets):
    config = QuicConfiguration(is_client=True, alpn_protocols=["h3"], cafile=plan["ca"], server_name=plan["name"])
    if "cert" in plan:
        config.load_cert_chain(plan["cert"], plan["key"])
    if tickets:
        config.session_ticket = tickets[-1]
    async with connect("127.0.0.1", plan["port"], configuration=config, create_protocol=Client, session_ticket_handler=tickets.append) as client:
        authority = f"{plan['name']}:{plan['port']}"
        answers = await asyncio.gather(*(client.ask(authority, request) for request in plan["requests"]))
        resumed = client._quic.tls.session_resumed
        if client.code is not None:
            return {"closed": client.code}
        return {"answers": answers, "resumed": resumed}


async def main():
    plan, tickets, visits = json.load(sys.stdin), [], []
    for _ in range(plan.get("visits", 1)):
        try:
            visits.append(await visit(plan, tickets))
        except ConnectionError as error:
            visits.append({"closed": str(error)})
    print(json.dumps(visits))


asyncio.run(main())
