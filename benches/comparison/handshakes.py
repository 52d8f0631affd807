"""A new connection for each request, with tickets or without: in a process of its own, which counts what was resumed.

    python3 handshakes.py PORT HOST PATH SECONDS (full|resumed)
"""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

THREADS = 4


class Client(threading.Thread):
    def __init__(self, context, port, path, end, resumes):
        super().__init__()
        self.context, self.port, self.end, self.resumes = context, port, end, resumes
        self.request = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()
        self.session, self.times, self.resumed, self.failed = None, [], 0, None

    def connect(self):
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), 10) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.context.wrap_socket(plain, server_hostname="localhost", session=self.session) as connection:
                connection.sendall(self.request)
                answer = b""
                while piece := connection.recv(16384):
                    answer += piece
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise ValueError(f"the answer is {answer[:60]!r}")
                self.resumed += connection.session_reused
                if self.resumes:
                    # Tickets of TLS 1.3 come after the handshake: here they have.
                    self.session = connection.session
        self.times.append((time.monotonic() - begin) * 1000)

    def run(self):
        try:
            while time.monotonic() < self.end:
                self.connect()
        except (OSError, ValueError) as error:
            self.failed = str(error)


def main(port, path, seconds, resumes):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    begin = time.monotonic()
    clients = [Client(context, port, path, begin + seconds, resumes) for _ in range(THREADS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    times = sorted(time for client in clients for time in client.times)
    print(json.dumps({
        "connections": len(times), "resumed": sum(client.resumed for client in clients), "seconds": time.monotonic() - begin,
        "latency": {name: times[min(len(times) - 1, len(times) * int(name) // 100)] for name in ("50", "90", "99")} if times else {},
        "failed": [client.failed for client in clients if client.failed],
    }))


def handshakes(world, port, path, resumed):
    """The load of a case; fails unless all but the first of each client were resumed, or none."""
    from .load import Load
    from .programs import Failed

    def run(seconds):
        command = ["taskset", "-c", world.load_core, sys.executable, __file__, str(port), path, str(seconds), "resumed" if resumed else "full"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **world.clients})
        if done.returncode:
            raise Failed(f"handshakes: {done.stderr.strip()[-300:]}")
        told = json.loads(done.stdout)
        if told["failed"] or not told["connections"]:
            raise Failed(f"handshakes at port {port}: {told['failed'] or 'none'}")
        expected = told["connections"] - THREADS if resumed else 0
        if told["resumed"] != expected:
            raise Failed(f"{told['resumed']} of {told['connections']} handshakes at port {port} were resumed, and not {expected}")
        return Load(told["connections"], told["seconds"], told["latency"])

    return run


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4] == "resumed")
