"""The gateway's own cases."""

import itertools

from . import checks, load, logins, sealed
from .gateway import COOKIE
from .handshakes import handshakes
from .programs import Failed
from .scenarios import H1, H2, OURS, Case
from .upstream import SIZES

BYTES = {"1 KiB": 1024, "64 KiB": 64 * 1024, "1 MiB": 1024 * 1024}
REDIRECT = (302,)
# What a browser asks a page with.
PAGE = {"Accept": "text/html"}


def loaded(world, protocol, url, headers=None):
    """The usual load: 64 requests at a time."""
    if protocol == H2:
        return lambda seconds: load.h2load(world.clients, url, seconds, headers)
    return lambda seconds: load.wrk(world.clients, url, seconds, headers)


def _case(world, scenario, kind, load_of, check, protocol=H1, body="1 KiB"):
    return Case(OURS, scenario, lambda: world.gateway(kind).program, load_of, check, protocol, body)


def _same(world, scenario, kind, url, headers, check, protocol=H1, body="1 KiB"):
    """The same request again and again."""
    case = _case(world, scenario, kind, loaded(world, protocol, url, headers), check, protocol, body)
    case.request = (url, headers or {})
    return case


def no_authentication(world, protocol=H1, body="1 KiB", kind="gateway", scenario="no authentication"):
    url = f"{world.gateway(kind).base}/open/"
    return _same(world, scenario, kind, url + SIZES[body], None, lambda: checks.has_size(url + SIZES[body], {}, BYTES[body], scenario, protocol), protocol, body)


def session_cookie(world, protocol=H1, body="1 KiB", kind="gateway", scenario="session cookie"):
    url = f"{world.gateway(kind).base}/signed/"
    cookie = {"Cookie": world.session(kind)}

    def check():
        checks.reaches(url + "echo", cookie, scenario, protocol, identity="alice")
        checks.has_size(url + SIZES[body], cookie, BYTES[body], scenario, protocol)
        checks.refused(url + "echo", {"Cookie": checks.flipped_cookie(cookie["Cookie"], f"{COOKIE}-0")}, REDIRECT, scenario, protocol)

    return _same(world, scenario, kind, url + SIZES[body], cookie, check, protocol, body)


def seen_token(world, algorithm):
    tokens, url = world.tokens(algorithm), f"{world.gateway().base}/api/"
    value = tokens.line(0)[1]
    scenario = f"bearer token seen, {algorithm}"

    def check():
        checks.reaches(url + "echo", {"Authorization": value}, scenario, identity="8c1d3a52-4f0e-4a57-9d3b-3d5b2f6f3c11", authorization=value)
        checks.refused(url + "echo", {"Authorization": checks.flipped_token(value)}, (401,), scenario)

    return _same(world, scenario, "gateway", url + "1k", {"Authorization": value}, check)


def unseen_token(world, algorithm):
    """Each request has a token that the gateway has not had before; the file goes on from round to round."""
    tokens, url = world.tokens(algorithm), f"{world.gateway().base}/api/"
    scenario = f"bearer token unseen, {algorithm}"
    # A round that has used up its share sends nothing more: what a request costs is right all the same.
    share = (tokens.count - 2) // (world.options.rounds + 1)
    turn = itertools.count()

    def run(seconds):
        first = 2 + next(turn) * share
        if first + share > tokens.count:
            raise Failed(f"{scenario}: more rounds than there are tokens for")
        return load.wrk(world.clients, url + "1k", seconds, slots=tokens, order="once", first=first, count=share)

    def check():
        value = tokens.line(1)[1]
        checks.refused(url + "echo", {"Authorization": checks.flipped_token(value)}, (401,), scenario)
        checks.reaches(url + "echo", {"Authorization": value}, scenario, authorization=value)

    case = _case(world, scenario, "gateway", run, check)
    each = itertools.count(2)
    case.request = (url + "1k", lambda: {"Authorization": tokens.line(next(each))[1]})
    return case


def stranger(world):
    url = f"{world.gateway().base}/signed/1k"

    def check():
        location, _ = checks.answers(url, PAGE, 302, "redirect of a stranger")
        if not location.startswith(world.provider.issuer) or "code_challenge=" not in location:
            raise Failed(f"a stranger is sent to {location[:100]}")

    return _same(world, "redirect of a stranger", "gateway", url, PAGE, check)


def handshake(world, resumed):
    gateway = world.gateway()
    url = f"{gateway.base}/open/1k"
    scenario = "resumed handshake and one request" if resumed else "full handshake and one request"
    run = handshakes(world, gateway.port, "/open/1k", resumed)

    def check():
        checks.has_size(url, {}, 1024, scenario)
        # Which counts what was resumed.
        run(0.2)

    return _case(world, scenario, "gateway", run, check)


def login(world):
    gateway = world.gateway()

    def check():
        gateway.sign_in().close()
        checks.refused(f"{gateway.callback()}?code=x&state={'A' * 64}", {}, (401,), "a whole login")

    return _case(world, "a whole login", "gateway", lambda seconds: logins.run(world, gateway, seconds), check, body="")


def sessions(world, count):
    """A random one of so many people in each request."""
    slots, url = sealed.cookies(world, count), f"{world.gateway().base}/signed/"
    scenario = f"{count:,} session" + "s" * (count > 1)

    def check():
        for index in (0, slots.count // 2, slots.count - 1):
            name, value = slots.line(index)
            checks.reaches(url + "echo", {name: value}, scenario, identity=sealed.subject(index))
            checks.refused(url + "echo", {name: checks.flipped_cookie(value, f"{COOKIE}-0")}, REDIRECT, scenario)
    def prepare():
        # So that what follows is a long day and not its first minute.
        if slots.count > 1:
            load.each_once(world.clients, url + "1k", slots)

    case = _case(world, scenario, "gateway", lambda seconds: load.wrk(world.clients, url + "1k", seconds, slots=slots), check)
    case.prepare = prepare
    return case


def redis_sessions(world, count):
    slots, url = sealed.in_redis(world, count), f"{world.gateway('redis').base}/signed/"
    scenario = f"{count:,} sessions in Redis"

    def check():
        for index in (0, slots.count - 1):
            name, value = slots.line(index)
            checks.reaches(url + "echo", {name: value}, scenario, identity=sealed.subject(index))
            checks.refused(url + "echo", {name: checks.flipped_cookie(value, f"{COOKIE}-0")}, REDIRECT, scenario)

    return _case(world, scenario, "redis", lambda seconds: load.wrk(world.clients, url + "1k", seconds, slots=slots), check)
