"""Just as much of HTTP/2 (RFC 9113) as it takes to begin one answer and to end it badly.

What is asked is not read (that would take HPACK's tables): a listener of its own has one thing to say.
"""
import socket
import struct
import threading
import time

from registry_harness import CA, DIR, mock
from registry_http import Listener

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
PREFACE_BYTES = 24
FRAME_MAX = 16384
INTERNAL_ERROR = 2
BESIDE_MAX = 64 << 20


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + \
        payload


def text(value):
    """An HPACK string, not packed."""
    value = value.encode("latin-1")
    assert len(value) < 127
    return bytes([len(value)]) + value


class Talk:
    """Says `hit.data`; with an `end` it says so in the middle, at `hit.at`."""

    def __init__(self, hit, end):
        self.data, self.type, self.end = hit.data, hit.fields["Content_Type"], end
        self.stop = hit.at if end else len(hit.data)
        self.listener = Listener("h2", mock.log, None, (CA, DIR + "/good.key"), alpn=["h2"],
                                 talk=self.talk)
        threading.Timer(30, self.listener.socket.close).start()

    def url(self):
        return self.listener.url("/x")

    def exactly(self, connection, size):
        data = b""
        while len(data) < size:
            more = connection.recv(size - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def next_stream(self, connection):
        """The stream of the next request; everything else is answered on the way."""
        while True:
            head = self.exactly(connection, 9)
            payload = self.exactly(connection, int.from_bytes(head[:3], "big"))
            kind, flags, stream = head[3], head[4], struct.unpack(">I", head[5:])[0]
            if kind == SETTINGS and not flags & 1:
                connection.sendall(frame(SETTINGS, 1))
            elif kind == PING and not flags & 1:
                connection.sendall(frame(PING, 1, 0, payload))
            elif kind == HEADERS:
                return stream

    def talk(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.exactly(connection, PREFACE_BYTES)
        connection.sendall(frame(SETTINGS))
        stream = self.next_stream(connection)
        # :status 200 from the table; content-length and content-type by the names' indices there
        head = b"\x88" + b"\x0f\x0d" + text(str(len(self.data))) + b"\x0f\x10" + text(self.type)
        connection.sendall(frame(HEADERS, 4, stream, head))
        for at in range(0, self.stop, FRAME_MAX):
            connection.sendall(frame(DATA, 0, stream, self.data[at:min(at + FRAME_MAX, self.stop)]))
        time.sleep(0.05)
        if self.end:
            self.end(connection, stream)
            time.sleep(0.05)
        else:
            connection.sendall(frame(DATA, 1, stream))
            self.next_stream(connection)

    @staticmethod
    def goaway(connection, stream):
        """The stream was taken on, and is not brought to its end."""
        connection.sendall(frame(GOAWAY, 0, 0, struct.pack(">II", stream, INTERNAL_ERROR)))

    @staticmethod
    def reset(connection, stream):
        connection.sendall(frame(RST_STREAM, 0, stream, struct.pack(">I", INTERNAL_ERROR)))

    @staticmethod
    def beside(connection, _):
        """Frames of a kind that nobody knows have to be ignored (RFC 9113, 4.1)."""
        more = frame(0xfa, 0, 0, bytes(FRAME_MAX)) * 8
        for _ in range(BESIDE_MAX // len(more)):
            connection.sendall(more)
