"""Programs that a run starts on one core each, what they have used of it, and what they hold of the memory."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A run that cannot go on, in words for whoever started it."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """One program and all its processes."""

    def __init__(self, name, core, command, folder, environment=None):
        self.name = name
        self.log = Path(folder) / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.log"
        self.begun = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", core, *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env={**os.environ, **(environment or {})}, start_new_session=True,
            )

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def wait_for(self, port, seconds=20):
        """Until it accepts connections; the seconds that it took since it was started."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended with status {self.process.returncode}:\n{self.tail()}")
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return time.monotonic() - self.begun
            time.sleep(0.001)
        raise Failed(f"{self.name} does not listen on port {port}:\n{self.tail()}")

    def processes(self):
        """Its own and those that it has begun."""
        children = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(stat.parent.name))
        found = [self.process.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def cpu(self):
        return ProcessorTime(self.processes())

    def memory(self):
        """Bytes of all its processes; a page that several of them share counts once (PSS)."""
        return sum(_kilobytes(f"/proc/{pid}/smaps_rollup", "Pss") for pid in self.processes()) * 1024

    def settled_memory(self):
        """The same when it has stopped changing, or after ten seconds."""
        before, end = self.memory(), time.monotonic() + 10
        steady = 0
        while steady < 3 and time.monotonic() < end:
            time.sleep(0.3)
            now = self.memory()
            steady = steady + 1 if abs(now - before) <= 64 * 1024 else 0
            before = now
        return before

    def resident(self):
        return sum(_kilobytes(f"/proc/{pid}/status", "VmRSS") for pid in self.processes()) * 1024

    def stop(self):
        if self.process.poll() is not None:
            return
        processes = self.processes()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        for pid in processes[1:]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


class ProcessorTime:
    """User and system time of some processes at one moment."""

    def __init__(self, processes):
        self.threads = {}
        self.ticks = {}
        for pid in processes:
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                self.ticks[pid] = (int(fields[11]), int(fields[12]))
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    with contextlib.suppress(OSError):
                        self.threads[thread.name] = int((thread / "schedstat").read_text().split()[0])

    def since(self, before):
        """Seconds. The scheduler's nanoseconds, unless a thread has ended meanwhile and taken its own along: then the clock's ticks."""
        if before.threads.keys() <= self.threads.keys():
            return sum(now - before.threads.get(thread, 0) for thread, now in self.threads.items()) / 1e9
        return sum(sum(now) - sum(before.ticks.get(pid, (0, 0))) for pid, now in self.ticks.items()) / TICK

    def system_share_since(self, before):
        """How much of it the kernel has used."""
        user, system = (sum(now[part] - before.ticks.get(pid, (0, 0))[part] for pid, now in self.ticks.items()) for part in (0, 1))
        return system / (user + system) if user + system else 0.0


def _kilobytes(path, name):
    try:
        found = re.search(rf"^{name}:\s+(\d+)", Path(path).read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0
