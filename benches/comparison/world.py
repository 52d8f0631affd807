"""Everything that a run has running: upstream, provider, Redis, gateways, and what they share. Ends all of it."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import load, upstream
from .gateway import Gateway, make_keys
from .machine import LOAD_CORE, PROXY_CORE
from .programs import Program, free_port
from .provider import Provider


class World:
    def __init__(self, options):
        self.options = options
        self.proxy_core, self.load_core = PROXY_CORE, LOAD_CORE
        self.started, self.left_out = [], []
        # What a gateway is run by, for a look inside.
        self.prefix = []
        self.folder = Path(tempfile.mkdtemp(prefix="vestibule-bench-"))
        self.callbacks = []
        self._gateways = {}
        self._kept = {}

    def __enter__(self):
        # What the run itself does is not to be done on the core of the proxies.
        os.sched_setaffinity(0, {int(LOAD_CORE)})
        try:
            make_keys(self.folder, self.options.binary)
            self.clients = load.environment(self.folder)
            self.upstream, self.upstream_port = upstream.start(self.folder, LOAD_CORE)
            self.started.append(self.upstream)
            self.provider = Provider(self.folder, LOAD_CORE)
            # The provider has to know them before anything else runs.
            self.ports = {name: free_port() for name in ("gateway", "memory", "redis", "apache", "envoy", "pingap")}
            origins = [f"https://localhost:{port}" for port in self.ports.values()]
            self.provider.serve([f"{origin}{path}" for origin in origins for path in ("/oauth2/idpresponse", "/signed/callback", "/callback")])
            self.started.append(self.provider.program)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for program in reversed(self.started):
            program.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def gateway(self, kind="gateway"):
        """The running gateway of one kind: "gateway", "memory", "redis", "rules 1000", …"""
        if kind not in self._gateways:
            store = {}
            if kind == "memory":
                store = {"store": "memory"}
            if kind == "redis":
                store = {"store": "redis", "redis": {"url": f"redis://127.0.0.1:{self.redis()}/0"}}
            rules = int(kind.split()[1]) if kind.startswith("rules ") else 10
            gateway = Gateway(self, kind, rules, store, self.ports.get(kind))
            gateway.start(self.prefix)
            self._gateways[kind] = gateway
        return self._gateways[kind]

    def session(self, kind="gateway"):
        """The cookies of a person who has signed in there."""
        def made():
            gateway = self.gateway(kind)
            return gateway.sign_in().cookie_header(gateway.base)
        return self.once(("session", kind), made)

    def once(self, key, made):
        """What is made when it is first asked for."""
        if key not in self._kept:
            self._kept[key] = made()
        return self._kept[key]

    def tokens(self, algorithm):
        """Tokens that nobody has shown yet, enough for a run."""
        return self.once(("tokens", algorithm), lambda: self.provider.tokens(algorithm, self.options.tokens))

    def redis(self):
        def started():
            port = free_port()
            program = Program("redis", LOAD_CORE, ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], self.folder)
            self.started.append(program)
            program.wait_for(port)
            self._kept["redis"] = port
            self.redis_memory_at_start = self.redis_memory()
            return port
        return self.once("redis", started)

    def redis_memory(self):
        """Bytes that Redis says it uses."""
        out = subprocess.run(["redis-cli", "-p", str(self.redis()), "info", "memory"], capture_output=True, text=True, check=True).stdout
        return int(out.split("used_memory:")[1].split()[0])

    def stop(self, program):
        program.stop()
        self.started.remove(program)
