"""Runs groups: each case checks itself, is warmed up, and then has its turn in every round."""

import time

from .figures import Rounds
from .programs import Failed


def group(world, chosen, options, say):
    """Key → Rounds. A case that fails its check takes the run down with it if it is ours, and is left out with a word if it is a peer's."""
    from .scenarios import OURS

    cases, left_out = [], []
    for case in chosen.cases(world):
        try:
            case.check()
            case.prepare()
            case.load(options.warm_up)
            cases.append(case)
        except Failed as failure:
            if case.program_name == OURS:
                raise
            left_out.append(f"{case.key}: {failure}")
            say(f"  left out: {left_out[-1]}")
    measured = {case.key: Rounds(case) for case in cases}
    begin = time.monotonic()
    for number in range(options.rounds):
        for case in cases:
            one_round(case, measured[case.key], options.seconds)
        say(f"  round {number + 1} of {options.rounds}, {time.monotonic() - begin:.0f} s")
    return measured, left_out


def one_round(case, rounds, seconds):
    program = case.program()
    before = program.cpu()
    done = case.load(seconds)
    after = program.cpu()
    rounds.add(done, after.since(before), after.system_share_since(before))
