"""Pingora with empty filters (`examples/bare_pingora.rs`): what is left of the gateway when it does nothing of its own."""

import re
import shutil
import subprocess

from ..machine import REPOSITORY, TARGET
from ..programs import Failed
from . import Peer

BINARY = TARGET / "release" / "examples" / "bare_pingora"


class Pingora(Peer):
    name = "Pingora"
    package = "cargo build --release --locked --example bare_pingora"

    @classmethod
    def version(cls):
        found = re.search(r'name = "pingora"\nversion = "([^"]+)"', (REPOSITORY / "Cargo.lock").read_text())
        return found.group(1) if found and (BINARY.exists() or shutil.which("cargo")) else ""

    def command(self):
        if not BINARY.exists() and subprocess.run(self.package.split(), cwd=REPOSITORY, check=False).returncode:
            raise Failed("examples/bare_pingora does not build")
        keys = self.world.folder
        return [BINARY, f"127.0.0.1:{self.port}", f"127.0.0.1:{self.world.upstream_port}", keys / "server.pem", keys / "server.key"]
