"""nginx: forwards, and signs nobody in."""

from ..machine import version
from ..upstream import TEMPORARY
from . import Peer


class Nginx(Peer):
    name = "nginx"
    package = "nginx"

    @classmethod
    def version(cls):
        return version(r"nginx/(\S+)", "nginx", "-v")

    def command(self):
        keys = self.world.folder
        (self.home / "nginx.conf").write_text(f"""daemon off; worker_processes 1; pid nginx.pid; error_log stderr error;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; {TEMPORARY}
  upstream origin {{ server 127.0.0.1:{self.world.upstream_port}; keepalive 128; keepalive_requests 1000000000; keepalive_timeout 1h; }}
  server {{
    listen 127.0.0.1:{self.port} ssl http2;
    ssl_certificate {keys}/server.pem; ssl_certificate_key {keys}/server.key; ssl_protocols TLSv1.3; ssl_ecdh_curve X25519;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto https;
    }}
  }}
}}
""")
        return ["nginx", "-p", self.home, "-c", self.home / "nginx.conf"]
