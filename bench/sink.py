# SPDX-License-Identifier: MIT
"""An upstream that takes an upload to its last byte before it answers, and only with the right token: nginx would
answer first and read later.

    sink.py PORT TOKEN"""
import re
import socket
import sys
import threading

CHUNK = 256 * 1024


def read_head(peer):
    data = b""
    while b"\r\n\r\n" not in data:
        got = peer.recv(CHUNK)
        if not got:
            return None, b""
        data += got
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def serve(peer, token):
    buffer = bytearray(CHUNK)
    with peer:
        while True:
            head, rest = read_head(peer)
            if head is None:
                return
            left = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head).group(1)) - len(rest)
            while left > 0:
                got = peer.recv_into(buffer, min(left, CHUNK))
                if not got:
                    return
                left -= got
            is_allowed = re.search(rb"(?i)\r\nauthorization: bearer " + re.escape(token.encode()) + rb"(\r|$)", head)
            status = b"200 OK" if is_allowed else b"401 Unauthorized"
            peer.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")


def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
    while True:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(peer, sys.argv[2]), daemon=True).start()


if __name__ == "__main__":
    main()
