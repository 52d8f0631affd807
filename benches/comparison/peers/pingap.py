"""pingap, on pingora as the gateway is. The newest version that builds here has no OpenID Connect: who is signed in has a JWT with a shared secret in a cookie."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import shutil
import time

from .. import checks
from ..machine import REPOSITORY, version
from . import PAGE, Peer


def executable():
    own = REPOSITORY / "target/bench/pingap/bin/pingap"
    return str(own) if os.access(own, os.X_OK) else shutil.which("pingap") or ""


class Pingap(Peer):
    name = "pingap"
    package = "pingap (Cargo)"
    port_name = "pingap"

    @classmethod
    def version(cls):
        return version(r"(\d+\.\d+\.\d+)", executable(), "--version") if executable() else ""

    def command(self):
        keys, self.secret = self.world.folder, secrets.token_hex(32)
        (self.home / "pingap.toml").write_text(f"""
[basic]
threads = 1
log_level = "error"
pid_file = "{self.home}/pingap.pid"
upgrade_sock = "{self.home}/upgrade.sock"
upstream_keepalive_pool_size = 256

[certificates.edge]
domains = "localhost"
tls_cert = "{keys}/server.pem"
tls_key = "{keys}/server.key"
is_default = true

[upstreams.origin]
addrs = ["127.0.0.1:{self.world.upstream_port}"]
idle_timeout = "1h"

[plugins.session]
category = "jwt"
cookie = "session"
secret = "{self.secret}"
algorithm = "HS256"
auth_path = "/login"

[plugins.token]
category = "jwt"
header = "Authorization"
secret = "{self.secret}"
algorithm = "HS256"
auth_path = "/login"

[plugins.elsewhere]
category = "redirect"
prefix = "/elsewhere"
http_to_https = true
status = 302

[locations.open]
upstream = "origin"
path = "/"
enable_reverse_proxy_headers = true

[locations.signed]
upstream = "origin"
path = "/signed"
plugins = ["session"]
enable_reverse_proxy_headers = true

[locations.api]
upstream = "origin"
path = "/api"
plugins = ["token"]
enable_reverse_proxy_headers = true

[locations.stranger]
upstream = "origin"
path = "/stranger"
plugins = ["elsewhere"]

[servers.edge]
addr = "127.0.0.1:{self.port}"
locations = ["open", "signed", "api", "stranger"]
threads = 1
global_certificates = true
enabled_h2 = true
tls_min_version = "tls1.3"
""")
        os.chmod(self.home / "pingap.toml", 0o600)
        return [executable(), "-c", self.home / "pingap.toml"]

    def _token(self):
        """As large as an ID token of the provider, signed with the secret."""
        now = int(time.time())
        claims = {
            "iss": self.world.provider.issuer, "sub": "alice", "aud": "bench", "iat": now, "exp": now + 86_400, "email": "alice@example.com",
            "email_verified": True, "name": "Alice Liddell", "groups": ["staff", "admins"],
        }
        encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
        signed = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        return f"{signed}.{encode(hmac.new(self.secret.encode(), signed.encode(), hashlib.sha256).digest())}"

    def session(self, protocol):
        token = self._token()
        cookie = {"Cookie": f"session={token}"}
        url = f"{self.base}/signed/echo"

        def check():
            checks.reaches(url, cookie, "pingap", protocol, cookie=cookie["Cookie"])
            checks.refused(url, {"Cookie": "session=" + checks.flipped(token, len(token) - 20)}, (401,), "pingap", protocol)

        return [self.case("session cookie (jwt plugin, HS256)", "/signed/1k", cookie, check, protocol)]

    def tokens(self):
        value = f"Bearer {self._token()}"
        url = f"{self.base}/api/echo"

        def check():
            checks.reaches(url, {"Authorization": value}, "pingap", authorization=value)
            checks.refused(url, {"Authorization": checks.flipped_token(value)}, (401,), "pingap")

        return [self.case("bearer token, verified each time, HS256", "/api/1k", {"Authorization": value}, check)]

    def stranger(self):
        def check():
            location, _ = checks.answers(f"{self.base}/stranger/1k", PAGE, 302, "pingap")
            if "/elsewhere" not in location:
                raise checks.Failed(f"pingap: a stranger is sent to {location}")

        return [self.case("redirect (redirect plugin)", "/stranger/1k", PAGE, check)]
