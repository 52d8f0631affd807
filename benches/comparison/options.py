"""What is typed after `script/bench`."""

import argparse
from pathlib import Path

from .groups import GROUPS
from .machine import REPOSITORY, TARGET
from .peers import known

NAMES = [group.name for group in GROUPS]


def parse(arguments, description):
    peers = [kind.name.lower() for kind in known()]
    parser = argparse.ArgumentParser(prog="script/bench", description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    listed = lambda text: [word for word in text.split(",") if word]
    parser.add_argument("--peers", type=listed, default=peers, help=f"which of {','.join(peers)}; an empty text: none")
    parser.add_argument("--scenarios", type=listed, default=[*NAMES, "memory"], help=f"which of {','.join(NAMES)},memory")
    parser.add_argument("--rounds", type=int, default=6, help="of each group; half of them for bodies and handshakes")
    parser.add_argument("--seconds", type=int, default=2, help="of a round of each case")
    parser.add_argument("--binary", type=Path, help="default: target/release/vestibule, with --check target/debug/vestibule")
    parser.add_argument("--sealer", type=Path, help="examples/seal_sessions, built; default: beside the binary, built if need be")
    parser.add_argument("--output", type=Path, help="folder for performance.md and performance/; default: docs, and target/bench for less than everything")
    parser.add_argument("--quick", action="store_true", help="two rounds of one second and fewer people: to try the bench itself")
    parser.add_argument("--check", action="store_true", help="only what each of our own scenarios shows before it is measured")
    parser.add_argument("--bare-verification", metavar="RS256,ES256", help="microseconds of aws-lc-rs alone, instead of running `cargo bench --bench hot_path`")
    parser.add_argument("--profile", metavar="CASE", help="where the time of one case goes (perf); `list` names the cases")
    parser.add_argument("--instructions", metavar="CASE", help="instructions for each request of one case (valgrind)")
    options = parser.parse_args(arguments)
    for name, allowed in (("peers", peers), ("scenarios", [*NAMES, "memory"])):
        for word in getattr(options, name):
            if word not in allowed:
                parser.error(f"--{name}: there is no {word}; there are {', '.join(allowed)}")
    if options.rounds < 1 or options.seconds < 1:
        parser.error("at least one round of one second")
    _complete(options, parser)
    return options


def _complete(options, parser):
    build = "debug" if options.check else "release"
    options.binary = (options.binary or TARGET / build / "vestibule").resolve()
    if not options.binary.exists():
        hint = "cargo build --locked" + (" --release" if build == "release" else "")
        parser.error(f"there is no {options.binary.name} to measure: {hint}, or --binary PATH")
    whole = set(options.scenarios) >= {*NAMES, "memory"} and len(options.peers) == len(known()) and not options.quick
    options.output = options.output or (REPOSITORY / "docs" if whole else TARGET / "bench")
    options.sealer = options.sealer.resolve() if options.sealer else None
    options.bare = tuple(map(float, options.bare_verification.split(","))) if options.bare_verification else None
    options.warm_up = 1
    options.session_counts = (1, 100_000, 1_000_000)
    options.redis_sessions = 100_000
    options.memory_connections = 1_000
    if options.quick:
        options.rounds, options.seconds = 2, 1
        options.session_counts, options.redis_sessions, options.memory_connections = (1, 2_000, 10_000), 2_000, 300
    if options.profile or options.instructions:
        options.peers = []
    if options.check:
        options.session_counts, options.redis_sessions = (1, 50), 50
        options.peers = []
    # Verifying takes some 50 µs, and the rest of a request more than 10.
    options.tokens = 20 if options.check else 2 + 14_000 * options.seconds * (options.rounds + 1)
