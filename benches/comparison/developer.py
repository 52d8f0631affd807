"""For whoever makes the gateway faster: where the time of one case goes, and how many instructions a request takes."""

import re
import subprocess

from .browser import Browser
from .groups import GROUPS
from .programs import Failed
from .scenarios import H1, OURS

SHOWN = 40
REQUESTS = 300


def names(world):
    """GROUP/SCENARIO of each case of ours."""
    return {f"{group.name}/{case.scenario}": case for group in GROUPS if group.name in world.options.scenarios for case in group.cases(world) if case.program_name == OURS}


def chosen(world, wanted, say):
    """The case of that name; `None` when the names were asked for."""
    group = wanted.partition("/")[0]
    if group in [one.name for one in GROUPS]:
        world.options.scenarios = [group]
    cases = names(world)
    if wanted == "list":
        for name in cases:
            say(name)
        return None
    if wanted not in cases:
        raise Failed(f"there is no case {wanted!r}; there are: {', '.join(cases)}")
    case = cases[wanted]
    case.check()
    case.prepare()
    return case


def profile(world, wanted, say):
    """A table of functions by their share of the samples."""
    if not (case := chosen(world, wanted, say)):
        return
    case.load(world.options.warm_up)
    data = world.folder / "perf.data"
    seconds = max(world.options.seconds, 5)
    # Virtual machines often have no counters; the clock will do.
    recorder = subprocess.Popen(
        ["perf", "record", "--quiet", "-e", "cpu-clock", "-F", "1999", "-p", str(case.program().process.pid), "-o", str(data), "--", "sleep", str(seconds)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    case.load(seconds + 1)
    errors = recorder.communicate()[1].decode()
    if recorder.returncode:
        raise Failed(f"perf record: {errors.strip()[-300:]}")
    report = subprocess.run(
        ["perf", "report", "-i", str(data), "--stdio", "--no-children", "--percent-limit", "0.3", "--sort", "dso,symbol"], capture_output=True, text=True, check=False,
    ).stdout
    lines = [re.sub(r"\s+-\s+-\s*$", "", line) for line in report.splitlines() if line and not line.startswith("#")]
    print("\n".join(lines[:SHOWN]))


def _asker(world, case):
    """Asks some hundred times over one connection that stays, or with the load of the case; how often."""
    if case.request is None or case.protocol != H1:
        return lambda: case.load(world.options.seconds * 3).requests
    browser = Browser()
    url, headers = case.request

    def ask():
        for _ in range(REQUESTS):
            browser.cookies.clear()
            browser.request(url, headers() if callable(headers) else headers)
        return REQUESTS

    return ask


def instructions(world, wanted, say):
    """Instructions for each request, and the functions that take most of them. Under valgrind, so the rates mean nothing."""
    out = world.folder / "callgrind.out"
    world.prefix = [
        "valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "--trace-children=no", "--max-threads=2000",
    ]
    if not (case := chosen(world, wanted, say)):
        return
    pid = str(case.program().process.pid)
    ask = _asker(world, case)
    ask()
    subprocess.run(["callgrind_control", "-i", "on", pid], check=True, capture_output=True)
    requests = ask()
    subprocess.run(["callgrind_control", "-i", "off", pid], check=True, capture_output=True)
    subprocess.run(["callgrind_control", "-d", pid], check=True, capture_output=True)
    files = sorted(world.folder.glob("callgrind.out*"), key=lambda file: file.stat().st_size)
    told = subprocess.run(["callgrind_annotate", "--inclusive=no", files[-1]], capture_output=True, text=True, check=False).stdout
    total = next((int(line.split()[0].replace(",", "")) for line in told.splitlines() if "PROGRAM TOTALS" in line), None)
    if total is None:
        raise Failed("callgrind has counted nothing")
    print(f"{wanted}: {total / requests:,.0f} instructions for each of {requests:,} requests\n")
    begin = next((number for number, line in enumerate(told.splitlines()) if "file:function" in line), 0)
    print("\n".join(told.splitlines()[begin:begin + SHOWN]))
