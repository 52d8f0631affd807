"""What a scenario has to show before it is measured: the right answer for the right person, and a refusal for one bit less."""

import json

from .browser import Browser, flipped
from .programs import Failed


def ask(url, headers=None):
    browser = Browser()
    try:
        return browser.request(url, headers)
    finally:
        browser.close()


def answers(url, headers, status, what):
    got, location, body = ask(url, headers)
    if got != status:
        raise Failed(f"{what}: {url} answers {got} and not {status}: {body[:200]}")
    return location, body


def reaches(url, headers, what, **echoed):
    """The target is reached, and is told this."""
    _, body = answers(url, headers, 200, what)
    told = json.loads(body)
    for name, value in echoed.items():
        right = value(told[name]) if callable(value) else told[name] == value
        if not right:
            raise Failed(f"{what}: the target was told {name} = {told[name][:80]!r}")


def refused(url, headers, statuses, what):
    got, _, body = ask(url, headers)
    if got not in statuses:
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


def has_size(url, headers, size, what):
    _, body = answers(url, headers, 200, what)
    if len(body) != size:
        raise Failed(f"{what}: {len(body)} bytes and not {size}")
