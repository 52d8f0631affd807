"""Load, always in a closed loop: what is waited for is asked again at once. wrk over HTTP/1.1, h2load over HTTP/2."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .machine import LOAD_CORE
from .programs import Failed

CONNECTIONS = 64
H2_CONNECTIONS, H2_STREAMS = 8, 8
LUA = Path(__file__).with_name("requests.lua")
OPENSSL = """openssl_conf = init
[init]
ssl_conf = modules
[modules]
system_default = tls
[tls]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_256_GCM_SHA384
Groups = X25519
"""


@dataclass
class Load:
    """What one round has done."""

    requests: int
    seconds: float
    # Milliseconds by percentile.
    latency: dict


def environment(folder):
    """Every client of the same TLS 1.3: one suite, one group."""
    path = folder / "openssl.cnf"
    path.write_text(OPENSSL)
    return {"OPENSSL_CONF": str(path)}


def _milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


def _run(command, extra):
    done = subprocess.run(
        ["taskset", "-c", LOAD_CORE, *map(str, command)], capture_output=True, text=True, check=False, env={**os.environ, **extra}, timeout=600,
    )
    if done.returncode:
        raise Failed(f"{command[0]} ended with status {done.returncode}: {done.stderr.strip()[-400:]}")
    return done.stdout


def wrk(extra, url, seconds, headers=None, slots=None, order="random", first=0, count=None, status="2"):
    """`status` begins every answer's status; with "once" the round ends when the slots do."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", "--latency"]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    if slots:
        command += ["-s", LUA, url, "--", slots.path, slots.slot, first, count or slots.count, order]
    else:
        command.append(url)
    out = _run(command, extra)
    requests, passed = re.search(r"(\d+) requests in ([\d.]+\w+)", out).groups()
    failed = re.search(r"Socket errors: (.*)", out)
    # wrk counts 302 as good.
    others = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    if int(requests) == 0 or (others and status != "4"):
        raise Failed(f"answers other than {status}xx: {out.strip()[-300:]}")
    if failed and any(int(number) for number in re.findall(r"(?:connect|write|timeout) (\d+)", failed.group(1))):
        raise Failed(f"wrk: {failed.group(0)}")
    latency = {name: _milliseconds(value) for name, value in re.findall(r"^\s+(50|90|99)%\s+(\S+)", out, re.MULTILINE)}
    return Load(int(requests), _milliseconds(passed) / 1000, latency)


def each_once(extra, url, slots, piece=8):
    """Every slot at least once, one after the other, for as long as that takes."""
    at, rate = 0, 0.0
    while at < slots.count:
        seconds = min(piece, max(1, int((slots.count - at) / rate) + 1)) if rate else 1
        done = wrk(extra, url, seconds, slots=slots, order="cycle", first=at, count=slots.count - at)
        # Those on the way at the end are asked for again.
        at, rate = at + done.requests, max(rate, done.requests / done.seconds)


def h2load(extra, url, seconds, headers=None):
    command = ["h2load", "-t1", f"-c{H2_CONNECTIONS}", f"-m{H2_STREAMS}", f"-D{seconds}", "--warm-up-time=0"]
    log = Path(extra["OPENSSL_CONF"]).with_name("h2load.log")
    log.unlink(missing_ok=True)
    command += [f"--log-file={log}"]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    out = _run([*command, url], extra)
    if "Application protocol: h2" not in out:
        raise Failed(f"no HTTP/2 at {url}: {out[-300:]}")
    counts = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out)
    good, *others = map(int, counts.groups())
    if good == 0 or any(others):
        raise Failed(f"answers other than 2xx: {counts.group(0)}")
    times = sorted(int(line.rsplit("\t", 1)[1]) for line in log.read_text().splitlines() if line)
    latency = {name: times[min(len(times) - 1, len(times) * int(name) // 100)] / 1000 for name in ("50", "90", "99")} if times else {}
    return Load(good, float(seconds), latency)
