"""CPU time of the gateway for each request, next to other proxies, on one page: docs/performance.md.

Upstream, identity provider and load generator share one core; the proxy that is measured has another. The cases of a group
alternate within each round, so that whatever else the machine is doing falls on all of them, and are compared as ratios.
What is missing is installed by `script/bootstrap --bench`.
"""

import os
import shutil
import signal
import sys
import time

from . import bare, developer, measure, memory, report
from .groups import GROUPS
from .machine import TARGET
from .options import parse
from .peers import known
from .programs import Failed
from .provider import node
from .world import World


def say(text):
    print(text, file=sys.stderr, flush=True)


def missing(options):
    """What this run needs and does not find."""
    programs = ["nginx", "openssl", "redis-server", "redis-cli", "taskset"]
    if not options.check:
        programs += ["wrk", "h2load"]
    if options.profile:
        programs.append("perf")
    if options.instructions:
        programs += ["valgrind", "callgrind_annotate"]
    lacking = [program for program in programs if not shutil.which(program)]
    lacking += [kind.name for kind in known() if kind.name.lower() in options.peers and not kind.version()]
    return lacking + ([] if node() else ["node"])


def main(arguments):
    options = parse(arguments, __doc__)
    # Where only root's path leads.
    os.environ["PATH"] += ":/usr/sbin"
    # So that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if lacking := missing(options):
        hint = "script/bootstrap" if options.check else "script/bootstrap --bench"
        say(f"script/bench: missing: {', '.join(lacking)}; {hint} installs what Debian, PyPI and Cargo have of it")
        return 1
    try:
        return run(options)
    except Failed as failure:
        say(f"script/bench: {failure}")
        return 1


def run(options):
    begin = time.monotonic()
    if options.check:
        return check(options)
    if options.profile or options.instructions:
        with World(options) as world:
            (developer.profile if options.profile else developer.instructions)(world, options.profile or options.instructions, say)
        return 0
    results = report.Results(options)
    results.bare = bare.verification(options, say)
    try:
        with World(options) as world:
            for group in GROUPS:
                if group.name in options.scenarios:
                    say(f"{group.title}  [{time.monotonic() - begin:.0f} s]")
                    results.add(group, *measure.group(world, group, options, say))
            if "memory" in options.scenarios:
                results.memory = memory.measure(world, say)
            results.left_out += world.left_out
    except Failed:
        # Half a run is of use to whoever looks for what went wrong, and no page.
        options.output = TARGET / "bench"
        report.write(results, options)
        raise
    report.write(results, options)
    say(f"{time.monotonic() - begin:.0f} s in all; {options.output / 'performance.md'}")
    return 0


def check(options):
    """Our own scenarios, without load."""
    begin = time.monotonic()
    with World(options) as world:
        for group in GROUPS:
            if group.name in options.scenarios:
                for case in group.cases(world):
                    case.check()
                    say(f"  ok  {case.key}")
    say(f"every scenario answers as it should, {time.monotonic() - begin:.0f} s")
    return 0
