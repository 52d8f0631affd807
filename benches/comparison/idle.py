"""Connections that have asked once and say nothing more, held until standard input ends.

    python3 idle.py PORT COUNT (HTTP/1.1|HTTP/2) PATH
"""

import socket
import ssl
import sys

ALPN = {"HTTP/1.1": "http/1.1", "HTTP/2": "h2"}
SETTINGS, HEADERS, PING, END_STREAM = 4, 1, 6, 1


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def exactly(connection, length):
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError("closed early")
        data += piece
    return data


def ask_h1(connection, port, path):
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += exactly(connection, 1)
    head = answer.decode().lower()
    if not head.startswith("http/1.1 200"):
        raise ConnectionError(head.splitlines()[0])
    if "content-length:" in head:
        exactly(connection, int(head.split("content-length:")[1].split()[0]))


def ask_h2(connection, port, path):
    authority = f"localhost:{port}"
    # GET, https, path and authority: fields of HPACK's static table, their values as they are (RFC 7541 section 6.2.2).
    fields = b"\x82\x87\x04" + bytes([len(path)]) + path.encode() + b"\x01" + bytes([len(authority)]) + authority.encode()
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0) + frame(HEADERS, 5, 1, fields))
    while True:
        head = exactly(connection, 9)
        payload = exactly(connection, int.from_bytes(head[:3], "big"))
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        if kind == SETTINGS and not flags & 1:
            connection.sendall(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1:
            connection.sendall(frame(PING, 1, 0, payload))
        elif stream == 1 and kind == HEADERS and payload[:1] != b"\x88":
            # Some put a change of the table's size in front of the status.
            if b"\x88" not in payload[:4]:
                raise ConnectionError("the answer is not 200")
        if stream == 1 and kind in (0, HEADERS) and flags & END_STREAM:
            return
        if kind in (3, 7):
            raise ConnectionError("the stream was ended")


def main(port, count, protocol, path):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([ALPN[protocol]])
    held = []
    for _ in range(count):
        connection = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="localhost")
        if connection.selected_alpn_protocol() != ALPN[protocol]:
            raise ConnectionError(f"{protocol} was not agreed on")
        (ask_h2 if protocol == "HTTP/2" else ask_h1)(connection, port, path)
        held.append(connection)
    print("held", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
