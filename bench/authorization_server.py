# SPDX-License-Identifier: MIT
"""A token endpoint on loopback: client credentials with client_secret_basic, one token for all, valid for an
hour. It exists so that the measured proxy gets its token the way it would in earnest; it is not measured."""
import base64
import http.server
import json
import threading
import urllib.parse

AUTHORIZATION = "Basic " + base64.b64encode(b"bench:bench-secret").decode()


class AuthorizationServer:
    def __init__(self, token):
        self.requests = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                outer.requests += 1
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                if self.headers["Authorization"] != AUTHORIZATION or form["grant_type"] != ["client_credentials"]:
                    self.answer(401, {"error": "invalid_client"})
                    return
                scope = form.get("scope", [""])[0]
                self.answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": scope})

            def answer(self, status, document):
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.token_url = f"http://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
