"""A Flask application that knows nothing of TLS."""
from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/api/health")
def health():
    return jsonify(status="ok", by="flask", tls=request.headers.get("Portcullis-TLS"))


@app.post("/api/echo")
def echo():
    return jsonify(request.get_json())
