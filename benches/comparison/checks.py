"""What a scenario has to show before it is measured: the right answer for the right person, and a refusal for one bit less."""

import json
import urllib.parse

from . import http2
from .browser import Browser, flipped
from .programs import Failed
from .scenarios import H1, H2

# What is known of a status over HTTP/2 that is not 200.
ANOTHER = 0


def ask(url, headers=None, protocol=H1):
    """Status, where a redirect leads, the body."""
    if protocol == H2:
        return _ask_h2(url, headers)
    browser = Browser()
    try:
        return browser.request(url, headers)
    finally:
        browser.close()


def _ask_h2(url, headers):
    parts = urllib.parse.urlsplit(url)
    try:
        connection = http2.Connection(parts.port)
        try:
            good, body = connection.get(parts.path, headers)
        finally:
            connection.close()
    except OSError as error:
        raise Failed(f"{url} over HTTP/2: {error}") from error
    return 200 if good else ANOTHER, None, body.decode(errors="replace")


def answers(url, headers, status, what, protocol=H1):
    got, location, body = ask(url, headers, protocol)
    if got != status:
        raise Failed(f"{what}: {url} answers {got} and not {status}: {body[:200]}")
    return location, body


def reaches(url, headers, what, protocol=H1, **echoed):
    """The target is reached, and is told this."""
    _, body = answers(url, headers, 200, what, protocol)
    told = json.loads(body)
    for name, value in echoed.items():
        right = value(told[name]) if callable(value) else told[name] == value
        if not right:
            raise Failed(f"{what}: the target was told {name} = {told[name][:80]!r}")


def refused(url, headers, statuses, what, protocol=H1):
    got, _, body = ask(url, headers, protocol)
    if got not in (statuses if protocol == H1 else (ANOTHER,)):
        raise Failed(f"{what}: one flipped bit is answered {got}: {body[:200]}")


def flipped_cookie(header, name):
    """The cookies with one bit of this one changed."""
    pairs = [pair.partition("=") for pair in header.split("; ")]
    if name not in [pair[0] for pair in pairs]:
        raise Failed(f"there is no cookie {name}")
    return "; ".join(f"{found}={flipped(value) if found == name else value}" for found, _, value in pairs)


def flipped_token(value):
    """`Bearer …` with one bit of the signature changed."""
    return flipped(value, len(value) - 40)


def has_size(url, headers, size, what, protocol=H1):
    _, body = answers(url, headers, 200, what, protocol)
    if len(body) != size:
        raise Failed(f"{what}: {len(body)} bytes and not {size}")
