"""What verifying one signature costs aws-lc-rs and nothing else: from benches/hot_path/, on the core of the proxies."""

import json
import shutil
import subprocess

from .machine import PROXY_CORE, REPOSITORY, TARGET

BENCH = ["cargo", "bench", "--locked", "--quiet", "--bench", "hot_path"]


def verification(options, say):
    """Microseconds by algorithm, and where they are from; `None` where nobody can tell."""
    if options.bare:
        return {"RS256": options.bare[0], "ES256": options.bare[1], "from": "as handed in with --bare-verification"}
    if options.quick or "tokens" not in options.scenarios:
        return None
    if not shutil.which("cargo"):
        say("no cargo, so nothing to compare an unseen token with: --bare-verification RS256,ES256")
        return None
    say("cargo bench --bench hot_path -- aws-lc-rs")
    built = subprocess.run([*BENCH, "--no-run"], cwd=REPOSITORY, check=False)
    ran = subprocess.run(["taskset", "-c", PROXY_CORE, *BENCH, "--", "new token.*alone"], cwd=REPOSITORY, stdout=subprocess.DEVNULL, check=False)
    if built.returncode or ran.returncode:
        say("cargo bench has failed; unseen tokens are compared with nothing")
        return None
    found = _estimates()
    return {**found, "from": "`cargo bench --bench hot_path`, on the core of the proxies, just before"} if len(found) == 2 else None


def _estimates():
    found = {}
    for benchmark in (TARGET / "criterion").glob("**/new/benchmark.json"):
        name = json.loads(benchmark.read_text())["full_id"]
        for algorithm in ("RS256", "ES256"):
            if name.startswith("new token/") and algorithm in name and name.endswith("alone"):
                estimates = json.loads(benchmark.with_name("estimates.json").read_text())
                found[algorithm] = round(estimates["median"]["point_estimate"] / 1000, 2)
    return found
