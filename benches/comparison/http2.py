"""As much of HTTP/2 (RFC 9113) as a check needs, which Python does not have: one request after the other over one connection."""

import socket
import ssl

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 1
END_HEADERS = 4
LARGEST_WINDOW = 2**31 - 1
# Fields of HPACK's static table (RFC 7541 appendix A).
GET, HTTPS, STATUS_200 = b"\x82", b"\x87", 0x88
AUTHORITY, PATH, NEW_NAME = b"\x01", b"\x04", b"\x00"


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def text(value):
    """A string literal that is not compressed (RFC 7541 sections 5.1 and 5.2)."""
    length, out = len(value), bytearray()
    if length < 127:
        out.append(length)
    else:
        out.append(127)
        length -= 127
        while length >= 128:
            out.append(length % 128 + 128)
            length //= 128
        out.append(length)
    return bytes(out) + value.encode()


def trusting_all(protocol):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context


class Connection:
    def __init__(self, port, context=trusting_all("h2")):
        self.authority = f"localhost:{port}"
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="localhost")
        if self.socket.selected_alpn_protocol() != "h2":
            raise ConnectionError("HTTP/2 was not agreed on")
        self.stream = -1
        window = b"\x00\x04" + LARGEST_WINDOW.to_bytes(4, "big")
        more = (LARGEST_WINDOW - 65_535).to_bytes(4, "big")
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, window) + frame(WINDOW_UPDATE, 0, 0, more))

    def _exactly(self, length):
        data = bytearray()
        while len(data) < length:
            piece = self.socket.recv(length - len(data))
            if not piece:
                raise ConnectionError("closed early")
            data += piece
        return bytes(data)

    def get(self, path, headers=None):
        """Whether the status is 200, and the body."""
        self.stream += 2
        fields = GET + HTTPS + PATH + text(path) + AUTHORITY + text(self.authority)
        for name, value in (headers or {}).items():
            fields += NEW_NAME + text(name.lower()) + text(value)
        self.socket.sendall(frame(HEADERS, END_STREAM | END_HEADERS, self.stream, fields))
        good, body = False, bytearray()
        while True:
            head = self._exactly(9)
            payload = self._exactly(int.from_bytes(head[:3], "big"))
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            if kind in (SETTINGS, PING) and not flags & ACK:
                self.socket.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind == GOAWAY or (kind == RST_STREAM and stream == self.stream):
                raise ConnectionError("the stream was ended")
            elif stream == self.stream and kind == HEADERS:
                # Some put a change of the table's size in front of the status.
                good = good or STATUS_200 in payload[:4]
            elif stream == self.stream and kind == DATA:
                body += payload
            if stream == self.stream and kind in (DATA, HEADERS) and flags & END_STREAM:
                return good, bytes(body)

    def close(self):
        self.socket.close()
