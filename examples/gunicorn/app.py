"""A WSGI application that knows nothing of TLS, and needs no framework."""
import json


def app(environ, start_response):
    if environ["PATH_INFO"] == "/api/health":
        tls = environ.get("HTTP_PORTCULLIS_TLS")
        status, answer = "200 OK", {"status": "ok", "by": "gunicorn", "tls": tls}
    elif environ["PATH_INFO"] == "/api/echo":
        length = int(environ.get("CONTENT_LENGTH") or 0)
        status, answer = "200 OK", json.loads(environ["wsgi.input"].read(length))
    else:
        status, answer = "404 Not Found", {"status": "not found"}
    body = json.dumps(answer).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
