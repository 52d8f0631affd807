"""What the gateway holds of the memory, and how soon it answers; beside it, what others hold for an idle connection.

Each figure is of a process of its own that has done nothing else, from its proportional set size (PSS) when that has settled.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from . import checks, load, sealed
from .browser import Browser
from .gateway import Gateway
from .ours import PAGE
from .peers import known
from .programs import Failed, free_port
from .scenarios import H1, H2, OURS

IDLE = Path(__file__).with_name("idle.py")
STARTS = 5


def measure(world, say):
    """Name → figure with its unit, in the order of the page."""
    say("Memory")
    found = {}
    found["start"] = _start(world)
    found["idle"] = _idle(world, say)
    found["rules"] = _rules(world)
    found["logins"] = _unfinished_logins(world)
    found["sessions"] = _sessions(world)
    return found


def _first_answer(base):
    """Until the first answer of the target has come through."""
    browser = Browser()
    try:
        status, _, body = browser.request(f"{base}/open/1k")
        if status != 200 or len(body) != 1024:
            raise Failed(f"the first answer is {status}")
    finally:
        browser.close()


def _start(world):
    times, resident = [], []
    for number in range(STARTS):
        gateway = Gateway(world, f"start {number}")
        gateway.start()
        _first_answer(gateway.base)
        times.append((time.monotonic() - gateway.program.begun) * 1000)
        gateway.program.settled_memory()
        resident.append(gateway.program.resident())
        world.stop(gateway.program)
    return {"first_answer_milliseconds": round(statistics.median(times), 1), "resident_bytes": statistics.median(resident)}


def _held(world, program, port, count, protocol):
    """Bytes for each of so many idle connections."""
    def connections(number):
        command = ["taskset", "-c", world.load_core, sys.executable, IDLE, str(port), str(number), protocol, "/open/1k"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **world.clients})
        if process.stdout.readline() != b"held\n":
            raise Failed(f"{program.name}: idle connections: {process.communicate()[1].decode().strip().splitlines()[-1:]}")
        return process

    # The first ones pay for what all of them use.
    first = connections(50)
    before = program.settled_memory()
    rest = connections(count)
    after = program.settled_memory()
    for process in (first, rest):
        process.communicate()
    return (after - before) / count


def _idle(world, say):
    count, found = world.options.memory_connections, []
    makers = [(OURS, lambda: Gateway(world, "idle"))]
    makers += [(kind.name, lambda kind=kind: kind(world, free_port())) for kind in known() if kind.name.lower() in world.options.peers]
    for name, make in makers:
        for protocol in (H1, H2):
            try:
                proxy = make()
                proxy.start()
                found.append({"program": name, "protocol": protocol, "connections": count, "bytes": round(_held(world, proxy.program, proxy.port, count, protocol))})
                world.stop(proxy.program)
            except Failed as failure:
                if name == OURS:
                    raise
                say(f"  left out: {name}, idle over {protocol}: {failure}")
    return found


def _rules(world):
    sizes = {}
    for rules in (10, 10_000):
        gateway = Gateway(world, f"rules in memory {rules}", rules)
        gateway.start()
        _first_answer(gateway.base)
        sizes[rules] = gateway.program.settled_memory()
        world.stop(gateway.program)
    return {"bytes_per_rule": round((sizes[10_000] - sizes[10]) / 9_990)}


def _unfinished_logins(world):
    """Strangers by the ten thousand, after as many that have warmed everything up."""
    gateway = Gateway(world, "strangers")
    gateway.start()
    url = f"{gateway.base}/signed/1k"
    checks.answers(url, PAGE, 302, "a stranger")
    load.wrk(world.clients, url, 2, PAGE)
    before = gateway.program.settled_memory()
    done = load.wrk(world.clients, url, 2, PAGE)
    after = gateway.program.settled_memory()
    world.stop(gateway.program)
    return {"logins": done.requests, "bytes_per_login": round((after - before) / done.requests, 1)}


def _sessions(world):
    """In the gateway's memory by real logins; in Redis by sealed ones."""
    found = {"cookie": {"bytes_per_session": 0}}
    gateway = world.gateway("memory")
    count = 100 if world.options.quick else 1_500
    _logins(gateway, 50)
    before = gateway.program.settled_memory()
    _logins(gateway, count)
    found["memory"] = {"bytes_per_session": round((gateway.program.settled_memory() - before) / count), "sessions": count}
    sealed.in_redis(world, world.options.redis_sessions)
    found["redis"] = {
        "bytes_per_session": round((world.redis_memory() - world.redis_memory_at_start) / world.options.redis_sessions), "sessions": world.options.redis_sessions,
    }
    found["cookie"] |= _remembered(world)
    return found


def _remembered(world):
    """What a gateway keeps in mind of people whose sessions are in their cookies, so that it need not read them again."""
    people = sealed.cookies(world, world.options.session_counts[1])
    gateway = Gateway(world, "people")
    gateway.start()
    url = f"{gateway.base}/signed/1k"
    load.wrk(world.clients, url, 1, {"Cookie": people.line(0)[1]})
    before = gateway.program.settled_memory()
    load.each_once(world.clients, url, people)
    found = {"people": people.count, "remembered_bytes": gateway.program.settled_memory() - before, "mean_cookie_header_bytes": round(people.mean_length())}
    world.stop(gateway.program)
    return found


def _logins(gateway, count):
    browser = Browser()
    for _ in range(count):
        browser.cookies.pop(gateway.base.removeprefix("https://"), None)
        status, _ = browser.follow(f"{gateway.base}/signed/1k")
        if status != 200:
            raise Failed(f"a login ended with {status}")
    browser.close()
