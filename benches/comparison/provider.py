"""The OpenID Provider of a run (npm `oidc-provider`), and tokens of its keys by the ten thousand."""

import json
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from .machine import PROXY_CORE, REPOSITORY
from .programs import Failed, Program, free_port

SCRIPT = Path(__file__).with_name("provider.mjs")
AUDIENCE = "https://api.example.com"
SLOT = 1536


def node():
    own = REPOSITORY / "target/e2e/python/bin/node"
    return str(own) if own.exists() else shutil.which("node") or ""


class Provider:
    def __init__(self, folder, core):
        self.folder = folder / "provider"
        self.folder.mkdir()
        self.core = core
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.client_id, self.client_secret = "bench", secrets.token_hex(16)
        self.keys = self.folder / "keys.json"
        self._node("keys", self.keys)
        self.program = None

    def _node(self, *arguments, core=None):
        done = subprocess.run(["taskset", "-c", core or self.core, node(), SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"node {arguments[0]}: {done.stderr.strip()[-400:]}")

    def serve(self, redirect_uris):
        """Who signs in comes back to one of these."""
        client = {
            "client_id": self.client_id, "client_secret": self.client_secret, "redirect_uris": redirect_uris, "response_types": ["code"],
            "grant_types": ["authorization_code"], "token_endpoint_auth_method": "client_secret_basic",
        }
        # What posts its secret in the form is another client to the provider.
        posting = {**client, "client_id": "bench-post", "token_endpoint_auth_method": "client_secret_post"}
        settings = self.folder / "serve.json"
        settings.write_text(json.dumps({"port": self.port, "keys": str(self.keys), "clients": [client, posting]}))
        os.chmod(settings, 0o600)
        self.program = Program("provider", self.core, [node(), SCRIPT, "serve", settings], self.folder)
        self.program.wait_for(self.port, 60)

    def jwks(self):
        """The public keys, as programs read them that ask no provider."""
        private = {"d", "p", "q", "dp", "dq", "qi"}
        keys = json.loads(self.keys.read_text())["keys"]
        return {"keys": [{name: value for name, value in key.items() if name not in private} for key in keys]}

    def public_key(self, algorithm):
        """A PEM file, for programs that read no key sets."""
        out = self.folder / f"{algorithm}.pem"
        self._node("public", self.keys, algorithm, out)
        return out

    def key_id(self, algorithm):
        return next(key["kid"] for key in self.jwks()["keys"] if key["alg"] == algorithm)

    def tokens(self, algorithm, count):
        """A file of slots with that many tokens, made on both cores."""
        out = self.folder / f"{algorithm}.tokens"
        now = int(time.time())
        groups = [f"a-group-of-the-company-{index}" for index in range(12)]
        claims = {
            "iss": self.issuer, "sub": "8c1d3a52-4f0e-4a57-9d3b-3d5b2f6f3c11", "aud": AUDIENCE, "client_id": "machine", "scope": "read write",
            "iat": now, "exp": now + 86_400, "username": "alice", "groups": groups,
        }
        parts = []
        half = (count + 1) // 2
        for index, (first, size) in enumerate(((0, half), (half, count - half))):
            part = self.folder / f"{algorithm}.{index}"
            settings = self.folder / f"{algorithm}.{index}.json"
            settings.write_text(json.dumps({
                "keys": str(self.keys), "algorithm": algorithm, "claims": claims, "first": first, "count": size, "slot": SLOT, "out": str(part),
            }))
            core = (self.core, PROXY_CORE)[index]
            parts.append((part, subprocess.Popen(["taskset", "-c", core, node(), str(SCRIPT), "tokens", str(settings)])))
        with open(out, "wb") as whole:
            for part, process in parts:
                if process.wait():
                    raise Failed("the provider's tokens could not be made")
                with open(part, "rb") as piece:
                    shutil.copyfileobj(piece, whole, 2**20)
                part.unlink()
        return Slots(out, SLOT, count)


class Slots:
    """Header lines of many requests, each with its length in front, in slots of one size."""

    def __init__(self, path, slot, count):
        self.path, self.slot, self.count = path, slot, count

    def line(self, index):
        """Name and value."""
        with open(self.path, "rb") as file:
            file.seek(index * self.slot)
            length = int.from_bytes(file.read(4), "little")
            name, _, value = file.read(length).decode().partition(":")
        return name, value.strip()

    def mean_length(self):
        step = max(1, self.count // 1000)
        lengths = [len(self.line(index)[1]) for index in range(0, self.count, step)]
        return sum(lengths) / len(lengths)
