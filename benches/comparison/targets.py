"""What has to hold, as ratios within one run, and whether it does."""

from .figures import ratio
from .scenarios import H1, H2, OURS

COOKIE, OPEN = "session cookie", "no authentication"


class Target:
    """One row of the table; `reached` is `None` where the run has not measured what it needs."""

    def __init__(self, text, limit, unit="", aim=None, note=""):
        self.text, self.limit, self.unit, self.aim, self.note = text, limit, unit, aim, note
        self.reached = None

    @property
    def holds(self):
        return self.reached is not None and self.reached["median"] <= self.limit

    def entry(self):
        return {"text": self.text, "at_most": self.limit, "aim": self.aim, "unit": self.unit, "reached": self.reached, "holds": self.holds, "note": self.note}


def _key(program, scenario, protocol=H1, body="1 KiB"):
    return f"{program} | {scenario} | {protocol} | {body}"


def judge(results):
    """Every row, from the groups of a run, its memory and the bare verification."""
    rows = []

    def compared(text, limit, group, one, other, aim=None, note="", added=0.0):
        target = Target(text, limit, aim=aim, note=note)
        measured = results.groups.get(group, {}).get("rounds", {})
        other = other if isinstance(other, tuple) else (other,)
        found = next((key for key in other if key in measured), None)
        if one in measured and found and added is not None:
            target.reached = ratio(measured[one], measured[found], added)
        rows.append(target)

    def figure(text, limit, value, unit, scale=1):
        target = Target(text, limit, unit)
        if value is not None:
            target.reached = {"median": round(value / scale, 1)}
        rows.append(target)

    for group, protocol, short in (("h1", H1, "HTTP/1.1"), ("h2", H2, "HTTP/2")):
        cookie, open_ = _key(OURS, COOKIE, protocol), _key(OURS, OPEN, protocol)
        compared(f"session cookie : no authentication, {short}", 1.06, group, cookie, open_)
        compared(f"no authentication : nginx, {short}", 1.15, group, open_, _key("nginx", OPEN, protocol), aim=1.0)
    cookie = _key(OURS, COOKIE)
    compared("session cookie : pingap, signed in", 0.75, "h1", cookie, _key("pingap", "session cookie (jwt plugin, HS256)"),
             note="this pingap has no OpenID Connect; its JWT in a cookie, with a shared secret, is what is compared")
    compared("session cookie : Envoy's OAuth2 filter", 0.55, "h1", cookie, _key("Envoy", "session cookie (oauth2 filter)"))
    compared("session cookie : mod_auth_openidc", 0.25, "h1", cookie, _key("Apache", "session cookie (mod_auth_openidc, shared memory)"))
    for algorithm in ("RS256", "ES256"):
        compared(f"seen bearer token, {algorithm} : session cookie", 1.10, "tokens", _key(OURS, f"bearer token seen, {algorithm}"), cookie)
    bare = results.bare["RS256"] if results.bare else None
    compared("unseen RS256 token : session cookie + bare verification", 1.15, "tokens", _key(OURS, "bearer token unseen, RS256"), cookie, added=bare,
             note=f"bare verification: {bare:.1f} µs, {results.bare['from']}" if bare else "")
    compared("redirect of a stranger : pingap", 1.00, "strangers", _key(OURS, "redirect of a stranger"), _key("pingap", "redirect (redirect plugin)"),
             note="pingap's is a fixed redirect without state, nonce or cookie")
    full = "full handshake and one request"
    compared("full handshake and a request : Envoy", 1.05, "handshakes", _key(OURS, full), _key("Envoy", full))
    compared("10,000 rules : 10 rules", 1.10, "rules", _key(OURS, "10,000 rules"), _key(OURS, "10 rules"))
    counts = results.session_counts
    compared(f"{counts[-1]:,} sessions : 1 session", 1.15, "sessions", _key(OURS, f"{counts[-1]:,} sessions"), _key(OURS, "1 session"))
    memory = results.memory or {}
    idle = {row["protocol"]: row["bytes"] for row in memory.get("idle", []) if row["program"] == OURS}
    for protocol in (H1, H2):
        figure(f"an idle TLS connection, {protocol}", 30, idle.get(protocol), "KiB", 1024)
    start = memory.get("start", {})
    figure("start to first answer", 50, start.get("first_answer_milliseconds"), "ms")
    figure("resident memory after start", 20, start.get("resident_bytes"), "MiB", 2**20)
    return rows
