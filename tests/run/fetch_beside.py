"""Cases of fetch.sh: bytes beside the answer, which libcurl takes off the wire and gives to nobody."""
import socket
import threading

from fetch_harness import DATA, SIZE, case, variants

ENDLESS_MAX = 200 << 20
SENT_MAX = 48 << 20         # what is sent before the client is seen to be gone: buffers of both sides
LINE = b"X-Y: " + b"y" * 1000 + b"\r\n"


def endless(t, reply, data):
    while t.case.sent < ENDLESS_MAX:
        reply.raw(data)
        t.case.sent += len(data)


@variants(one=(b"1;", b"x" * 65536), each=(b"", b"1;" + b"x" * 8000 + b"\r\nx\r\n"),
          zeros=(b"", b"0" * 65536))
def extensions(t, how):
    """Of a chunk that never begins, of chunks of a byte; sizes with zeros in front."""
    begin, more = how

    def answer(request, reply):
        reply.head("200 OK", Transfer_Encoding="chunked")
        reply.raw(b"%x\r\n" % 1000 + DATA[:1000] + b"\r\n" + begin)
        endless(t, reply, more)
    t.answer(answer)
    t.bad("fetch.failed", "beside its answer|hunk", sent_max=5 * SENT_MAX)


@variants(plain=b"x" * 65536, bytes=b"1;" + b"x" * 8000 + b"\r\nx\r\n")
def extensions_stop_at_once(t, more):
    """Another try will not do."""
    def answer(request, reply):
        reply.head("200 OK", Transfer_Encoding="chunked")
        reply.raw(b"1;x")
        endless(t, reply, more)
    t.answer(answer)
    t.bad("fetch.failed", "4 MiB and more beside its answer", size=SIZE, requests=1,
          sent_max=SENT_MAX)


@case
def small_chunks(t):
    """A server in health that sends little at a time: extensions as long as the content."""
    def answer(request, reply):
        reply.head("200 OK", Transfer_Encoding="chunked")
        reply.raw(b"".join(b"64;%s\r\n%s\r\n" % (b"x" * 80, data[at:at + 100])
                           for at in range(0, len(data), 100)) + b"0\r\n\r\n")
    data = DATA * 30
    t.answer(answer)
    t.good(data=data, requests=1)


@case
def trailers(t):
    def answer(request, reply):
        reply.head("200 OK", Transfer_Encoding="chunked")
        reply.raw(b"%x\r\n" % SIZE + DATA + b"\r\n0\r\n")
        endless(t, reply, LINE * 64)
    t.answer(answer)
    t.bad("fetch.failed", "endless headers", requests=5, sent_max=5 * SENT_MAX)


@case
def interim(t):
    def answer(request, reply):
        endless(t, reply, (b"HTTP/1.1 103 Early Hints\r\n" + LINE + b"\r\n") * 64)
    t.answer(answer)
    t.bad("fetch.failed", "endless headers", requests=5, sent_max=5 * SENT_MAX)


@variants(head=LINE * 64, body=b"x" * 65536)
def proxy_floods(t, more):
    """The answer to CONNECT is nobody's: heads of it, and a body."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)
    sent = []

    def talk(connection):
        total = 0
        try:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 407 Denied\r\nContent-Length: 1000000000\r\n")
            connection.sendall(b"" if more.startswith(b"X-") else b"\r\n")
            while total < ENDLESS_MAX:
                connection.sendall(more)
                total += len(more)
        except OSError:
            pass
        sent.append(total)
        connection.close()

    def accept():
        while True:
            threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    t.answer(lambda request, reply: reply.serve(request, DATA))
    t.bad("fetch.failed", "", env={"https_proxy": "http://127.0.0.1:%d" % listener.getsockname()[1]},
          requests=0)
    assert sum(sent) < 5 * SENT_MAX, sent
