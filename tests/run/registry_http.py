"""Listeners on 127.0.0.1, with TLS or without, whose answers are written by hand, byte by byte.

Many of them live in one process; each request to any of them is kept, and written to the log, as one
line of JSON: so a test can say what was sent to whom.
"""
import json
import socket
import ssl
import struct
import threading
import time
import traceback
import urllib.parse

HEAD_MAX = 1 << 20
IDLE_S = 20
TLS_HANDSHAKE = b"\x16"


class Gone(OSError):
    """This connection is over."""


class Log:
    def __init__(self, path=None):
        self.entries = []
        self.bugs = []
        self.lock = threading.Lock()
        # what Authorization, Cookie and the like held must be told apart, not hidden
        self.file = open(path, "a", encoding="utf-8") if path else None

    def add(self, request):
        with self.lock:
            self.entries.append(request)
            if self.file:
                json.dump({"listener": request.listener.name, "method": request.method,
                           "target": request.target, "headers": request.headers,
                           "body_bytes": len(request.body)}, self.file)
                self.file.write("\n")
                self.file.flush()

    def of(self, repo=None, listener=None):
        """Requests of one repository, to one listener (a name)."""
        with self.lock:
            return [one for one in self.entries
                    if (repo is None or one.about(repo)) and
                    (listener is None or one.listener.name == listener)]


class Request:
    def __init__(self, listener, head):
        lines = head.decode("latin-1").split("\r\n")
        self.listener = listener
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.path, _, query = self.target.partition("?")
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True)
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.lower()
            value = value.strip()
            # a field that is there twice is kept twice
            self.headers[name] = self.headers[name] + ", " + value if name in self.headers else value
        self.body = b""
        self.sent = 0           # bytes of bodies that were written for it
        self.status = None      # of what was answered

    def about(self, repo):
        """Does its path name the repository?"""
        return "/%s/" % repo in self.path + "/"

    def form(self):
        return urllib.parse.parse_qs(self.body.decode("latin-1"), keep_blank_values=True)

    @property
    def start(self):
        """The first byte that Range asks for, or None."""
        value = self.headers.get("range", "")
        if not value.startswith("bytes="):
            return None
        return int(value[len("bytes="):].partition("-")[0])

    @property
    def authorization(self):
        return self.headers.get("authorization")

    def secrets(self):
        """Everything in it that may hold a secret."""
        return [self.headers[name] for name in
                ("authorization", "proxy-authorization", "cookie", "x-registry-auth")
                if name in self.headers]

    def __repr__(self):
        return "%s: %s %s%s" % (self.listener.name, self.method, self.target, "".join(
            " [%s]" % one for one in self.secrets() + [self.headers.get("range", "")] if one))


class Reply:
    """One connection, on the server's side."""

    def __init__(self, connection, request):
        self.connection = connection
        self.request = request
        self.rate = None        # bytes a second of bodies; None: no bound

    def raw(self, data):
        self.connection.sendall(data)

    def head(self, status, close=False, **fields):
        """A field whose value is a list stands there several times; None: not at all."""
        self.request.status = int(str(status).split(" ")[0])
        text = "HTTP/1.1 %s\r\n" % status
        for name, value in fields.items():
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    text += "%s: %s\r\n" % (name.replace("_", "-"), one)
        if close:
            text += "Connection: close\r\n"
        self.raw((text + "\r\n").encode("utf-8"))

    def body(self, data):
        if self.request.method == "HEAD":
            return
        piece = max(self.rate // 20, 1) if self.rate else max(len(data), 1)
        for at in range(0, len(data), piece):
            self.raw(data[at:at + piece])
            self.request.sent += len(data[at:at + piece])
            if self.rate:
                time.sleep(0.05)

    def whole(self, status, data=b"", **fields):
        self.head(status, Content_Length=len(data), **fields)
        self.body(data)

    def serve(self, data, **fields):
        """As a server in good health does."""
        start = self.request.start
        if start is None:
            self.whole("200 OK", data, Accept_Ranges="bytes", **fields)
        elif start >= len(data):
            self.whole("416 Range Not Satisfiable", Content_Range="bytes */%d" % len(data))
        else:
            self.head("206 Partial Content", Content_Length=len(data) - start, **fields,
                      Content_Range="bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
            self.body(data[start:])

    def plain(self):
        """The socket below TLS; nothing more can be sent through TLS."""
        return socket.socket(fileno=self.connection.detach())

    def reset(self):
        """RST, once the other side had time to read what was sent."""
        time.sleep(0.1)
        with self.plain() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def fin(self):
        """The end, as it should be."""
        raise Gone

    def rude(self):
        """FIN without TLS's close_notify."""
        with self.plain() as plain:
            plain.shutdown(socket.SHUT_WR)
            time.sleep(0.05)
        raise Gone

    def garbage(self, data):
        """Bytes below TLS."""
        with self.plain() as plain:
            plain.sendall(data)
            time.sleep(0.1)
        raise Gone

    def stall(self, seconds):
        """Says nothing for so long, or until the other side has gone."""
        self.connection.settimeout(seconds)
        try:
            self.connection.recv(1)
        except OSError:
            pass
        raise Gone


class Listener:
    """`answer(request, reply)` is called for every request; what it does not read is lost."""

    def __init__(self, name, log, answer, certificate=None, port=0, alpn=None, talk=None,
                 address="127.0.0.1"):
        self.name, self.log, self.answer = name, log, answer
        self.connections = 0
        self.refused = 0        # by TLS
        self.context = None
        self.talk = talk or self.talk_http
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
            if alpn:
                self.context.set_alpn_protocols(alpn)
        self.socket = socket.create_server((address, port), backlog=128)
        self.address = address
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self, path="/", host=None):
        return "%s://%s:%d%s" % ("https" if self.context else "http", host or self.address,
                                 self.port, path)

    def accept(self):
        while True:
            connection, _ = self.socket.accept()
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        connection.settimeout(IDLE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
        except (OSError, ValueError):
            self.refused += 1
            connection.close()
            return
        try:
            self.talk(connection)
        except (OSError, ValueError):
            pass                # the client went away, or a fault cut the connection
        except Exception:       # of the mock itself: no test may pass over it
            self.log.bugs.append(traceback.format_exc())
            traceback.print_exc()
        finally:
            try:
                connection.settimeout(1)
                if self.context:
                    connection.unwrap()
                connection.shutdown(socket.SHUT_WR)
            except (OSError, ValueError):
                pass
            connection.close()

    def talk_http(self, connection):
        left = b""
        while True:
            if not self.context and connection.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE:
                connection.sendall(b"HTTP/1.1 400 No TLS Here\r\nContent-Length: 0\r\n\r\n")
                return
            head, left = read_head(connection, left)
            if not head:
                return
            request = Request(self, head)
            request.body, left = read_body(connection, request, left)
            self.log.add(request)
            self.answer(request, Reply(connection, request))
            if request.headers.get("connection", "").lower() == "close":
                return


def read_head(connection, data):
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more or len(data) > HEAD_MAX:
            return None, b""
        data += more
    head, _, left = data.partition(b"\r\n\r\n")
    return head, left


def read_chunks(connection, data):
    body = b""
    while True:
        while b"\r\n" not in data:
            data += connection.recv(65536) or b"0\r\n\r\n"
        line, _, data = data.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        while len(data) < size + 2:
            more = connection.recv(65536)
            if not more:
                raise Gone
            data += more
        body += data[:size]
        data = data[size + 2:]
        if size == 0:
            return body, data


def read_body(connection, request, data):
    if request.headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if request.headers.get("transfer-encoding", "").lower() == "chunked":
        return read_chunks(connection, data)
    size = int(request.headers.get("content-length", "0"))
    while len(data) < size:
        more = connection.recv(1 << 20)
        if not more:
            raise Gone
        data += more
    return data[:size], data[size:]
