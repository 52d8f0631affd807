from . import Peer
class Envoy(Peer):
    name = "Envoy"
