"""The application behind every proxy: nginx, the same for all of them, over plain HTTP/1.1 with connections that stay."""

import os

from .programs import Program, free_port

SIZES = {"1 KiB": "1k", "64 KiB": "64k", "1 MiB": "1m"}
# What the upstream tells a check of the request that has reached it.
ECHOED = {
    "identity": "http_x_amzn_oidc_identity", "authorization": "http_authorization", "user": "http_x_user", "claim": "http_oidc_claim_sub",
    "payload": "http_x_jwt_payload", "cookie": "http_cookie",
}
TEMPORARY = "".join(f"{name}_temp_path {name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


def start(folder, core):
    home = folder / "upstream"
    home.mkdir()
    port = free_port()
    for name, size in (("64k", 64 * 1024), ("1m", 1024 * 1024)):
        (home / name).write_bytes(b"x" * size)
    echoed = "{" + ",".join(f'"{name}":"${variable}"' for name, variable in ECHOED.items()) + "}"
    # Its worker would be nobody, and the folder is its owner's.
    user = "user root; " if os.geteuid() == 0 else ""
    (home / "nginx.conf").write_text(f"""{user}daemon off; worker_processes 1; pid nginx.pid; error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; {TEMPORARY}
  underscores_in_headers on; large_client_header_buffers 8 64k; client_header_buffer_size 16k;
  sendfile on; tcp_nopush on; open_file_cache max=10; default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port};
    location ~ /echo$ {{ default_type application/json; return 200 '{echoed}'; }}
    location ~ /64k$ {{ alias {home}/64k; }}
    location ~ /1m$ {{ alias {home}/1m; }}
    location / {{ return 200 "{'x' * 1024}"; }}
  }}
}}
""")
    program = Program("upstream", core, ["nginx", "-p", home, "-c", home / "nginx.conf"], home)
    program.wait_for(port)
    return program, port
