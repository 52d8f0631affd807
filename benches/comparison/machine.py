"""The machine and the programs, as the page tells of them: never a path or a name of this installation."""

import os
import platform
import re
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
_CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE = str(_CORES[0])
# Upstream, provider and load generator share this one.
LOAD_CORE = str(_CORES[-1])


def describe():
    """What somebody has to know who compares two runs."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*:\s*(.+)", file.read())
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(re.search(r"MemTotal:\s+(\d+)", file.read()).group(1)) // 2**20
    return {
        "cpu": model.group(1).strip() if model else platform.machine(),
        "cores": len(_CORES),
        "memory_gib": memory + 1,
        "kernel": platform.release(),
        "distribution": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
    }


def first_line(*command):
    """What a program says of its version, on whichever stream it says it."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else ""


def version(pattern, *command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found.group(1) if found else "unknown"
