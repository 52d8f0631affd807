"""What a run has found: performance/results.json, a chart for each group, and the page."""

import json
import time

from . import charts, machine, page, targets
from .peers import known
from .provider import node
from .scenarios import OURS


class Results:
    def __init__(self, options):
        self.options = options
        self.session_counts = options.session_counts
        self.groups, self.left_out, self.memory, self.bare = {}, [], None, None

    def add(self, group, measured, left_out):
        self.groups[group.name] = {
            "title": group.title, "note": group.note, "cases": [rounds.summary() for rounds in measured.values()],
            "rounds": {key: rounds.cost for key, rounds in measured.items()},
        }
        self.left_out += left_out


def versions(options):
    found = {OURS: machine.version(r"(\d\S*)", options.binary, "--version")}
    found |= {kind.name: kind.version() for kind in known() if kind.name.lower() in options.peers}
    if "Apache" in found:
        found["mod_auth_openidc"] = machine.version(r"(\d\S*)", "dpkg-query", "--show", "--showformat", "${Version}", "libapache2-mod-auth-openidc")
    installed = json.loads((machine.REPOSITORY / "tests/e2e/node_modules/oidc-provider/package.json").read_text())
    return found | {
        "upstream (nginx)": machine.version(r"nginx/(\S+)", "nginx", "-v"), "oidc-provider": installed["version"], "Node.js": machine.version(r"v(\S+)", node(), "--version"),
        "Redis": machine.version(r"v=(\S+)", "redis-server", "--version"), "wrk": machine.version(r"wrk \S*?(\d[\d.]+)", "wrk", "--version"),
        "h2load": machine.version(r"nghttp2/(\S+)", "h2load", "--version"), "OpenSSL (load)": machine.version(r"OpenSSL (\S+)", "openssl", "version"),
        "Python": machine.version(r"Python (\S+)", "python3", "--version"),
    }


def write(results, options):
    folder = options.output / "performance"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    rows = targets.judge(results)
    told = {
        "when": time.strftime("%Y-%m-%d"), "machine": machine.describe(), "versions": versions(options),
        "rounds": options.rounds, "seconds": options.seconds, "quick": options.quick,
        "targets": [row.entry() for row in rows], "bare_verification_microseconds": results.bare, "memory": results.memory,
        "core_used_by_others": _others(results),
        "groups": {name: {key: value for key, value in group.items() if key != "rounds"} for name, group in results.groups.items()}, "left_out": results.left_out,
    }
    (folder / "results.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    for name, group in results.groups.items():
        drawn = [(_label(case), *_spread(case), case["program"] == OURS) for case in group["cases"]]
        if drawn:
            (folder / f"{name}.svg").write_text(charts.bars(group["title"], "CPU µs per request, user and system; the line: from the lowest round to the highest", drawn))
    idle = (results.memory or {}).get("idle")
    if idle:
        drawn = [(f"{row['program']}, {row['protocol']}", row["bytes"] / 1024, 0, 0, row["program"] == OURS) for row in idle]
        (folder / "idle.svg").write_text(charts.bars("An idle TLS connection", "KiB", drawn))
    (options.output / "performance.md").write_text(page.written(told))


def _others(results):
    """The share of the proxies' core that somebody else had: the middle of all cases, and the worst."""
    shares = sorted(case["core_used_by_others"] for group in results.groups.values() for case in group["cases"])
    return {"median": shares[len(shares) // 2], "maximum": shares[-1]} if shares else None


def _label(case):
    return f"{case['program']}: {case['scenario'].split(' (')[0]}"


def _spread(case):
    cost = case["cpu_microseconds"]
    return cost["median"], cost["minimum"], cost["maximum"]
