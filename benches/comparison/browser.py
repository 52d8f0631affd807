"""As much of a browser as a sign-in needs: cookies, redirects, and connections that stay."""

import http.client
import ssl
import urllib.parse

from .programs import Failed

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def trusting_all():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Browser:
    def __init__(self):
        self.cookies = {}
        self._connections = {}
        self._tls = trusting_all()

    def close(self):
        for connection in self._connections.values():
            connection.close()

    def _send(self, parts, method, headers):
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        for attempt in (1, 2):
            connection = self._connections.get(parts.netloc)
            if connection is None:
                made = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
                options = {"context": self._tls} if parts.scheme == "https" else {}
                connection = self._connections[parts.netloc] = made(parts.hostname, parts.port, timeout=20, **options)
            try:
                connection.request(method, target, headers=headers)
                answer = connection.getresponse()
                return answer, answer.read()
            except (http.client.HTTPException, OSError):
                connection.close()
                del self._connections[parts.netloc]
                if attempt == 2:
                    raise
        raise AssertionError

    def request(self, url, headers=None):
        """Status, where a redirect leads, the body."""
        parts = urllib.parse.urlsplit(url)
        jar = self.cookies.setdefault(parts.netloc, {})
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
        answer, body = self._send(parts, "GET", {"Accept": "text/html", **cookies, **(headers or {})})
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            lowered = line.lower()
            if "max-age=0" in lowered or "01 jan 1970" in lowered or not value:
                jar.pop(name, None)
            else:
                jar[name] = value
        location = answer.getheader("Location")
        return answer.status, urllib.parse.urljoin(url, location) if location else None, body.decode(errors="replace")

    def follow(self, url, headers=None):
        """The same at the end of all redirects."""
        for _ in range(15):
            status, location, body = self.request(url, headers)
            if location is None:
                return status, body
            url = location
        raise Failed(f"redirects without an end, the last to {url.split('?')[0]}")

    def cookie_header(self, url):
        jar = self.cookies.get(urllib.parse.urlsplit(url).netloc, {})
        return "; ".join(f"{name}={value}" for name, value in jar.items())


def flipped(text, at=None):
    """The same with one bit of its base64 changed."""
    at = len(text) // 2 if at is None else at
    while text[at] not in ALPHABET:
        at += 1
    return text[:at] + ALPHABET[ALPHABET.index(text[at]) ^ 1] + text[at + 1:]
