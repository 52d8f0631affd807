"""Other proxies, each in the shortest configuration that does the same with the same care."""

from ..handshakes import handshakes
from ..ours import BYTES, PAGE, loaded
from ..programs import Failed, Program, free_port
from ..scenarios import H1, Case
from ..upstream import SIZES
from .. import checks


class Peer:
    """One of them. A scenario that it does not have is an empty list."""

    name = ""
    # What has to be installed.
    package = ""
    # The name under which its redirect URIs are registered.
    port_name = ""

    def __init__(self, world, port=None):
        self.world = world
        self.port = port or world.ports.get(self.port_name) or free_port()
        self.base = f"https://localhost:{self.port}"
        self.home = world.folder / f"{self.name.lower()}-{self.port}"
        self.home.mkdir(exist_ok=True)
        self.program = None

    @classmethod
    def version(cls):
        """As it says itself; empty where it is not installed."""
        raise NotImplementedError

    def command(self):
        """Writes its configuration; what starts it."""
        raise NotImplementedError

    def start(self):
        self.program = Program(self.name, self.world.proxy_core, self.command(), self.home, self.environment())
        self.world.started.append(self.program)
        return self.program.wait_for(self.port)

    def environment(self):
        return {}

    def case(self, scenario, path, headers=None, check=None, protocol=H1, body="1 KiB", load=None):
        url = self.base + path
        return Case(self.name, scenario, lambda: self.program, load or loaded(self.world, protocol, url, headers), check or (lambda: None), protocol, body)

    def plain(self, protocol, body):
        path = f"/open/{SIZES[body]}"
        check = lambda: checks.has_size(self.base + path, {}, BYTES[body], f"{self.name}, no authentication", protocol)
        return [self.case("no authentication", path, check=check, protocol=protocol, body=body)]

    def handshake(self, resumed):
        scenario = "resumed handshake and one request" if resumed else "full handshake and one request"
        return [self.case(scenario, "/open/1k", load=handshakes(self.world, self.port, "/open/1k", resumed))]

    def session(self, protocol):
        return []

    def tokens(self):
        return []

    def stranger(self):
        return []

    def login(self):
        return []


def known():
    from .apache import Apache
    from .envoy import Envoy
    from .haproxy import HAProxy
    from .nginx import Nginx
    from .pingap import Pingap
    from .pingora import Pingora

    return [Nginx, HAProxy, Envoy, Apache, Pingap, Pingora]


def running(world):
    """Those that were asked for, started when the first group needs them."""
    def started():
        peers = []
        for kind in known():
            if kind.name.lower() not in world.options.peers:
                continue
            try:
                peer = kind(world)
                peer.start()
                peers.append(peer)
            except Failed as failure:
                world.left_out.append(f"{kind.name}: {failure}")
        return peers
    return world.once("peers", started)
