// An Express application that knows nothing of TLS.
const express = require("express");

const app = express();
app.use(express.json());
app.get("/api/health", (request, response) => {
  response.json({ status: "ok", by: "express", tls: request.get("Portcullis-TLS") });
});
app.post("/api/echo", (request, response) => response.json(request.body));
app.listen(3000, "127.0.0.1", () => console.log("express listens on 127.0.0.1:3000"));
