"""HAProxy: forwards, and verifies a bearer token for each request (it remembers none)."""

from .. import checks
from ..machine import version
from . import Peer


class HAProxy(Peer):
    name = "HAProxy"
    package = "haproxy"

    @classmethod
    def version(cls):
        return version(r"version (\S+)", "haproxy", "-v")

    def command(self):
        key = self.world.provider.public_key("RS256")
        issuer = self.world.provider.issuer
        (self.home / "haproxy.cfg").write_text(f"""global
  nbthread 1
  maxconn 8000
  tune.ssl.default-dh-param 2048
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
frontend edge
  bind 127.0.0.1:{self.port} ssl crt {self.world.folder}/server.both alpn h2,http/1.1 ssl-min-ver TLSv1.3 curves X25519
  option forwardfor
  acl api path_beg /api/
  http-request set-var(txn.bearer) http_auth_bearer if api
  http-request deny deny_status 401 if api !{{ var(txn.bearer),jwt_header_query('$.alg') -m str RS256 }}
  http-request deny deny_status 401 if api !{{ var(txn.bearer),jwt_verify("RS256","{key}") -m int 1 }}
  http-request deny deny_status 401 if api !{{ var(txn.bearer),jwt_payload_query('$.iss') -m str {issuer} }}
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int') if api
  http-request set-var(txn.now) date() if api
  http-request deny deny_status 401 if api {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
  default_backend origin
backend origin
  server origin 127.0.0.1:{self.world.upstream_port} pool-max-conn 1000
""")
        return ["haproxy", "-W", "-f", self.home / "haproxy.cfg"]

    def tokens(self):
        value = self.world.tokens("RS256").line(0)[1]

        def check():
            checks.reaches(f"{self.base}/api/echo", {"Authorization": value}, self.name, authorization=value)
            checks.refused(f"{self.base}/api/echo", {"Authorization": checks.flipped_token(value)}, (401,), self.name)

        return [self.case("bearer token, verified each time, RS256", "/api/1k", {"Authorization": value}, check)]
