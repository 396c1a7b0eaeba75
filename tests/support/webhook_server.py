#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A webhook's receiver for tests. usage: webhook_server.py PORT FILE [TOKEN [CERTIFICATE KEY [AUTHORITY]]]

Appends each body to FILE, with the header Idempotency-Key to FILE.keys. With a TOKEN it answers 401 without it; a body
that holds "refuse-me" gets 422; a path that ends in /busy 503 to each second request, /moved 302. With CERTIFICATE and KEY (PEM files) it is https; with an
AUTHORITY clients need a certificate of it.
"""

import http.server
import ssl
import sys

port, path = int(sys.argv[1]), sys.argv[2]
token = sys.argv[3] if len(sys.argv) > 3 and sys.argv[3] else None
count = 0


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global count
        count += 1
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status = 200
        if token and self.headers.get("Authorization") != "Bearer " + token:
            status = 401
        elif "refuse-me" in body:
            status = 422
        elif self.path.endswith("/busy") and count % 2:
            status = 503
        elif self.path.endswith("/moved"):
            status = 302
        elif self.headers["Content-Type"] != "application/json":
            status = 415
        if status == 200:
            with open(path, "a", encoding="utf-8") as out:
                out.write(body + "\n")
            with open(path + ".keys", "a", encoding="utf-8") as out:
                out.write(self.headers.get("Idempotency-Key", "") + "\n")
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.HTTPServer.allow_reuse_address = True
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Receiver)
if len(sys.argv) > 5:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    if len(sys.argv) > 6:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(sys.argv[6])
    # Handshakes are the threads': a client that stops in the middle holds up nobody.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
