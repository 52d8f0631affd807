"""The gateway under test: its configurations, which differ in as little as the scenario asks for."""

import base64
import json
import os
import secrets
import subprocess

from .browser import Browser
from .programs import Failed, Program, free_port
from .provider import AUDIENCE

COOKIE = "AWSELBAuthSessionCookie"
PROVIDER_NAME = "op"
MOST = 2**32 - 1


def make_keys(folder, binary):
    """A certificate of P-256 that every proxy of the run shows, and what the gateway signs and seals with."""
    for command in (
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "server.key", "-out", folder / "server.pem"],
        [binary, "keys", "signing", folder / "signing.key"],
    ):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{command[0]}: {done.stderr.strip()[-400:]}")
    (folder / "session.key").write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    # HAProxy wants both in one file.
    (folder / "server.both").write_bytes((folder / "server.pem").read_bytes() + (folder / "server.key").read_bytes())
    for name in ("server.key", "session.key", "signing.key", "server.both"):
        os.chmod(folder / name, 0o600)


class Gateway:
    """One process of it."""

    def __init__(self, world, name, rules=10, store=None, port=None):
        self.world, self.name = world, name
        self.port, self.admin = port or free_port(), free_port()
        self.base = f"https://localhost:{self.port}"
        self.file = world.folder / f"{name.replace(' ', '-')}.yaml"
        # JSON is YAML.
        self.file.write_text(json.dumps(self._configuration(rules, store or {}), indent=1))
        os.chmod(self.file, 0o600)
        self.program = None

    def start(self, prefix=()):
        """The seconds until it listens."""
        binary = self.world.options.binary
        self.program = Program(self.name, self.world.proxy_core, [*prefix, binary, "serve", "--config", self.file], self.world.folder)
        self.world.started.append(self.program)
        return self.program.wait_for(self.port, 300 if prefix else 60)

    def _configuration(self, rules, store):
        provider, forward = self.world.provider, {"forward": "origin"}
        sign_in = {"identity_provider": PROVIDER_NAME, "scope": "openid email profile groups"}
        tokens = {**sign_in, "on_unauthenticated_request": "deny", "bearer_tokens": {"audiences": [AUDIENCE], "scopes": ["read"]}}

        def rule(priority, path, *actions):
            return {"priority": priority, "conditions": [{"path_pattern": [path]}], "actions": list(actions)}

        return {
            "listeners": [{
                "address": f"127.0.0.1:{self.port}",
                # One address asks for everybody.
                "limits": {
                    "connections": 100_000, "connections_per_address": 100_000, "sign_ins_per_address": MOST, "failures_per_address": MOST,
                    "idle_timeout": "1h",
                },
                "certificates": [{"certificate": "server.pem", "private_key": "server.key"}],
                "rules": [
                    *(rule(number + 1, f"/service{number}/*", forward) for number in range(rules - 2)),
                    rule(49_998, "/open/*", forward),
                    rule(49_999, "/api/*", {"authenticate": tokens}, forward),
                ],
                "default_actions": [{"authenticate": sign_in}, forward],
            }],
            "identity_providers": {PROVIDER_NAME: {
                "type": "oidc", "issuer": provider.issuer, "client_id": provider.client_id, "client_secret": provider.client_secret,
            }},
            "target_groups": {"origin": {"targets": [f"127.0.0.1:{self.world.upstream_port}"]}},
            # Everybody of a million who come again.
            "sessions": {"keys": [{"file": "session.key"}], "remembered_bytes": 8 * 2**30, **store},
            "identity_headers": {"signing_key": {"file": "signing.key"}},
            "admin": {"address": f"127.0.0.1:{self.admin}"},
            "access_log": {"path": "/dev/null"},
        }

    def callback(self):
        return f"{self.base}/oauth2/idpresponse"

    def sign_in(self):
        """A browser with a session that the gateway has let through, in whose name the target was asked."""
        browser = Browser()
        status, body = browser.follow(f"{self.base}/signed/echo")
        if status != 200 or json.loads(body)["identity"] != "alice":
            raise Failed(f"{self.name}: the sign-in ended with {status}: {body[:300]}")
        return browser
