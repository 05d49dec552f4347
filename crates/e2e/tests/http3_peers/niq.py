# One GET over HTTP/3 by niquests, told beforehand that the server has it. Prints what came, as JSON.
import json, sys

import niquests

url, ca = sys.argv[1:3]
session = niquests.Session(disable_http1=True, disable_http2=True)
host, port = url.split("/")[2].rsplit(":", 1)
session.quic_cache_layer.add_domain(host, int(port))
try:
    answer = session.get(url, verify=ca)
    print(json.dumps({"status": answer.status_code, "version": answer.http_version, "body": answer.text}))
except niquests.exceptions.RequestException as error:
    print(json.dumps({"error": str(error)}))
session.close()
