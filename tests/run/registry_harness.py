"""What the cases against the registry of the tests are written with.

Every case has a repository of its own in one Mock, and lets registry_probe speak to it. The oracle is
always the same: the right bytes, or an error of a class for it and nothing that could be taken for
them; no more requests than tries and redirects explain; no listener was told a secret that is not its
own.
"""
import base64
import os
import random
import re
import subprocess
import sys

from registry_image import digest_of
from registry_mock import Mock

PROBE, DIR = sys.argv[1], sys.argv[2]
CA = DIR + "/good.crt"
USER, SECRET, IDENTITY = "user", "s3cret-of-user", "t0ken-of-identity"
LAYER = random.Random(9).randbytes(300000)
BLOB = digest_of(LAYER)
CLASSES = re.compile(r"(fetch|auth|oci)\.[a-z]+")
TRIES_MAX, REDIRECTS_MAX = 5, 5
ROW_NAMES = {}

mock = Mock((CA, DIR + "/good.key"), (DIR + "/other.crt", DIR + "/other.key"))
cases = []      # (row, function)


def case(row, **options):
    """`options`: of the repository."""
    def add(function):
        function.options = options
        cases.append((row, function.__name__, function))
        return function
    return add


def variants(row, table, **options):
    """One case for each value; the function takes it as its second parameter."""
    def add(function):
        for name, value in table.items():
            def one(t, value=value):
                function(t, value)
            one.options = options
            cases.append((row, function.__name__ + "_" + name, one))
        return function
    return add


class Result:
    def __init__(self, code, output):
        self.code, self.output = code, output
        match = re.search(r"^error\[([a-z.-]+)\]: (.*)$", output, re.M)
        self.error, self.message = match.groups() if match else (None, "")


class Test:
    """What a case works with: self.repo holds LAYER in an image called `latest`."""

    def __init__(self, name, **options):
        self.name = name
        self.path = os.path.join(DIR, name)
        options.setdefault("login", (USER, SECRET))
        self.repo = mock.add(name, **options)
        self.manifest = self.repo.add_image([LAYER])
        self.config = next(one for one in self.repo.blobs if one != BLOB)

    # ---- asking --------------------------------------------------------------------------------

    def command(self, *actions, on=None, options=(), where=None, jailed=False):
        where = where or "127.0.0.1:%d" % (on or mock.registry).port
        return [PROBE, *([] if jailed else ["--quick"]), *options, where, self.name, *actions]

    def run(self, *actions, env=None, box=None, **how):
        command = self.command(*actions, **how)
        if box:
            command = ["/usr/bin/python3", os.path.dirname(__file__) + "/box.py",
                       *[str(one) for one in box], *command]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=40, check=False,
                env={"HOME": DIR + "/home", "PATH": "/usr/bin:/bin", "SSL_CERT_FILE": CA,
                     **(env or {})})
        except subprocess.TimeoutExpired as error:
            raise AssertionError("took more than 40 s") from error
        output = (done.stdout + done.stderr).decode("utf-8")
        assert done.returncode in (0, 1), "exit code %d: %s" % (done.returncode, output)
        result = Result(done.returncode, output)
        assert (result.code == 0) == (result.error is None), output
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", output), repr(output)
        for one in (SECRET, IDENTITY):
            assert one not in output, "a secret is told: " + output
        if result.error:
            assert CLASSES.fullmatch(result.error), output
        return result

    def good(self, *actions, **how):
        result = self.run(*actions, **how)
        assert result.code == 0, result.output
        return result

    def bad(self, error, text, *actions, **how):
        result = self.run(*actions, **how)
        assert result.code == 1, "went well"
        assert re.fullmatch(error, result.error), result.output
        assert re.search(text, result.output), result.output
        return result

    # the image's parts: what is asked for, and what has to come
    def parts(self):
        return {
            "manifest": (["manifest", self.manifest, self.path + ".m"],
                         self.repo.manifests[self.manifest][1]),
            "config": (["blob", self.config, str(len(self.repo.blobs[self.config])),
                        self.path + ".c"], self.repo.blobs[self.config]),
            "blob": (["blob", BLOB, str(len(LAYER)), self.path + ".b"], LAYER),
        }

    def file(self, part):
        try:
            with open(self.parts()[part][0][-1], "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def pull(self, *parts, **how):
        """Fetches parts of the image; all of them by default, in one conversation."""
        parts = parts or ("manifest", "config", "blob")
        actions = [word for part in parts for word in self.parts()[part][0]]
        result = self.good(*actions, **how)
        for part in parts:
            assert self.file(part) == self.parts()[part][1], part + ": wrong bytes"
        return result

    def pull_bad(self, error, text, *parts, **how):
        parts = parts or ("blob",)
        result = self.bad(error, text, *[word for part in parts for word in self.parts()[part][0]],
                          **how)
        assert self.file(parts[-1]) != self.parts()[parts[-1]][1], "the bytes are there all the same"
        return result

    # ---- what was sent to whom -----------------------------------------------------------------

    def asked(self, listener=None):
        return mock.log.of(self.name, listener)

    def secrets(self, listener=None):
        """(listener, Authorization, decoded when it is Basic), and what else holds a secret."""
        found = []
        for request in self.asked(listener):
            for one in request.secrets():
                kind, _, text = one.partition(" ")
                if kind.lower() == "basic":
                    one = "Basic " + base64.b64decode(text).decode()
                found.append((request.listener.name, one))
            for one in (SECRET, IDENTITY):
                if one in request.target or one.encode() in request.body:
                    found.append((request.listener.name, "in the request: " + one))
        return found

    def nothing_told_to(self, *listeners):
        for listener in listeners:
            assert self.secrets(listener) == [], self.secrets(listener)

    def only_bearer_to_registry(self):
        """Paths below /v2/ saw nothing but bearer tokens."""
        for request in self.asked():
            if request.path.startswith("/v2/"):
                assert not request.authorization or \
                    request.authorization.startswith("Bearer "), request

    def tokens_asked(self):
        return [one for one in self.asked() if one.path.startswith("/token/")]
