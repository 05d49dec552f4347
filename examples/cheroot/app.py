"""A WSGI application on Cheroot, without its TLS adapters: Portcullis has that part."""
import json

from cheroot import wsgi


def app(environ, start_response):
    if environ["PATH_INFO"] == "/api/health":
        tls = environ.get("HTTP_PORTCULLIS_TLS")
        status, answer = "200 OK", {"status": "ok", "by": "cheroot", "tls": tls}
    elif environ["PATH_INFO"] == "/api/echo":
        length = int(environ.get("CONTENT_LENGTH") or 0)
        status, answer = "200 OK", json.loads(environ["wsgi.input"].read(length))
    else:
        status, answer = "404 Not Found", {"status": "not found"}
    body = json.dumps(answer).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    server = wsgi.Server(("127.0.0.1", 8080), app)
    server.prepare()
    print("cheroot listens on 127.0.0.1:8080", flush=True)
    try:
        server.serve()
    except KeyboardInterrupt:
        server.stop()
