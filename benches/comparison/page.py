"""docs/performance.md, from what a run has found."""

from .charts import number
from .scenarios import OURS

HEAD = """# Performance

CPU time of the proxy for each request (user and system, from the operating system), next to others in the same run on the same machine. Written by
`script/bench`; change that and not this page. The figures are in [performance/results.json](performance/results.json).

Absolute numbers are this machine's. **What carries over are the ratios.**
"""

METHOD = """## Method

- **Two cores.** The proxy that is measured has one; upstream, load generator, identity provider and Redis share the other.
- **What counts** is what the scheduler has given to all processes and threads of the proxy (`/proc/PID/task/*/schedstat`), over the requests that were answered.
  The 64 connections of a round are set up in it. Requests a second and latencies are shown beside it; they depend on the other core as well.
- **Alternating**: the cases of a group take turns, {rounds} rounds of {seconds} s (half as many for bodies and handshakes), after a second to warm up. A ratio is the median of the ratios within
  each round, with the lowest and the highest; what is compared stands side by side. Cases of different groups are not compared.
- **Closed loop**, TLS 1.3 with TLS_AES_256_GCM_SHA384 and X25519 (clients offer nothing else), the same P-256 certificate everywhere. HTTP/1.1: wrk, 64 connections that
  stay. HTTP/2: h2load, 8 connections with 8 streams each.
- **Upstream**: one nginx for all, plain HTTP/1.1, connections that stay.
- **Logs**: the gateway formats a JSON line for each request and writes it to `/dev/null`; the others write no access log at all.
- **One worker** for each proxy; Apache has one process with 128 threads. Default configurations otherwise, connections to the upstream kept.
- **The identity provider** is npm `oidc-provider`, without pushed authorization requests. Sessions come from real sign-ins; those of many people are sealed from one of them with
  the session key, each with its own id and subject. Bearer tokens are signed with the provider's keys.
- **Handshakes**: a client that counts `session_reused` of each connection. The run fails unless all (but the first of each of its four threads), or none, were resumed.
- **Each scenario checks itself first**: 200 with the right identity at the upstream, and a refusal when one bit of cookie or token is flipped.
  `script/bench --check` does only that, and is part of `script/test`.
- **What "signed in" means**: Envoy: its OAuth2 filter, tokens encrypted in cookies. Apache: mod_auth_openidc, session in shared memory. pingap: its `jwt` plugin, a JWT with a shared
  secret in a cookie, as this version has no OpenID Connect; its stranger gets the fixed answer of its `redirect` plugin. nginx and HAProxy sign nobody in; HAProxy and Apache verify a bearer token for each request.
- **Memory**: the difference of the proportional set size (PSS) of a process that has done nothing else, when it has settled. Connections have had one request each.
"""


def written(told):
    parts = [HEAD, _targets(told), "## Results\n"]
    parts += [_group(name, group) for name, group in told["groups"].items() if group["cases"]]
    if told["memory"]:
        parts.append(_memory(told["memory"]))
    if told["left_out"]:
        parts.append("Left out, because a check failed: " + "; ".join(line.split(":")[0] for line in told["left_out"]) + ".\n")
    parts += [METHOD.format(**told), _machine(told)]
    return "\n".join(parts)


def _range(figures):
    return f"{figures['median']:.2f} ({figures['minimum']:.2f}–{figures['maximum']:.2f})"


def _targets(told):
    lines = ["## What it is meant to reach\n", "| | at most | reached | holds |", "|---|---|---|---|"]
    notes = []
    for row in told["targets"]:
        limit = f"{row['at_most']:g} {row['unit']}" if row["unit"] else f"{row['at_most']:.2f}"
        if row["aim"]:
            limit += f", aim {row['aim']:.2f}"
        reached = row["reached"]
        shown = "not measured" if reached is None else f"{reached['median']:g} {row['unit']}" if row["unit"] else _range(reached)
        mark = ""
        if row["note"]:
            notes.append(row["note"])
            mark = f" [{len(notes)}]"
        lines.append(f"| {row['text']}{mark} | {limit} | {shown} | {'—' if reached is None else 'yes' if row['holds'] else '**no**'} |")
    lines += ["", *(f"[{index}] {note}  " for index, note in enumerate(notes, 1)), ""]
    return "\n".join(lines)


def _group(name, group):
    first = group["cases"][0]["cpu_microseconds"]["median"]
    lines = [f"### {group['title']}\n"]
    if group["note"]:
        lines.append(group["note"] + "\n")
    lines += [
        f"![{group['title']}: CPU time for each request](performance/{name}.svg)\n",
        "| | CPU µs/request | : first | of it system | requests/s | 50 % | 90 % | 99 % ms |", "|---|---|---|---|---|---|---|---|",
    ]
    for case in group["cases"]:
        cost, latency = case["cpu_microseconds"], case["latency_milliseconds"]
        times = " | ".join(number(latency[name]) if name in latency else "—" for name in ("50", "90", "99"))
        who = f"**{case['program']}**" if case["program"] == OURS else case["program"]
        lines.append(
            f"| {who}: {case['scenario']} | {number(cost['median'])} ({number(cost['minimum'])}–{number(cost['maximum'])}) | {cost['median'] / first:.2f} | "
            f"{case['cpu_system_share'] * 100:.0f} % | {case['requests_per_second']['median']:,.0f} | {times} |"
        )
    return "\n".join([*lines, ""])


def _memory(memory):
    start, sessions = memory["start"], memory["sessions"]
    lines = ["### Memory and start\n", "| | |", "|---|---|", f"| start to first answer | {start['first_answer_milliseconds']:.0f} ms |"]
    lines.append(f"| resident memory after start | {start['resident_bytes'] / 2**20:.1f} MiB |")
    lines.append(f"| a rule | {memory['rules']['bytes_per_rule']:,} bytes |")
    lines.append(f"| an unfinished login, of {memory['logins']['logins']:,} | {memory['logins']['bytes_per_login']:,} bytes |")
    lines.append(f"| a session in the cookie | 0 bytes (a cookie header of {sessions['cookie']['mean_cookie_header_bytes']:,} bytes at the browser) |")
    lines.append(f"| what the gateway keeps in mind of {sessions['cookie']['people']:,} such people | {sessions['cookie']['remembered_bytes'] / 2**20:.1f} MiB in all |")
    for store, name in (("memory", "in memory"), ("redis", "in Redis, of Redis' memory")):
        lines.append(f"| a session {name}, of {sessions[store]['sessions']:,} | {sessions[store]['bytes_per_session']:,} bytes |")
    lines += ["", "![An idle TLS connection](performance/idle.svg)\n", "| idle TLS connection | HTTP/1.1 | HTTP/2 |", "|---|---|---|"]
    programs = list(dict.fromkeys(row["program"] for row in memory["idle"]))
    for program in programs:
        sizes = {row["protocol"]: f"{row['bytes'] / 1024:.1f} KiB" for row in memory["idle"] if row["program"] == program}
        lines.append(f"| {program} | {sizes.get('HTTP/1.1', '—')} | {sizes.get('HTTP/2', '—')} |")
    return "\n".join([*lines, ""])


def _machine(told):
    machine = told["machine"]
    lines = ["## The machine\n", "| | |", "|---|---|", f"| when | {told['when']} |", f"| processor | {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB |"]
    lines.append(f"| system | {machine['distribution']}, Linux {machine['kernel']} |")
    if others := told["core_used_by_others"]:
        lines.append(f"| what else had the proxies' core meanwhile | {others['median'] * 100:.0f} % of it, in the worst case {others['maximum'] * 100:.0f} % |")
    lines += [f"| {name} | {version} |" for name, version in told["versions"].items()]
    return "\n".join([*lines, ""])
