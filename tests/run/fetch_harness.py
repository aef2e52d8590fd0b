"""What the cases of fetch.sh are written with.

Every case is a function; what it is given fetches from its own corner of the server. The oracle is
always the same: the right bytes, or an error of the named class with a message and a mend; at most
five tries; no credentials in any request.
"""
import hashlib
import os
import random
import re
import subprocess
import sys

from fetch_server import Server

PROBE, DIR = sys.argv[1], sys.argv[2]
CA = DIR + "/good.crt"
DATA = random.Random(7).randbytes(300000)
SIZE = len(DATA)
ETAG = '"v1-strong"'
TRIES_MAX = 5
SECRET = "s3cret-of-netrc"

server = Server(DIR + "/good.crt", DIR + "/good.key")
second = Server(DIR + "/good.crt", DIR + "/good.key")
cases = []


def case(function):
    cases.append(function)
    return function


def variants(**table):
    """One case for each value; the function takes it as its second parameter."""
    def add(function):
        for name, value in table.items():
            def one(t, value=value):
                function(t, value)
            one.__name__ = function.__name__ + "_" + name
            cases.append(one)
        return function
    return add


class Result:
    def __init__(self, code, output, file):
        self.code, self.output, self.file = code, output, file
        lines = output.split("\n")
        self.waits = [int(line[5:]) for line in lines if line.startswith("wait ")]
        self.last = lines[-2] if len(lines) > 1 else ""
        match = re.fullmatch(r"error (\S+): (.*) \| (.*)", self.last)
        self.error, self.message, self.mend = match.groups() if match else (None, None, None)
        self.done = re.fullmatch(r"done \d+", self.last) is not None
        self.odd = [line for line in lines[:-2] if not line.startswith("wait ")]


class Test:
    """What a case works with."""

    def __init__(self, name):
        self.name = name
        self.path = os.path.join(DIR, name + ".out")
        self.case = None

    def answer(self, function, on=server):
        self.case = on.add(self.name, function)

    def url(self, rest="file.tar", on=server, host="127.0.0.1"):
        return "https://%s:%d/%s/%s" % (host, on.port, self.name, rest)

    def left(self, data):
        """What an earlier process left in the file."""
        with open(self.path, "wb") as file:
            file.write(data)

    def start(self, url=None, size=0, data=DATA, ca=CA, env=None, **options):
        home = os.path.join(DIR, "home")
        return subprocess.Popen(
            [PROBE, url or self.url(), hashlib.sha256(data).hexdigest(), str(size), self.path, ca],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"HOME": home, "PATH": "/usr/bin:/bin", **(env or {})}, **options)

    def run(self, *args, **options):
        process = self.start(*args, **options)
        try:
            output = process.communicate(timeout=30)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError("took more than 30 s")
        with open(self.path, "rb") as file:
            result = Result(process.returncode, output.decode("utf-8"), file.read())
        assert result.code in (0, 1), "died: %d %s" % (result.code, result.output)
        assert not result.odd, "odd output: %r" % result.odd
        if self.case:
            limit = TRIES_MAX * 6
            assert len(self.case.requests) <= limit, "%d requests" % len(self.case.requests)
        return result

    def good(self, *args, requests=None, sent_max=None, data=DATA, **options):
        result = self.run(*args, data=data, **options)
        assert result.done, result.output
        assert result.file == data, "wrong bytes were taken for good"
        self.check(requests, sent_max)
        return result

    def bad(self, error, text, *args, requests=None, sent_max=None, **options):
        result = self.run(*args, **options)
        assert result.error == error, result.output
        assert re.search(text, result.message), result.message
        assert result.message.startswith("fetch "), result.message
        assert result.mend not in ("", "no mend"), result.last
        if error == "fetch.digest":
            assert result.file == b"", "wrong bytes were left in the file"
        self.check(requests, sent_max)
        return result

    def check(self, requests, sent_max):
        if requests is not None:
            assert len(self.case.requests) == requests, [
                (r.target, r.headers.get("range")) for r in self.case.requests]
        if sent_max is not None:
            assert self.case.sent <= sent_max, "%d bytes were sent" % self.case.sent
