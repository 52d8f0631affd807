"""Connections that have asked once and say nothing more, held until standard input ends.

    python3 idle.py PORT COUNT (HTTP/1.1|HTTP/2) PATH
"""

import http.client
import sys

import http2


def ask_h1(port, path, context=http2.trusting_all("http/1.1")):
    connection = http.client.HTTPSConnection("localhost", port, timeout=20, context=context)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return connection, answer.status == 200


def ask_h2(port, path):
    connection = http2.Connection(port)
    return connection, connection.get(path)[0]


def main(port, count, protocol, path):
    held = []
    for _ in range(count):
        connection, good = (ask_h2 if protocol == "HTTP/2" else ask_h1)(port, path)
        if not good:
            raise ConnectionError("the answer is not 200")
        held.append(connection)
    print("held", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
