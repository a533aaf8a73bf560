# SPDX-License-Identifier: MIT
"""A token endpoint on loopback: client credentials with client_secret_basic, one token for all. It exists so that the
measured proxy gets its token the way it would in earnest; it is not measured.

    authorization_server.py PORT TOKEN

GET /requests tells when tokens were asked for, GET /set?delay=SECONDS&ttl=SECONDS changes how it answers."""
import base64
import http.server
import json
import sys
import time
import urllib.parse

AUTHORIZATION = "Basic " + base64.b64encode(b"bench:bench-secret").decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    token, delay, ttl, moments = "", 0.0, 3600, []

    def do_POST(self):
        Handler.moments.append(time.time())
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if self.headers["Authorization"] != AUTHORIZATION or form["grant_type"] != ["client_credentials"]:
            self.answer(401, {"error": "invalid_client"})
            return
        time.sleep(Handler.delay)
        scope = form.get("scope", [""])[0]
        document = {"access_token": Handler.token, "token_type": "Bearer", "expires_in": Handler.ttl, "scope": scope}
        self.answer(200, document)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/set":
            for name, values in urllib.parse.parse_qs(url.query).items():
                setattr(Handler, name, float(values[0]))
            Handler.moments.clear()
        self.answer(200, Handler.moments)

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Handler.token = sys.argv[2]
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
