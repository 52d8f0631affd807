"""Whole sign-ins, one after the other: a stranger's page, the provider, the callback, the page."""

import time

from .browser import Browser
from .load import Load
from .programs import Failed


def run(world, gateway, seconds):
    """The provider knows the person after the first; the gateway knows nobody."""
    browser = Browser()
    origin = gateway.base.removeprefix("https://")
    times = []
    begin = time.monotonic()
    while time.monotonic() < begin + seconds:
        browser.cookies.pop(origin, None)
        start = time.monotonic()
        status, body = browser.follow(f"{gateway.base}/signed/1k")
        if status != 200 or len(body) != 1024:
            raise Failed(f"a login ended with {status}: {body[:200]}")
        times.append((time.monotonic() - start) * 1000)
    browser.close()
    times.sort()
    latency = {name: times[min(len(times) - 1, len(times) * int(name) // 100)] for name in ("50", "90", "99")}
    return Load(len(times), time.monotonic() - begin, latency)
