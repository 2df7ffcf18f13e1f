"""Forwards TLS connections to a local port without TLS.

Usage: tls_proxy.py CERTIFICATE KEY PORT LOCAL_PORT
"""

import socket
import ssl
import sys
import threading


def pump(source, sink):
    """Copies bytes until the source ends."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError as error:
        print(f"a connection broke: {error}", file=sys.stderr, flush=True)


def serve(plain, context, local_port):
    """Serves one connection, in both directions."""
    try:
        outer = context.wrap_socket(plain, server_side=True)
        inner = socket.create_connection(("127.0.0.1", local_port))
    except OSError as error:
        print(f"a connection was refused: {error}", file=sys.stderr, flush=True)
        plain.close()
        return
    threading.Thread(target=pump, args=(inner, outer), daemon=True).start()
    pump(outer, inner)


def main():
    certificate, key, port, local_port = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("0.0.0.0", port)) as listener:
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=serve, args=(plain, context, local_port), daemon=True).start()


main()
