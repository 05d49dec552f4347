"""Servers that people run Python behind, all with one application, which tells what it was asked at `/told`.

Argument: uvicorn, gunicorn, cheroot or flask.
"""
import base64
import hashlib
import json
import socket
import sys

LARGE = b"large " * 3_000_000
told = []


def respond(asked, body):
    """Status, fields and pieces; the fields without a length are sent in chunks, or to the end of the connection."""
    path = asked["target"].split("?")[0]
    asked = dict(asked, body=base64.b64encode(body).decode())
    if path == "/told":
        text = json.dumps(told).encode()
        told.clear()
        return 200, [("content-length", str(len(text)))], [text]
    told.append(asked)
    if path == "/none":
        return 204, [], []
    if path == "/same":
        return 304, [("etag", '"same"')], []
    if path == "/missing":
        text = b"nothing here"
        return 404, [("content-length", str(len(text))), ("x-one", "1"), ("set-cookie", "a=b"), ("set-cookie", "c=d")], [text]
    if path == "/large":
        return 200, [("content-length", str(len(LARGE)))], [LARGE]
    if path == "/stream":
        return 200, [("x-sum", hashlib.sha256(LARGE).hexdigest())], (LARGE[n : n + 70_001] for n in range(0, len(LARGE), 70_001))
    if path == "/echo":
        return 200, [("content-length", str(len(body))), ("x-method", asked["method"])], [body]
    text = json.dumps({"method": asked["method"], "length": len(body), "sum": hashlib.sha256(body).hexdigest()}).encode()
    return 200, [("content-type", "application/json"), ("content-length", str(len(text)))], [text]


def wsgi(environ, start):
    target = environ.get("RAW_URI") or environ["REQUEST_URI"]
    length = environ.get("CONTENT_LENGTH")
    body = environ["wsgi.input"]
    chunked = environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked"
    body = body.read() if chunked else body.read(int(length or 0))
    if len(body) < int(length or 0):
        raise OSError("cut off")
    asked = {"method": environ["REQUEST_METHOD"], "target": target, "host": environ.get("HTTP_HOST", "-")}
    asked["port"] = str(environ["REMOTE_PORT"])
    status, fields, pieces = respond(asked, body)
    start(f"{status} Said", fields)
    return [] if asked["method"] == "HEAD" else pieces


async def asgi(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    fields = dict(scope["headers"])
    target = scope["raw_path"].decode() + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
    asked = {"method": scope["method"], "target": target, "host": fields.get(b"host", b"-").decode(), "port": str(scope["client"][1])}
    status, fields, pieces = respond(asked, body)
    await send({"type": "http.response.start", "status": status, "headers": [(n.encode(), v.encode()) for n, v in fields]})
    if scope["method"] != "HEAD":
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def listening():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener, listener.getsockname()[1]


def uvicorn():
    import uvicorn

    listener, port = listening()
    print(port, flush=True)
    uvicorn.Server(uvicorn.Config(asgi, log_level="error", lifespan="off", timeout_keep_alive=60, proxy_headers=False)).run(sockets=[listener])


def gunicorn():
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):
        def load_config(self):
            listener, port = listening()
            listener.set_inheritable(True)
            self.listener = listener
            settings = {"bind": f"fd://{listener.fileno()}", "workers": 1, "threads": 8, "keepalive": 60, "loglevel": "critical"}
            for name, value in settings.items():
                self.cfg.set(name, value)
            print(port, flush=True)

        def load(self):
            return wsgi

    sys.argv = sys.argv[:1]
    Application().run()


def cheroot():
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", 0), wsgi, numthreads=8, timeout=60)
    server.error_log = lambda *_, **__: None
    server.prepare()
    print(server.bind_addr[1], flush=True)
    server.serve()


def flask():
    import logging

    from flask import Flask
    from werkzeug.serving import make_server

    app = Flask("backend")
    app.wsgi_app = wsgi
    logging.getLogger("werkzeug").disabled = True
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(server.port, flush=True)
    server.serve_forever()


{"uvicorn": uvicorn, "gunicorn": gunicorn, "cheroot": cheroot, "flask": flask}[sys.argv[1]]()
