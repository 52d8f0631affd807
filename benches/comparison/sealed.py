"""Sessions of many people for the gateway, sealed without as many logins by `examples/seal_sessions.rs`."""

import shutil
import subprocess

from .gateway import COOKIE, PROVIDER_NAME
from .machine import REPOSITORY, TARGET
from .programs import Failed
from .provider import Slots

SLOT = 1536
REFERENCE_SLOT = 256


def subject(index):
    return f"person-{index:07}"


def sealer(options):
    """The program that seals, built the way the gateway was where it is not there."""
    if options.sealer:
        return options.sealer
    build = "debug" if options.check else "release"
    path = TARGET / build / "examples" / "seal_sessions"
    if not shutil.which("cargo"):
        if path.exists():
            return path
        raise Failed("sessions cannot be sealed without examples/seal_sessions: --sealer PATH")
    command = ["cargo", "build", "--locked", "--quiet", "--example", "seal_sessions", *(["--release"] if build == "release" else [])]
    if subprocess.run(command, cwd=REPOSITORY, check=False).returncode:
        raise Failed("examples/seal_sessions does not build")
    return path


def _seal(world, count, slot, *more):
    out = world.folder / f"sessions-{count}{'-redis' if more else ''}"
    provider = world.provider
    command = [
        world.once("sealer", lambda: sealer(world.options)), "--key", world.folder / "session.key", "--provider", PROVIDER_NAME, "--issuer", provider.issuer, "--client-id", provider.client_id,
        "--count", count, "--slot", slot, "--out", out, *more,
    ]
    done = subprocess.run(list(map(str, command)), input=world.session("gateway"), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{COOKIE}: the sessions could not be sealed: {done.stderr.strip()[-400:]}")
    return Slots(out, slot, count)


def cookies(world, count):
    """Sessions in cookies; a smaller number is the beginning of the largest."""
    most = max(world.options.session_counts)
    everybody = world.once("sessions", lambda: _seal(world, most, SLOT))
    return Slots(everybody.path, SLOT, count)


def in_redis(world, count):
    """References to sessions that are in Redis now."""
    return world.once(("redis sessions", count), lambda: _seal(world, count, REFERENCE_SLOT, "--redis", world.redis()))
