from . import Peer
class Apache(Peer):
    name = "Apache"
