"""Cases of fetch.sh: bodies. Connections that break, lengths, ranges, what is there already."""
import os
import random
import signal
import threading
import time

from fetch_harness import DATA, ETAG, SIZE, case, variants


# --- servers in good health ------------------------------------------------------------------

@variants(unknown=0, known=SIZE)
def plain(t, size):
    t.answer(lambda request, reply: reply.serve(request, DATA))
    result = t.good(size=size, requests=1, sent_max=SIZE)
    assert result.waits == []
    headers = t.case.requests[0].headers
    assert "range" not in headers and "accept-encoding" not in headers, headers
    assert headers["user-agent"].startswith("duet/"), headers


@case
def large(t):
    data = random.Random(8).randbytes(20 << 20)
    t.answer(lambda request, reply: reply.serve(request, data))
    t.good(data=data, requests=1)


@case
def empty(t):
    t.answer(lambda request, reply: reply.serve(request, b""))
    t.good(data=b"", requests=1)


@case
def chunked(t):
    def answer(request, reply):
        reply.head("200 OK", Transfer_Encoding="chunked")
        for at in range(0, SIZE, 70000):
            part = DATA[at:at + 70000]
            reply.raw(b"%x\r\n" % len(part))
            reply.body(part)
            reply.raw(b"\r\n")
        reply.raw(b"0\r\nContent-Range: bytes 1-2/3\r\n\r\n")
    t.answer(answer)
    t.good(requests=1)


@case
def without_length(t):
    def answer(request, reply):
        reply.head("200 OK")
        reply.body(DATA)
    t.answer(answer)
    t.good(requests=1)


@case
def early_hints(t):
    def answer(request, reply):
        reply.raw(b"HTTP/1.1 103 Early Hints\r\nContent-Range: bytes 4-5/6\r\n\r\n")
        reply.serve(request, DATA)
    t.answer(answer)
    t.good(requests=1)


@case
def slow_start(t):
    def answer(request, reply):
        time.sleep(0.6)
        reply.serve(request, DATA)
    t.answer(answer)
    t.good(requests=1)


# --- connections that break ------------------------------------------------------------------

OFFSETS = {"head": 0, "first": 1, "middle": SIZE // 2, "last": SIZE - 1}


def broken_once(end, **fields):
    """An answer that ends after `end.at` bytes the first time."""
    def answer(request, reply):
        if request.number > 1:
            reply.serve(request, DATA, **fields)
            return
        reply.head("200 OK", Content_Length=SIZE, **fields)
        reply.body(DATA[:end[1]])
        getattr(reply, end[0], lambda: None)()
    return answer


@variants(**{how + "_" + name: (how, at) for how in ("reset", "rude", "fin")
             for name, at in OFFSETS.items()})
def breaks(t, end):
    t.answer(broken_once(end, ETag=ETAG))
    t.good(requests=2, sent_max=SIZE)
    again = t.case.requests[1].headers
    if end[1] > 0:
        assert again["range"] == "bytes=%d-" % end[1], again
        assert again["if-range"] == ETAG, again
    else:
        assert "range" not in again, again


@variants(weak={"ETag": 'W/"v1"'}, none={}, junk={"ETag": "v1"},
          young={"Last_Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
                 "Date": "Sun, 06 Nov 1994 08:50:00 GMT"})
def no_validator(t, fields):
    t.answer(broken_once(("reset", SIZE // 2), **fields))
    t.good(requests=2, sent_max=SIZE)
    assert "if-range" not in t.case.requests[1].headers


@case
def dated_validator(t):
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    t.answer(broken_once(("reset", SIZE // 2), Last_Modified=date,
                         Date="Sun, 06 Nov 1994 09:49:37 GMT"))
    t.good(requests=2, sent_max=SIZE)
    assert t.case.requests[1].headers["if-range"] == date


@case
def breaks_always(t):
    def answer(request, reply):
        start = request.start or 0
        reply.head("206 P" if start else "200 OK", Content_Length=SIZE - start,
                   Content_Range="bytes %d-%d/%d" % (start, SIZE - 1, SIZE))
        reply.body(DATA[start:start + 1000])
        reply.reset()
    t.answer(answer)
    result = t.bad("fetch.failed", "5 tries", requests=5)
    assert len(result.waits) == 4, result.waits
    for number, ms in enumerate(result.waits):
        assert 500 << number <= ms <= 1000 << number, result.waits
    assert result.file == DATA[:5000], "what came was not kept"


@case
def stalls(t):
    def answer(request, reply):
        if request.number > 1:
            reply.serve(request, DATA, ETag=ETAG)
            return
        reply.head("200 OK", Content_Length=SIZE, ETag=ETAG)
        reply.body(DATA[:1000])
        time.sleep(8)
    t.answer(answer)
    begin = time.monotonic()
    t.good(requests=2, sent_max=SIZE)
    assert time.monotonic() - begin < 6, "waited for a server that says nothing"


@case
def drips(t):
    def answer(request, reply):
        if request.number > 1:
            reply.serve(request, DATA)
            return
        reply.head("200 OK", Content_Length=SIZE)
        for at in range(80):
            reply.body(DATA[at:at + 1])
            time.sleep(0.1)
    t.answer(answer)
    begin = time.monotonic()
    t.good(requests=2, sent_max=SIZE + 80)
    assert time.monotonic() - begin < 6, "waited for a server that drips"


@case
def fin_without_length(t):
    """Only the digest can tell that this is not all."""
    def answer(request, reply):
        if request.number > 1:
            reply.serve(request, DATA)
            return
        reply.head("200 OK")
        reply.body(DATA[:1000])
    t.answer(answer)
    t.good(requests=2)


@case
def killed(t):
    """The next process goes on where a killed one was."""
    seen = threading.Event()

    def answer(request, reply):
        if request.number > 1:
            reply.serve(request, DATA)
            return
        reply.head("200 OK", Content_Length=SIZE)
        reply.body(DATA[:200000])
        seen.wait(10)
    t.answer(answer)
    process = t.start()
    for _ in range(100):
        if os.path.exists(t.path) and os.path.getsize(t.path) == 200000:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    seen.set()
    t.good(requests=2, sent_max=SIZE)
    assert "if-range" not in t.case.requests[1].headers


# --- lengths and ranges that are wrong -------------------------------------------------------

def claims(length):
    def answer(request, reply):
        if request.start is not None:
            reply.serve(request, DATA)
            return
        reply.head("200 OK", Content_Length=length)
        reply.body(DATA)
    return answer


@case
def length_one_more(t):
    t.answer(claims(SIZE + 1))
    t.good(requests=2, sent_max=SIZE)
    assert t.case.requests[1].start == SIZE


@case
def length_one_less(t):
    t.answer(claims(SIZE - 1))
    t.bad("fetch.digest", "digest differs", requests=1)


@case
def length_one_less_known(t):
    t.answer(claims(SIZE - 1))
    t.good(size=SIZE, requests=2)


@variants(huge=10**15, beyond=10**30)
def length_huge(t, length):
    t.answer(claims(length))
    result = t.run()
    assert result.error == "fetch.failed", result.output
    assert len(result.file) <= SIZE


@variants(unlike=[SIZE, SIZE + 9], words="many", minus="-5", list="300000, 300000")
def length_odd(t, length):
    t.answer(claims(length))
    result = t.run()
    assert result.file == DATA if result.done else result.error.startswith("fetch."), result.output


@case
def length_over_known(t):
    t.answer(lambda request, reply: reply.whole(DATA + b"x"))
    t.bad("fetch.digest", "more than the 300000 bytes", size=SIZE, requests=1)


@case
def trailing_bytes(t):
    def answer(request, reply):
        reply.whole(DATA)
        reply.raw(b"trailing" * 100)
    t.answer(answer)
    t.good(requests=1)


@case
def trailing_without_length(t):
    def answer(request, reply):
        reply.head("200 OK")
        reply.body(DATA + b"x")
    t.answer(answer)
    t.bad("fetch.digest", "more than the 300000", size=SIZE, requests=2)


@case
def endless(t):
    def answer(request, reply):
        reply.head("200 OK", Transfer_Encoding="chunked")
        while t.case.sent < 200 << 20:
            reply.raw(b"10000\r\n")
            reply.body(bytes(65536))
            reply.raw(b"\r\n")
    t.answer(answer)
    t.bad("fetch.digest", "more than", size=SIZE, requests=1, sent_max=16 << 20)


@case
def whole_for_range(t):
    def answer(request, reply):
        if request.number == 1:
            broken_once(("reset", 1000), ETag=ETAG)(request, reply)
        else:
            reply.whole(DATA, ETag='"v2"')
    t.answer(answer)
    t.good(requests=2)


def wrong_part(status, fields, body):
    def answer(request, reply):
        if request.start is None and request.number > 1:
            reply.whole(DATA)
        elif request.number == 1:
            broken_once(("reset", 1000), ETag=ETAG)(request, reply)
        else:
            reply.head(status, **fields)
            reply.body(body)
    return answer


REST = DATA[1000:]


@variants(
    other_start=({"Content_Range": "bytes 999-299999/300000"}, DATA[999:]),
    from_zero=({"Content_Range": "bytes 0-299999/300000"}, DATA),
    junk=({"Content_Range": "bytes x-y/z"}, REST),
    backwards=({"Content_Range": "bytes 1000-999/300000"}, REST),
    beyond=({"Content_Range": "bytes 1000-300000/300000"}, REST),
    missing=({}, REST),
    length=({"Content_Range": "bytes 1000-1999/300000", "Content_Length": len(REST)}, REST),
    other_etag=({"Content_Range": "bytes 1000-299999/300000", "ETag": '"v2"'}, REST),
    twice=({"Content_Range": ["bytes 1000-299999/300000", "bytes 7-9/10"]}, REST),
    multipart=({"Content_Type": "multipart/byteranges; boundary=x"}, b"--x\r\n" + REST))
def wrong_range(t, answer):
    t.answer(wrong_part("206 Partial Content", *answer))
    if t.name == "wrong_range_twice":
        t.good()        # not to be believed at all: asked again
    else:
        result = t.good(requests=3)
        assert len(result.waits) == 2


@case
def wrong_total_known(t):
    t.answer(wrong_part("206 P", {"Content_Range": "bytes 1000-299999/300001"}, REST))
    t.good(size=SIZE, requests=3)


@case
def part_unasked(t):
    def answer(request, reply):
        if request.number == 1:
            reply.part(DATA, 0)
        else:
            reply.whole(DATA)
    t.answer(answer)
    t.good(requests=2)


@case
def always_wrong_range(t):
    def answer(request, reply):
        if request.start is None:
            reply.head("200 OK", Content_Length=SIZE)
            reply.body(DATA[:1000])
            reply.reset()
        else:
            reply.part(DATA, 5)
    t.answer(answer)
    t.bad("fetch.failed", "5 tries", requests=5)


# --- what is in the file already -------------------------------------------------------------

@case
def left_half(t):
    t.left(DATA[:SIZE // 2])
    t.answer(lambda request, reply: reply.serve(request, DATA))
    t.good(requests=1, sent_max=SIZE // 2)
    assert "if-range" not in t.case.requests[0].headers


@case
def left_whole_known(t):
    t.left(DATA)
    t.answer(lambda request, reply: reply.serve(request, DATA))
    t.good(size=SIZE, requests=0)


@case
def left_whole(t):
    t.left(DATA)
    t.answer(lambda request, reply: reply.serve(request, DATA))
    t.good(requests=1, sent_max=0)


@variants(longer=DATA + b"x", other=bytes(SIZE))
def left_refused(t, data):
    """416: a start over, at once."""
    t.left(data)
    t.answer(lambda request, reply: reply.serve(request, DATA))
    result = t.good(requests=2)
    assert result.waits == []


@variants(longer=DATA + b"x", other=bytes(SIZE))
def left_refused_known(t, data):
    t.left(data)
    t.answer(lambda request, reply: reply.serve(request, DATA))
    t.good(size=SIZE, requests=1)


@case
def left_wrong_half(t):
    t.left(bytes(1000))
    t.answer(lambda request, reply: reply.serve(request, DATA))
    t.good(requests=2)
    assert t.case.requests[0].start == 1000 and t.case.requests[1].start is None


@case
def left_wrong_and_wrong(t):
    t.left(bytes(1000))
    t.answer(lambda request, reply: reply.serve(request, DATA[:-1] + b"!"))
    t.bad("fetch.digest", "digest differs", requests=2)


@case
def always_416(t):
    t.left(DATA[:1000])
    t.answer(lambda request, reply: reply.head("416 No", Content_Length=0))
    t.bad("fetch.failed", r"\(416\)", requests=2)


@variants(unknown=0, known=SIZE)
def wrong_bytes(t, size):
    t.answer(lambda request, reply: reply.serve(request, DATA[:-1] + b"!"))
    result = t.bad("fetch.digest", "expected sha256:[0-9a-f]{64}, got sha256:[0-9a-f]{64}",
                   size=size, requests=1)
    assert "tries" not in result.message, result.message
