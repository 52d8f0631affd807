"""Which cases are compared with each other, in the order of the page."""

from . import ours
from .peers import running
from .scenarios import H1, H2, Group

BODIES = ("64 KiB", "1 MiB")


def _plain(protocol):
    """The gateway with and without authentication among those who only forward, and those who sign people in."""
    def cases(world):
        # Those that are compared stand next to each other.
        peers = running(world)
        nearest = [peer for peer in peers if peer.name in ("nginx", "Pingora")]
        found = [ours.no_authentication(world, protocol)]
        found += [case for peer in nearest for case in peer.plain(protocol, "1 KiB")]
        found.append(ours.session_cookie(world, protocol))
        found += [case for peer in peers for case in peer.session(protocol)]
        found += [case for peer in peers if peer not in nearest for case in peer.plain(protocol, "1 KiB")]
        return found
    return cases


def _bodies(protocol, body):
    def cases(world):
        found = [ours.no_authentication(world, protocol, body), ours.session_cookie(world, protocol, body)]
        for peer in running(world):
            if peer.name in ("nginx", "HAProxy", "Envoy", "Pingora"):
                found += peer.plain(protocol, body)
        return found
    return cases


def _tokens(world):
    found = [
        ours.seen_token(world, "RS256"), ours.session_cookie(world), ours.unseen_token(world, "RS256"), ours.seen_token(world, "ES256"),
        ours.unseen_token(world, "ES256"),
    ]
    for peer in running(world):
        found += peer.tokens()
    return found


def _strangers(world):
    return [ours.stranger(world)] + [case for peer in running(world) for case in peer.stranger()]


def _handshakes(world):
    found = []
    for resumed in (False, True):
        found.append(ours.handshake(world, resumed))
        for peer in sorted(running(world), key=lambda peer: peer.name != "Envoy"):
            found += peer.handshake(resumed)
    return found


def _logins(world):
    return [ours.login(world)] + [case for peer in running(world) for case in peer.login()]


def _rules(world):
    return [
        ours.no_authentication(world, kind="gateway" if rules == 10 else f"rules {rules}", scenario=f"{rules:,} rules") for rules in (10, 1_000, 10_000)
    ]


def _sessions(world):
    return [ours.sessions(world, count) for count in world.options.session_counts]


def _stores(world):
    return [
        ours.session_cookie(world, scenario="session in the cookie"),
        ours.session_cookie(world, kind="memory", scenario="session in memory"),
        ours.session_cookie(world, kind="redis", scenario="session in Redis"),
        ours.redis_sessions(world, world.options.redis_sessions),
    ]


GROUPS = [
    Group("h1", "HTTP/1.1, 1 KiB", _plain(H1)),
    Group("h2", "HTTP/2, 1 KiB", _plain(H2)),
    *(Group(f"{short}-{size}", f"{protocol}, {body}", _bodies(protocol, body), is_brief=True)
      for short, protocol in (("h1", H1), ("h2", H2)) for size, body in (("64k", BODIES[0]), ("1m", BODIES[1]))),
    Group("tokens", "Bearer tokens", _tokens),
    Group("strangers", "A stranger is redirected", _strangers),
    Group("handshakes", "A connection for each request", _handshakes, is_brief=True),
    Group("logins", "A whole login", _logins, "The gateway's own time for the redirect, the callback with its two calls to the provider, and the page."),
    Group("rules", "Rules", _rules, "The rule that matches is the last but one."),
    Group("sessions", "People", _sessions, "Each request has the cookie of a random one of them, and all have been there before. `sessions.remembered_bytes` is 8 GiB here; its default is for some fifty thousand people, and whoever is not remembered costs a signature."),
    Group("stores", "Where sessions are kept", _stores),
]
