"""A TLS server on 127.0.0.1 whose answers a test writes by hand, byte by byte.

A case is registered under a name with a function `answer(request, reply)`, called for every request
to https://127.0.0.1:PORT/NAME/...; it writes what it likes. Requests and body bytes are kept.
"""
import collections
import socket
import ssl
import struct
import threading
import time


class Request:
    def __init__(self, head, number):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.number = number    # of this case, from 1

    @property
    def start(self):
        """The first byte that Range asks for, or None."""
        value = self.headers.get("range")
        return int(value[len("bytes="):-1]) if value else None


class Reply:
    """One connection, on the server's side."""

    def __init__(self, connection, case):
        self.connection = connection
        self.case = case

    def head(self, status, **fields):
        text = "HTTP/1.1 %s\r\n" % status
        for name, value in fields.items():
            for one in value if isinstance(value, list) else [value]:
                text += "%s: %s\r\n" % (name.replace("_", "-"), one)
        self.raw((text + "Connection: close\r\n\r\n").encode("utf-8"))

    def raw(self, data):
        self.connection.sendall(data)

    def body(self, data):
        self.raw(data)
        self.case.sent += len(data)

    def whole(self, data, **fields):
        self.head("200 OK", Content_Length=len(data), **fields)
        self.body(data)

    def part(self, data, start, **fields):
        self.head("206 Partial Content", Content_Length=len(data) - start,
                  Content_Range="bytes %d-%d/%d" % (start, len(data) - 1, len(data)), **fields)
        self.body(data[start:])

    def serve(self, request, data, **fields):
        """As a server in good health does."""
        start = request.start
        if start is None:
            self.whole(data, **fields)
        elif start >= len(data):
            self.head("416 Range Not Satisfiable", Content_Length=0,
                      Content_Range="bytes */%d" % len(data))
        else:
            self.part(data, start, **fields)

    def reset(self):
        """RST, once the other side had time to read what was sent."""
        time.sleep(0.1)
        raw = self.connection.detach()
        plain = socket.socket(fileno=raw)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.close()

    def rude(self):
        """FIN without TLS's close_notify."""
        socket.socket(fileno=self.connection.detach()).close()


class Case:
    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.sent = 0           # bytes of bodies


class Server:
    def __init__(self, certificate, key, address="127.0.0.1", newest=None):
        self.cases = {}
        self.strangers = collections.Counter()
        self.lock = threading.Lock()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        if newest:
            self.context.set_ciphers("ALL:@SECLEVEL=0")
            self.context.minimum_version = ssl.TLSVersion.TLSv1
            self.context.maximum_version = newest
        self.listener = socket.create_server((address, 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def add(self, name, answer):
        self.cases[name] = Case(answer)
        return self.cases[name]

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, plain):
        plain.settimeout(20)
        try:
            connection = self.context.wrap_socket(plain, server_side=True)
        except (OSError, ValueError) as error:
            self.strangers[type(error).__name__] += 1
            plain.close()
            return
        try:
            self.answer(connection)
        except (OSError, ValueError):
            pass                # the client went away, or a case cut the connection
        finally:
            try:
                connection.unwrap()
            except (OSError, ValueError):
                pass
            connection.close()

    def answer(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return
            head += data
        name = head.split(b" ", 2)[1].decode("latin-1").split("/")[1]
        case = self.cases[name]
        with self.lock:
            request = Request(head.split(b"\r\n\r\n")[0], len(case.requests) + 1)
            case.requests.append(request)
        case.answer(request, Reply(connection, case))


class Plain:
    """A listener without TLS: counts connections, keeps the first bytes; as a proxy it relays."""

    def __init__(self, proxy=False):
        self.proxy = proxy
        self.heads = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        connection.settimeout(20)
        try:
            head = connection.recv(65536)
            self.heads.append(head)
            if self.proxy and head.startswith(b"CONNECT "):
                host, port = head.split(b" ")[1].decode().rsplit(":", 1)
                other = socket.create_connection((host, int(port)), timeout=20)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=self.relay, args=(other, connection), daemon=True)
                back.start()
                self.relay(connection, other)
                back.join()
        except OSError:
            pass
        finally:
            connection.close()

    @staticmethod
    def relay(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
