"""Cases of fetch.sh: what a signature or a later digest vouches for. Plain http, no known digest."""
from fetch_harness import DATA, DIR, ETAG, SIZE, case, variants
from fetch_server import Server


class Connection:
    """A socket with the `unwrap` that a TLS one has."""

    def __init__(self, plain):
        self.plain = plain

    def __getattr__(self, name):
        return getattr(self.plain, name)

    def unwrap(self):
        pass


class PlainServer(Server):
    def __init__(self):
        super().__init__(DIR + "/good.crt", DIR + "/good.key")
        self.context = self

    def wrap_socket(self, connection, server_side):
        assert server_side
        return Connection(connection)


plain = PlainServer()
PLAIN = {"FETCH_PLAIN": "1"}


def at(t, rest="file"):
    return t.url(rest, on=plain).replace("https:", "http:")


def serve(request, reply):
    reply.serve(request, DATA, ETag=ETAG)


# --- plain http ------------------------------------------------------------------------------

@case
def plain_allowed(t):
    t.answer(serve, on=plain)
    t.good(url=at(t), env=PLAIN, requests=1)


@case
def plain_not_allowed(t):
    t.answer(serve, on=plain)
    t.bad("fetch.failed", "the URL is not https", url=at(t), requests=0)


@case
def plain_resumes(t):
    def answer(request, reply):
        if request.number > 1:
            serve(request, reply)
            return
        reply.head("200 OK", Content_Length=SIZE, ETag=ETAG)
        reply.body(DATA[:SIZE // 2])
        reply.reset()
    t.answer(answer, on=plain)
    t.good(url=at(t), env=PLAIN, requests=2, sent_max=SIZE)


@case
def plain_wrong_bytes(t):
    t.answer(lambda request, reply: reply.whole(DATA[:-1] + b"x"), on=plain)
    t.bad("fetch.digest", "digest differs", url=at(t), env=PLAIN, requests=1)


@case
def plain_to_plain(t):
    t.answer(lambda request, reply: serve(request, reply) if request.target.endswith("there") else
             reply.head("302 X", Location=at(t, "there"), Content_Length=0), on=plain)
    t.good(url=at(t), env=PLAIN, requests=2)


@case
def plain_to_https(t):
    plain.add(t.name, lambda request, reply: reply.head("302 X", Location=t.url(), Content_Length=0))
    t.answer(serve)
    t.good(url=at(t), env=PLAIN, requests=1)


@case
def https_to_plain(t):
    """Also where http is allowed: what was asked for in private stays so."""
    plain.add(t.name, serve)
    t.answer(lambda request, reply: reply.head("302 X", Location=at(t), Content_Length=0))
    t.bad("fetch.failed", "which is not https", env=PLAIN, requests=1)
    assert plain.cases[t.name].requests == []


@variants(file="file:///etc/passwd", ftp="ftp://127.0.0.1/x", data="data:,x")
def plain_to_other(t, location):
    t.answer(lambda request, reply: reply.head("302 X", Location=location, Content_Length=0), on=plain)
    t.bad("fetch.failed", "which is neither https nor http", url=at(t), env=PLAIN, requests=1)


# --- no digest is known ----------------------------------------------------------------------

ANY = {"FETCH_ANY": "1"}


@case
def any_bytes(t):
    t.answer(serve)
    t.good(env=ANY, size=SIZE, requests=1)


@case
def any_shorter(t):
    """`size` is the most that is taken."""
    t.answer(serve)
    t.good(env=ANY, size=SIZE * 2, requests=1)


@variants(told=True, untold=False)
def any_too_long(t, told):
    def answer(request, reply):
        reply.head("200 OK", **({"Content_Length": SIZE} if told else {}))
        reply.body(DATA)
    t.answer(answer)
    result = t.bad("fetch.failed", "more than %d bytes" % (SIZE - 1), env=ANY, size=SIZE - 1)
    assert result.file == b""


@case
def any_is_not_a_patchwork(t):
    """Nothing would tell that the halves belong to two files."""
    def answer(request, reply):
        if request.number > 1:
            reply.serve(request, DATA)
            return
        reply.head("200 OK", Content_Length=SIZE, ETag=ETAG)
        reply.body(b"x" * (SIZE // 2))
        reply.reset()
    t.answer(answer)
    t.good(env=ANY, size=SIZE, requests=2)
    assert "range" not in t.case.requests[1].headers


@case
def any_with_leftovers(t):
    t.left(b"y" * 1000)
    t.answer(serve)
    t.good(env=ANY, size=SIZE, requests=1)
    assert "range" not in t.case.requests[0].headers
