"""Apache with mod_auth_openidc: signs people in with sessions in shared memory (its default), and verifies bearer tokens."""

import os
import secrets

from .. import checks
from ..browser import Browser
from ..machine import version
from ..programs import Failed
from . import PAGE, Peer

MODULES = "/usr/lib/apache2/modules"
LOADED = (
    "mpm_event authn_core authz_core authz_user headers ssl socache_shmcb http2 proxy proxy_http auth_openidc"
).split()


class Apache(Peer):
    name = "Apache"
    package = "apache2-bin libapache2-mod-auth-openidc"
    port_name = "apache"

    @classmethod
    def version(cls):
        if not os.path.exists(f"{MODULES}/mod_auth_openidc.so"):
            return ""
        return version(r"Apache/(\S+)", "apache2", "-v")

    def command(self):
        provider, keys = self.world.provider, self.world.folder
        loads = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED)
        # Key sets it reads over https only, and Debian's version ends with a PEM file of an elliptic curve.
        verified = f"{provider.key_id('RS256')}#{provider.public_key('RS256')}"
        (self.home / "apache.conf").write_text(f"""ServerRoot {self.home}
{loads}
ServerName localhost
Listen 127.0.0.1:{self.port} https
PidFile {self.home}/apache.pid
DefaultRuntimeDir {self.home}
ErrorLog {self.home}/error.log
LogLevel error
StartServers 1
ServerLimit 1
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 128
AsyncRequestWorkerFactor 64
MinSpareThreads 1
MaxSpareThreads 128
KeepAlive On
KeepAliveTimeout 3600
MaxKeepAliveRequests 0
Timeout 60
Protocols h2 http/1.1
SSLProtocol TLSv1.3
SSLOpenSSLConfCmd Groups X25519
SSLSessionCache shmcb:{self.home}/tls(512000)
OIDCProviderMetadataURL {provider.issuer}/.well-known/openid-configuration
OIDCClientID {provider.client_id}
OIDCClientSecret {provider.client_secret}
OIDCProviderTokenEndpointAuth client_secret_basic
OIDCRedirectURI {self.base}/signed/callback
OIDCCryptoPassphrase {secrets.token_hex(32)}
OIDCScope "openid email profile groups"
OIDCRemoteUserClaim sub
OIDCSessionInactivityTimeout 86400
OIDCStateMaxNumberOfCookies 7 true
OIDCOAuthVerifyCertFiles {verified}
OIDCOAuthRemoteUserClaim sub
<VirtualHost 127.0.0.1:{self.port}>
  SSLEngine On
  SSLCertificateFile {keys}/server.pem
  SSLCertificateKeyFile {keys}/server.key
  ProxyPass /signed/callback !
  ProxyPass / http://127.0.0.1:{self.world.upstream_port}/ keepalive=On
  RequestHeader set X-Forwarded-Proto https
  <Location /signed/>
    AuthType openid-connect
    Require valid-user
  </Location>
  <Location /api/>
    AuthType oauth20
    Require claim aud:https://api.example.com
  </Location>
</VirtualHost>
""")
        os.chmod(self.home / "apache.conf", 0o600)
        return ["apache2", "-D", "FOREGROUND", "-f", self.home / "apache.conf"]

    def _signed_in(self):
        def made():
            browser = Browser()
            status, body = browser.follow(f"{self.base}/signed/echo")
            if status != 200:
                raise Failed(f"Apache: the sign-in ended with {status}: {body[:200]}")
            return browser.cookie_header(self.base)
        return self.world.once("apache session", made)

    def session(self, protocol):
        cookie = {"Cookie": self._signed_in()}
        url = self.base + "/signed/"

        def check():
            checks.reaches(url + "echo", cookie, "Apache", protocol, claim="alice")
            checks.refused(url + "echo", {"Cookie": checks.flipped_cookie(cookie["Cookie"], "mod_auth_openidc_session")}, (302, 401), "Apache", protocol)

        return [self.case("session cookie (mod_auth_openidc, shared memory)", "/signed/1k", cookie, check, protocol)]

    def tokens(self):
        value = self.world.tokens("RS256").line(0)[1]

        def check():
            checks.reaches(f"{self.base}/api/echo", {"Authorization": value}, "Apache", authorization=value)
            checks.refused(f"{self.base}/api/echo", {"Authorization": checks.flipped_token(value)}, (401,), "Apache")

        return [self.case("bearer token, verified each time, RS256", "/api/1k", {"Authorization": value}, check)]

    def stranger(self):
        check = lambda: checks.answers(f"{self.base}/signed/1k", PAGE, 302, "Apache")
        return [self.case("redirect of a stranger", "/signed/1k", PAGE, check)]
