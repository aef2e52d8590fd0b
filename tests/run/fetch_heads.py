"""Cases of fetch.sh: heads. Status codes, redirects, encodings, trust, the disk."""
import email.utils
import gzip
import os
import resource
import shutil
import signal
import ssl
import subprocess
import time

from fetch_harness import CA, DATA, DIR, ETAG, SECRET, SIZE, TRIES_MAX, case, second, server, variants
from fetch_server import Plain, Server


# --- status codes ----------------------------------------------------------------------------

def ahead(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@variants(zero=("0", 0, 0), two=("2", 2000, 2000), junk=("soon", 500, 1000),
          minus=("-1", 500, 1000), huge=("1000000000", 60000, 60000),
          beyond=("9" * 40, 60000, 60000), date=(lambda: ahead(20), 17000, 20000),
          past=(lambda: ahead(-20), 0, 0), far=(lambda: ahead(10**8), 60000, 60000))
def retry_after(t, value):
    text, least, most = value
    for number, status in enumerate(("429 Slow", "503 Busy")):
        def answer(request, reply):
            if request.number == 1:
                reply.head(status, Content_Length=0,
                           Retry_After=text() if callable(text) else text)
            else:
                reply.serve(request, DATA)
        t.left(b"")
        t.answer(answer)
        result = t.good(requests=2)
        assert len(result.waits) == 1 and least <= result.waits[0] <= most, result.waits


@variants(**{"s%d" % status: status for status in (408, 429, 500, 502, 503, 504, 599)})
def passing(t, status):
    t.answer(lambda request, reply: reply.head("%d X" % status, Content_Length=0))
    result = t.bad("fetch.failed", r"5 tries.*\(%d\)" % status, requests=5)
    assert len(result.waits) == 4


@variants(**{"s%d" % status: status for status in
             (201, 203, 204, 300, 304, 305, 400, 401, 402, 403, 404, 405, 410, 416, 451, 600, 999)})
def final(t, status):
    t.answer(lambda request, reply: reply.head("%d X" % status, Content_Length=0))
    t.bad("fetch.failed", r"^[^(]*\(%d\)" % status, requests=1)


@variants(s404="404 Gone", s403="403 No", s500="500 Oh")
def page(t, status):
    text = "\x1b]52;c;ZXZpbA==\x07\r\x1b[2J\u202egnp.exe \x7f\x9b1m\\ end ".encode() + b"\xff\xfe"
    t.answer(lambda request, reply: (reply.head(status), reply.body(text * 400)))
    result = t.bad("fetch.failed", "the server says: ", url=t.url("f?token=" + SECRET))
    assert all(" " <= c <= "~" for c in result.message + result.mend), result.message
    assert "\\x1b]52" in result.message and "\\u{202e}" in result.message, result.message
    assert len(result.message) < 1300 and SECRET not in result.output, result.message


@case
def endless_page(t):
    def answer(request, reply):
        reply.head("404 Not Found")
        while t.case.sent < 200 << 20:
            reply.body(b"not here " * 8000)
    t.answer(answer)
    t.bad("fetch.failed", r"not found \(404\)", requests=1, sent_max=16 << 20)


@case
def page_longer_than_the_file(t):
    t.answer(lambda request, reply: reply.head("404 Not Found", Content_Length=10**9))
    t.bad("fetch.failed", r"\(404\)", size=SIZE, requests=1)


@case
def endless_head(t):
    def answer(request, reply):
        reply.raw(b"HTTP/1.1 200 OK\r\n")
        for number in range(1 << 20):
            reply.raw(b"X-%d: %s\r\n" % (number, b"y" * 1000))
            t.case.sent += 1000
    t.answer(answer)
    t.bad("fetch.failed", "endless headers", requests=5, sent_max=5 * (8 << 20))


@variants(nothing=b"", old=b"<html>hello</html>", junk=b"HTTP/1.1 2x0 OK\r\n\r\n",
          nul=b"HTTP/1.1 200 OK\r\nETag: \"a\0b\"\r\nContent-Length: 3\r\n\r\nabc",
          chunks=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc")
def no_http(t, data):
    t.answer(lambda request, reply: reply.raw(data))
    t.bad_or = t.run()
    assert t.bad_or.error and t.bad_or.error.startswith("fetch."), t.bad_or.output
    assert len(t.case.requests) <= TRIES_MAX


# --- redirects -------------------------------------------------------------------------------

def chain(length, status="302 Found"):
    def answer(request, reply):
        step = int(request.target.rsplit("/", 1)[1])
        if step == length:
            reply.serve(request, DATA)
        else:
            reply.head(status, Location="%d" % (step + 1), Set_Cookie="a=" + SECRET,
                       Content_Length=4)
            reply.raw(b"gone")
    return answer


@variants(one=(1, "301 X"), two=(2, "303 X"), four=(4, "307 X"), five=(5, "308 X"))
def redirects(t, how):
    t.answer(chain(*how))
    t.good(url=t.url("0"), requests=how[0] + 1)


@case
def redirects_six(t):
    t.answer(chain(6))
    t.bad("fetch.failed", "more than 5 redirects", url=t.url("0"), requests=6)


@case
def redirect_loop(t):
    t.answer(lambda request, reply: reply.head("302 X", Location=t.url("x"), Content_Length=0))
    t.bad("fetch.failed", "more than 5 redirects", requests=6)


plain_listener = Plain()


@variants(http="http://127.0.0.1:%d/x" % plain_listener.port,
          file="file:///etc/passwd", ftp="ftp://127.0.0.1/x", gopher="gopher://127.0.0.1:1/x",
          data="data:,x", user="https://u:" + SECRET + "@127.0.0.1/x", empty_host="https:///x",
          control="https://127.0.0.1/\x01", backslash="https:\\\\127.0.0.1\\x",
          port="https://127.0.0.1:99999/x", unix="unix:/run/x")
def redirect_refused(t, location):
    t.answer(lambda request, reply: reply.head("302 X", Location=location, Content_Length=0))
    result = t.bad("fetch.failed", "redirected to .*, which ", requests=1)
    assert SECRET not in result.output, result.output
    assert plain_listener.heads == []


@case
def redirect_nowhere(t):
    t.answer(lambda request, reply: reply.head("302 X", Content_Length=0))
    t.bad("fetch.failed", "not told where to", requests=1)


@case
def redirect_to_other_server(t):
    """Nothing goes along but what every request has."""
    second.add(t.name, lambda request, reply: reply.serve(request, DATA))
    t.answer(lambda request, reply: reply.head(
        "302 X", Location=t.url("b?q=1#f", on=second), Set_Cookie="a=" + SECRET,
        WWW_Authenticate="Basic", Content_Length=0))
    t.good(url=t.url("a?token=" + SECRET), requests=1)
    there = second.cases[t.name].requests
    assert len(there) == 1 and there[0].target == "/" + t.name + "/b?q=1", there
    assert set(there[0].headers) == {"host", "user-agent", "accept"}, there[0].headers


@case
def redirected_error(t):
    def answer(request, reply):
        if request.target.endswith("there"):
            reply.head("404 X", Content_Length=0)
        else:
            reply.head("302 X", Location="there?" + SECRET, Content_Length=0)
    t.answer(answer)
    result = t.bad("fetch.failed", r"\(redirected to https://\S+/there, 1 try\)")
    assert SECRET not in result.output


@case
def redirect_and_resume(t):
    """Every try begins with the URL of the spec."""
    def answer(request, reply):
        if not request.target.endswith("there"):
            reply.head("302 X", Location="there", Content_Length=0)
        elif request.start is None:
            reply.head("200 OK", Content_Length=SIZE, ETag=ETAG)
            reply.body(DATA[:5000])
            reply.reset()
        else:
            reply.serve(request, DATA, ETag=ETAG)
    t.answer(answer)
    t.good(requests=4, sent_max=SIZE)


# --- encodings -------------------------------------------------------------------------------

@case
def encoding_of_the_file(t):
    """A .gz that its server calls encoded: the bytes on the wire are the file."""
    data = gzip.compress(DATA)
    t.answer(lambda request, reply: reply.serve(request, data, Content_Encoding="x-gzip"))
    t.good(data=data, requests=1)


@case
def encoding_added(t):
    data = gzip.compress(bytes(50 << 20))
    t.answer(lambda request, reply: reply.serve(request, data, Content_Encoding="gzip"))
    t.bad("fetch.digest", "digest differs", data=bytes(50 << 20), requests=1)


@variants(br="br", zstd="zstd", two="gzip, gzip", junk="\x1b[2J")
def encoding_refused(t, value):
    t.answer(lambda request, reply: reply.serve(request, DATA, Content_Encoding=value))
    t.bad("fetch.failed", "encoded it as", requests=1)


# --- trust -----------------------------------------------------------------------------------

@variants(other=DIR + "/other.crt", system="-")
def self_signed(t, ca):
    t.answer(lambda request, reply: reply.serve(request, DATA))
    result = t.bad("fetch.failed", "^[^(]*certificate", ca=ca, requests=0)
    assert "certificate" in result.message, result.message


@case
def no_ca_file(t):
    t.answer(lambda request, reply: reply.serve(request, DATA))
    t.bad("fetch.failed", "^[^(]*certificate", ca=DIR + "/missing.crt", requests=0)


@case
def other_name(t):
    t.answer(lambda request, reply: reply.serve(request, DATA))
    t.bad("fetch.failed", "^[^(]*name", url=t.url(host="localhost"), requests=0)


@case
def old_tls(t):
    old = Server(DIR + "/good.crt", DIR + "/good.key", newest=ssl.TLSVersion.TLSv1_1)
    t.answer(lambda request, reply: reply.serve(request, DATA), on=old)
    # the machine's own OpenSSL may refuse it as well: here it would not
    conf = os.path.join(DIR, "old_tls.cnf")
    with open(conf, "w", encoding="ascii") as file:
        file.write("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
                   "MinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n")
    t.bad("fetch.failed", "5 tries", url=t.url(on=old), requests=0,
          env={"OPENSSL_CONF": conf})


@case
def no_tls(t):
    """A server without TLS is never asked without it."""
    listener = Plain()
    url = "https://127.0.0.1:%d/x" % listener.port
    t.bad("fetch.failed", "5 tries", url=url)
    assert listener.heads and not any(b"GET" in head for head in listener.heads)


@case
def nobody_listens(t):
    url = "https://127.0.0.1:1/x"
    result = t.bad("fetch.failed", "3 tries.*: connect to 127.0.0.1 port 1: Connection refused",
                   url=url)
    assert len(result.waits) == 2


@variants(http="http://127.0.0.1:%d/x" % plain_listener.port, file="file:///etc/passwd", none="",
          user="https://u:" + SECRET + "@127.0.0.1/x", blank="https://127.0.0.1/a b")
def url_refused(t, url):
    result = t.bad("fetch.failed", "the URL ", url=url or "x")
    assert SECRET not in result.output and plain_listener.heads == []


@case
def netrc(t):
    t.answer(lambda request, reply: reply.head("401 X", WWW_Authenticate="Basic",
                                               Content_Length=0))
    t.bad("fetch.failed", "credentials", requests=1)
    assert "authorization" not in t.case.requests[0].headers
    if shutil.which("curl"):    # the control: a client that does send it
        subprocess.run(["curl", "-q", "-s", "--netrc", "--cacert", CA, t.url()], check=True,
                       env={"HOME": DIR + "/home", "PATH": "/usr/bin:/bin"},
                       stdout=subprocess.DEVNULL)
        assert "authorization" in t.case.requests.pop().headers, "the test itself is blind"


@variants(lower=("https_proxy", 1), upper=("HTTPS_PROXY", 1), all=("ALL_PROXY", 1),
          http=("http_proxy", 0), upper_http=("HTTP_PROXY", 0))
def proxy(t, how):
    name, connections = how
    relay = Plain(proxy=True)
    env = {name: "http://127.0.0.1:%d" % relay.port}
    t.answer(lambda request, reply: reply.serve(request, DATA))
    t.good(env=env, requests=1)
    assert len(relay.heads) == connections, relay.heads
    t.left(b"")
    t.good(env={**env, "no_proxy": "127.0.0.1"}, requests=2)
    assert len(relay.heads) == connections, relay.heads


@case
def public_to_local(t):
    """A server outside may not point us at what only we can reach; one inside may.

    198.51.100.7 (RFC 5737: documentation) stands for the world outside. It exists only when
    fetch.sh could have a network of its own.
    """
    if not os.environ.get("FETCH_OWN_NETWORK"):
        print("skipped public_to_local: no network namespace")
        return
    outside = Server(DIR + "/good.crt", DIR + "/good.key", address="198.51.100.7")

    def to(target):
        return lambda request, reply: reply.head("302 X", Location=target, Content_Length=0)

    t.answer(lambda request, reply: reply.serve(request, DATA))
    outside.add("to_local", to(t.url()))
    outside.add("to_public", to("https://198.51.100.7:%d/end" % outside.port))
    outside.add("end", lambda request, reply: reply.serve(request, DATA))
    server.add("to_outside", to("https://198.51.100.7:%d/to_local" % outside.port))
    server.add("to_end", to("https://198.51.100.7:%d/end" % outside.port))
    here, there = "https://127.0.0.1:%d/" % server.port, "https://198.51.100.7:%d/" % outside.port
    for start in (there + "to_local", here + "to_outside"):
        t.bad("fetch.failed", "a public server redirects to an address of a local network",
              url=start, requests=0)
    for start in (there + "to_public", here + "to_end"):
        t.left(b"")
        t.good(url=start, requests=0)


# --- this side -------------------------------------------------------------------------------

@case
def file_too_large_for_the_disk(t):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
    t.answer(lambda request, reply: reply.serve(request, DATA))
    result = t.run(preexec_fn=limit)
    assert result.error == "host.system" and "File too large" in result.message, result.output
    assert len(t.case.requests) == 1


@case
def not_a_file(t):
    t.path = "/dev/null"
    t.answer(lambda request, reply: reply.serve(request, DATA))
    result = t.run()
    assert result.error == "host.system" and "not a regular file" in result.message, result.output
    assert len(t.case.requests) == 0
