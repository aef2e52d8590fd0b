"""The faults of registry_faults.sh: 63 ways to answer badly.

A fault is a function that writes one answer. It strikes once (`once`) or every time, at a place in the
body: `at` is the first byte that is not sent as it should be, or, for faults of the head (`later`), the
place where the connection was cut one answer before: so it meets a client that has `at` bytes already.

What has to come of it: "good", "bad" (a clean failure), or "any" of them. `resumes`: a cut, after
which what came is not to be sent again.
"""
import email.utils
import gzip
import time

from registry_harness import mock
from registry_h2 import Talk

FAULTS = {}     # name -> Fault
PAUSE_S = 0.02
ENDLESS_MAX = 200 << 20


class Fault:
    def __init__(self, answer, expect, once, later, resumes, token):
        self.answer, self.once, self.later, self.resumes = answer, once, later, resumes
        self.expect = expect
        self.token = token or expect    # at the token server, where clients may be stricter


class Hit:
    """One bad answer that is due."""

    def __init__(self, cell, request, reply, data, fields):
        self.cell, self.request, self.reply = cell, request, reply
        self.data, self.fields, self.at = data, fields, cell.at(data)

    def good(self):
        self.reply.serve(self.data, **self.fields)

    def head(self, length=None, status="200 OK", **more):
        self.reply.head(status, Content_Length=len(self.data) if length is None else length,
                        **{**self.fields, **more})

    def begin(self):
        """What there is before `at`, as it should be; a Range is honoured."""
        start = self.request.start or 0
        if start:
            self.reply.head("206 Partial Content", Content_Length=len(self.data) - start,
                            Content_Range="bytes %d-%d/%d" % (start, len(self.data) - 1,
                                                              len(self.data)), **self.fields)
        else:
            self.head()
        self.reply.body(self.data[start:self.at])

    def paused(self, data, **more):
        """The whole of `data`, in two pieces."""
        self.head(**more)
        self.reply.body(data[:self.at])
        time.sleep(PAUSE_S)
        self.reply.body(data[self.at:])

    def flipped(self):
        at = min(self.at, len(self.data) - 1)
        return self.data[:at] + bytes([self.data[at] ^ 0x20]) + self.data[at + 1:]

    def status(self, text, **fields):
        self.reply.whole(text, b"", **fields)


def fault(expect, once=True, later=False, resumes=False, token=None):
    def add(function):
        FAULTS[function.__name__] = Fault(function, expect, once, later, resumes, token)
        return function
    return add


def table(rows, function, **how):
    """Faults that differ in one value; a row's own options win."""
    for name, (expect, value, *more) in rows.items():
        FAULTS[name] = Fault(lambda hit, value=value: function(hit, value), expect,
                             **{"once": True, "later": False, "resumes": False, "token": None,
                                **how, **(more[0] if more else {})})


# --- connections that end -------------------------------------------------------------------------

def cut(hit, how):
    hit.begin()
    getattr(hit.reply, how)()


def below_tls(hit, data):
    hit.begin()
    hit.reply.garbage(data)


table({
    "reset_once": ("good", "reset"), "fin_once": ("good", "fin"), "rude_once": ("good", "rude"),
    "reset_always": ("bad", "reset", {"once": False, "resumes": False}),
}, cut, resumes=True)
table({
    "tls_garbage_once": ("good", b"\x17\x03\x03\x00\x20" + b"\x5a" * 32),
    "tls_alert_once": ("good", b"\x15\x03\x03\x00\x02\x02\x50"),
}, below_tls, resumes=True)


@fault("good", resumes=True)
def stall_once(hit):
    hit.begin()
    hit.reply.stall(15)


@fault("bad", once=False)
def stall_always(hit):
    hit.begin()
    hit.reply.stall(15)


@fault("good", resumes=True)
def drip_once(hit):
    hit.begin()
    for at in range(hit.at, len(hit.data) - 1):
        hit.reply.body(hit.data[at:at + 1])
        time.sleep(0.1)
    hit.reply.stall(15)


@fault("good", resumes=True)
def reset_twice(hit):
    """The second time half-way through what is left; see Cell.strikes."""
    start = hit.request.start or 0
    if hit.cell.struck > 1:
        hit.at = start + (len(hit.data) - start) // 2
    hit.begin()
    hit.reply.reset()


def chunks(hit, end):
    """Chunked up to `at`, then `end`."""
    hit.reply.head("200 OK", Transfer_Encoding="chunked", **hit.fields)
    for data in (hit.data[:hit.at // 2], hit.data[hit.at // 2:hit.at]):
        if data:
            hit.reply.raw(b"%x\r\n" % len(data))
            hit.reply.body(data)
            hit.reply.raw(b"\r\n")
    if end is None:
        data = hit.data[hit.at:]
        time.sleep(PAUSE_S)
        hit.reply.raw(b"%x;a=b\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(data), data))
        hit.request.sent += len(data)
        return
    hit.reply.raw(end)
    time.sleep(PAUSE_S)
    hit.reply.fin()


table({"chunks_good": ("good", None), "chunks_cut_once": ("good", b"", {"resumes": True}),
       "chunks_garbage_once": ("good", b"zz\r\nabc", {"resumes": True})}, chunks)


def beside(hit, more):
    """Chunked up to `at`, then bytes without end that are no content."""
    hit.reply.head("200 OK", Transfer_Encoding="chunked", **hit.fields)
    if hit.at:
        hit.reply.raw(b"%x\r\n%s\r\n" % (hit.at, hit.data[:hit.at]))
    while hit.request.sent < ENDLESS_MAX:
        hit.reply.raw(more)
        hit.request.sent += len(more)


table({"extensions_endless": ("bad", b"1;" + b"x" * 65536), "trailers_endless":
       ("bad", b"0\r\n" + b"X-Y: %s\r\n" % (b"y" * 1000) * 64)}, beside, once=False)


@fault("good", resumes=True, token="any")
def no_length_cut_once(hit):
    """Only size and digest can tell that this is not all."""
    hit.reply.head("200 OK", close=True, **hit.fields)
    hit.reply.body(hit.data[:hit.at])
    hit.reply.fin()


@fault("good", later=True)
def silent_once(hit):
    hit.reply.fin()


@fault("good", later=True)
def reset_in_head_once(hit):
    hit.reply.raw(b"HTTP/1.1 200 OK\r\nContent-Le")
    hit.reply.reset()


# --- lengths ------------------------------------------------------------------------------------------

def length(hit, value):
    hit.paused(hit.data, length=value if isinstance(value, (str, list)) else
               len(hit.data) + value if abs(value) == 1 else value)
    hit.reply.fin()


table({
    "length_plus_once": ("any", 1), "length_minus_once": ("any", -1),
    "length_huge_once": ("any", 10**15), "length_huge_always": ("bad", 10**15, {"once": False}),
    "length_junk_once": ("any", "many"),
}, length)


@fault("bad", once=False)
def length_minus_always(hit):
    """One byte is missing, and everything agrees on it."""
    hit.reply.serve(hit.data[:-1], **hit.fields)


@fault("good")
def no_length(hit):
    hit.reply.head("200 OK", close=True, **hit.fields)
    hit.reply.body(hit.data[:hit.at])
    time.sleep(PAUSE_S)
    hit.reply.body(hit.data[hit.at:])
    hit.reply.fin()


@fault("good")
def trailing_once(hit):
    hit.paused(hit.data)
    hit.reply.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" * 10)
    hit.reply.fin()


# --- other bytes ----------------------------------------------------------------------------------------

@fault("any")
def flip_once(hit):
    hit.paused(hit.flipped())


@fault("bad", once=False)
def flip_always(hit):
    hit.reply.serve(hit.flipped(), **hit.fields)


@fault("good")
def flip_and_cut_once(hit):
    """What is taken up later is wrong; only the whole's digest tells."""
    end = max(hit.at, 1)
    hit.at = end - 1
    hit.head()
    hit.reply.body(hit.flipped()[:end])
    hit.reply.reset()


@fault("bad", once=False)
def zeros_always(hit):
    hit.reply.serve(hit.data[:hit.at] + bytes(len(hit.data) - hit.at), **hit.fields)


@fault("bad", once=False)
def short_always(hit):
    hit.reply.serve(hit.data[:hit.at], **hit.fields)


@fault("bad", once=False)
def longer_always(hit):
    hit.reply.serve(hit.data[:hit.at] + hit.data[hit.at:] + b"x" * 100, **hit.fields)


@fault("bad", once=False)
def endless(hit):
    hit.reply.head("200 OK", close=True, **hit.fields)
    hit.reply.body(hit.data[:hit.at])
    while hit.request.sent < ENDLESS_MAX:
        hit.reply.body(b"x" * 65536)
    hit.reply.fin()


# --- ranges -----------------------------------------------------------------------------------------------

def part(hit, how):
    """An answer to a Range that says `how` (start, end, total) of what it is."""
    start, size = hit.request.start or 0, len(hit.data)
    data = hit.data[start:]
    if how == "wrong_bytes":
        data = bytes(len(data))
    said = {"wrong_start": "bytes %d-%d/%d" % (start + 1, size - 1, size), "none": None,
            "wrong_bytes": "bytes %d-%d/%d" % (start, size - 1, size)}[how]
    hit.reply.head("206 Partial Content", Content_Length=len(data), Content_Range=said,
                   **hit.fields)
    hit.reply.body(data)


table({"range_wrong_start": ("any", "wrong_start"), "range_not_said": ("any", "none"),
       "range_wrong_bytes": ("any", "wrong_bytes")}, part, later=True)


@fault("good", later=True)
def range_ignored(hit):
    hit.reply.whole("200 OK", hit.data, **hit.fields)


# --- status -------------------------------------------------------------------------------------------------

def status(hit, value):
    text, after = value
    after = after() if callable(after) else after
    hit.status(text, Retry_After=after, WWW_Authenticate='Bearer realm="%s",scope="repository:%s:pull"'
               % (mock.registry.url("/token/" + hit.cell.name), hit.cell.name)
               if text.startswith("401") else None)


def in_a_second():
    return email.utils.formatdate(time.time() + 1, usegmt=True)


ALWAYS = {"once": False}
table({
    "s416_once": ("any", ("416 X", None)), "s416_always": ("bad", ("416 X", None), ALWAYS),
    "s401_always": ("bad", ("401 X", None), ALWAYS),
    "s429_now_once": ("good", ("429 X", 0)), "s429_2s_once": ("good", ("429 X", 2)),
    "s503_huge_once": ("good", ("503 X", 10**9)), "s503_date_once": ("good", ("503 X", in_a_second)),
    "s429_junk_once": ("good", ("429 X", "soon")), "s429_always": ("bad", ("429 X", 1), ALWAYS),
    "s502_once": ("good", ("502 X", None)), "s500_always": ("bad", ("500 X", None), ALWAYS),
}, status, later=True)


# --- redirects ------------------------------------------------------------------------------------------------

def redirect(hit, location):
    hit.status("307 Temporary Redirect", Location=location)


def step(hit, most):
    at = int(hit.request.query.get("step", ["0"])[0])
    if at >= most:
        hit.good()
    else:
        redirect(hit, "?" + "&".join(
            ["%s=%s" % (name, value) for name, values in hit.request.query.items()
             for value in values if name != "step"] + ["step=%d" % (at + 1)]))


table({"redirect_loop": ("bad", 10**9), "redirect_5": ("good", 5, {"token": "any"}),
       "redirect_6": ("bad", 6)}, step, later=True, once=False)
table({
    "redirect_http": ("bad", lambda: mock.http.url("/x"), {"once": False}),
    "redirect_dead_once": ("good", lambda: "https://127.0.0.1:1/x", {"token": "any"}),
    # as a name that is not known for a moment
    "redirect_unknown_once": ("good", lambda: "https://no-such-host.invalid/x", {"token": "any"}),
}, lambda hit, where: redirect(hit, where()), later=True)


# --- heads, encodings, HTTP/2 -----------------------------------------------------------------------------------

@fault("bad", once=False)
def gzip_bomb(hit):
    hit.reply.serve(gzip.compress(bytes(20 << 20)), Content_Encoding="gzip", **hit.fields)


@fault("bad", once=False)
def gzip_of_it(hit):
    """A server that packs what was asked for: the digest is that of the bytes on the wire."""
    hit.reply.serve(gzip.compress(hit.data), Content_Encoding="gzip", **hit.fields)


@fault("any", later=True)
def head_of_a_megabyte_once(hit):
    hit.reply.raw(b"HTTP/1.1 200 OK\r\n")
    for number in range(16):
        hit.reply.raw(b"X-%d: " % number + b"y" * 65000 + b"\r\n")
        time.sleep(0.01)
    hit.reply.raw(b"Content-Length: %d\r\n\r\n" % len(hit.data) + hit.data)


@fault("bad", once=False, later=True)
def head_endless(hit):
    hit.reply.raw(b"HTTP/1.1 200 OK\r\n")
    while hit.request.sent < ENDLESS_MAX:
        hit.reply.raw((b"X-Y: " + b"y" * 8000 + b"\r\n") * 8)
        hit.request.sent += 64000
    hit.reply.fin()


@fault("any", later=True)
def head_junk_once(hit):
    hit.reply.raw(b"HTTP/1.1 2x0 OK\r\n\0\r\n\r\n")
    hit.reply.fin()


table({"h2_good": ("good", None), "h2_goaway_once": ("good", Talk.goaway),
       "h2_reset_once": ("good", Talk.reset), "h2_beside": ("bad", Talk.beside)},
      lambda hit, end: redirect(hit, Talk(hit, end).url()), token="any")
