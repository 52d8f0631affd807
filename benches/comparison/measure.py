"""Runs groups: each case checks itself, is warmed up, and then has its turn in every round."""

import time
from pathlib import Path

from .figures import Rounds
from .machine import PROXY_CORE
from .programs import TICK, Failed
from .scenarios import OURS

# A client that is starved for a moment gives up; twice is no accident.
ATTEMPTS = 2


def group(world, chosen, options, say):
    """Key → Rounds, and what was left out. A case that fails takes the run down with it if it is ours, and is left out with a word if it is a peer's."""
    measured, left_out = {}, []

    def tried(case, act):
        try:
            act()
        except Failed as failure:
            if case.program_name == OURS:
                raise
            measured.pop(case.key, None)
            left_out.append(f"{case.key}: {failure}")
            say(f"  left out: {left_out[-1]}")
        else:
            return True
        return False

    def ready(case):
        case.check()
        case.prepare()
        case.load(options.warm_up)

    cases = [case for case in chosen.cases(world) if tried(case, lambda: ready(case))]
    measured |= {case.key: Rounds(case) for case in cases}
    begin = time.monotonic()
    rounds = (options.rounds + 1) // 2 if chosen.is_brief else options.rounds
    for number in range(rounds):
        cases = [case for case in cases if tried(case, lambda: one_round(case, measured[case.key], options.seconds))]
        say(f"  round {number + 1} of {rounds}, {time.monotonic() - begin:.0f} s")
    return measured, left_out


def one_round(case, rounds, seconds):
    program = case.program()
    for attempt in range(ATTEMPTS):
        busy, before = core_seconds(), program.cpu()
        try:
            done = case.load(seconds)
        except Failed:
            if attempt + 1 == ATTEMPTS:
                raise
            continue
        used = program.cpu()
        others = max(0.0, core_seconds() - busy - used.since(before))
        rounds.add(done, used.since(before), used.system_share_since(before), others / done.seconds)
        return


def core_seconds():
    """How long the core of the proxies has been busy with anything, and how long something outside of this machine has had it."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{PROXY_CORE} "))
    user, nice, system, _, _, interrupt, soft_interrupt, stolen = map(int, line.split()[1:9])
    return (user + nice + system + interrupt + soft_interrupt + stolen) / TICK
