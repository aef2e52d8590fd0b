"""What fetcher.sh fetches from, on loopback: fetcher_server.py CERT KEY HELD

A registry (registry_mock.py) whose repository `held` keeps every request for a manifest back, and a plain
server that keeps every request back. For each one that is kept a line goes to the file HELD; each line of
standard input lets one of the registry's go on. Beside them, each told on the first line of standard
output (JSON, ports by name): the registry on ::1, a proxy that speaks CONNECT, and DNS on port 53, which
says 127.0.0.1 for names that end in .named.test.
"""
import gzip
import io
import json
import socket
import struct
import sys
import tarfile
import threading

from registry_mock import Mock

CERT, KEY, HELD = sys.argv[1:]
gate = threading.Semaphore(0)
held = open(HELD, "a", encoding="ascii", buffering=1)


def hold(request, _reply):
    if "/manifests/" in request.path:
        held.write("registry\n")
        gate.acquire()
    return False


def hold_plain(connection):
    while b"\r\n\r\n" not in connection.recv(4096, socket.MSG_PEEK):
        pass
    held.write("plain\n")


def copy(source, to):
    try:
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def tunnel(connection, address):
    other = socket.create_connection(address)
    threading.Thread(target=copy, args=(other, connection), daemon=True).start()
    copy(connection, other)


def proxy(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    method, target, _ = head.decode("latin-1").split(" ", 2)
    host, _, port = target.rpartition(":")
    assert method == "CONNECT", method
    held.write("proxy %s\n" % host)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    tunnel(connection, ("127.0.0.1", int(port)))


kept = []


def listen(serve, address="127.0.0.1", family=socket.AF_INET):
    server = socket.create_server((address, 0), family=family, backlog=16)

    def accept():
        while True:
            kept.append(server.accept()[0])
            threading.Thread(target=serve, args=(kept[-1],), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return server.getsockname()[1]


def dns():
    """An A for each question of one; nothing for others (RFC 1035)."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def answer():
        while True:
            data, peer = server.recvfrom(4096)
            end = data.index(b"\0", 12) + 5
            found = data[:end].lower().find(b"\5named\4test") > 0
            one = found and data[end - 4:end - 2] == b"\0\1"
            server.sendto(data[:2] + struct.pack(">HHHHH", 0x8180 if found else 0x8183, 1, one, 0, 0) +
                          data[12:end] +
                          (b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x7f\0\0\1" if one else b""), peer)
    threading.Thread(target=answer, daemon=True).start()
    return 53


mock = Mock((CERT, KEY))
raw = io.BytesIO()
with tarfile.open(fileobj=raw, mode="w") as tar:
    entry = tarfile.TarInfo("file")
    entry.size = 4
    tar.addfile(entry, io.BytesIO(b"data"))
for name, hook in (("held", hold), ("free", None)):
    mock.add(name, hook=hook).add_image([gzip.compress(raw.getvalue(), mtime=0)])
ports = mock.ports()
ports["held"] = listen(hold_plain)
ports["proxy"] = listen(proxy)
for name, start in (("six", lambda: listen(
        lambda connection: tunnel(connection, ("127.0.0.1", ports["registry"])), "::1", socket.AF_INET6)),
                    ("dns", dns)):
    try:
        ports[name] = start()
    except OSError:
        ports[name] = None
print(json.dumps(ports), flush=True)
for line in sys.stdin:
    gate.release()
