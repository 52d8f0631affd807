from . import Peer
class Pingap(Peer):
    name = "Pingap"
