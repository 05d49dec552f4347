"""An ASGI application that knows nothing of TLS, and needs no framework."""
import json


async def body_of(receive):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    if scope["path"] == "/api/health":
        tls = dict(scope["headers"]).get(b"portcullis-tls", b"").decode()
        status, answer = 200, {"status": "ok", "by": "uvicorn", "tls": tls}
    elif scope["path"] == "/api/echo":
        status, answer = 200, json.loads(await body_of(receive))
    else:
        status, answer = 404, {"status": "not found"}
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
