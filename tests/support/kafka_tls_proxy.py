#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""TLS in front of librdkafka's mock cluster, which has none. usage: kafka_tls_proxy.py PORT CLUSTER_PORT CERTIFICATE KEY [AUTHORITY]

Clients are told of the cluster's address in its answers: there the port is replaced, so that they come back here. With
an AUTHORITY (PEM) they need a certificate of it.
"""

import select
import socket
import ssl
import struct
import sys
import threading

port, cluster_port = int(sys.argv[1]), int(sys.argv[2])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3], sys.argv[4])
if len(sys.argv) > 5:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(sys.argv[5])
# A broker in an answer: its host, a text, and its port, four bytes.
THERE, HERE = (b"127.0.0.1" + struct.pack(">i", number) for number in (cluster_port, port))


def serve(client):
    try:
        client = context.wrap_socket(client, server_side=True)
        with socket.create_connection(("127.0.0.1", cluster_port)) as cluster:
            while True:
                if client.pending() == 0 and cluster in select.select([client, cluster], [], [])[0]:
                    answer = cluster.recv(65536)
                    if not answer:
                        return
                    client.sendall(answer.replace(THERE, HERE))
                else:
                    request = client.recv(65536)
                    if not request:
                        return
                    cluster.sendall(request)
    except OSError:
        pass  # a client that does not trust us, or is gone
    finally:
        client.close()


with socket.create_server(("127.0.0.1", port)) as listener:
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
