"""Many duets on one store: races.py DUET DIR PROCESSES SECONDS SEED. Lines for the shell: `ok NAME`,
`bad NAME WHY`, with a tab between, `told TEXT`, and at last `end`.

1  All pull one image at once, then each one of three that share layers: every layer is fetched once.
2  For some time each does one thing after the other: pulls, builds, runs, exports, lists, checks, gc (which
   keeps images). Each gives what it gives alone; afterwards every image is there.
3  The same with `gc --all`, which takes images: what runs or is built meanwhile is right all the same, or
   says in one line that it was removed.
"""
import gzip
import io
import os
import random
import subprocess
import sys
import tarfile
import threading
import time
import traceback

from registry_mock import Mock

DUET, DIR = sys.argv[1:3]
PROCESSES, SECONDS, SEED = (int(word) for word in sys.argv[3:6])
STORE = DIR + "/store"
CONFIG_BYTES = 1 << 16  # whoever is at it at once fetches a config for himself
WATCHDOG_S = 120     # what takes longer waits for ever
GONE = ("was removed meanwhile", "run it again", "there is no image", "error[store.busy]")

lock = threading.Lock()
counts = {}


def say(*words):
    with lock:
        print("\t".join(words), flush=True)


def bad(name, why):
    say("bad", name, why.strip().replace("\n", " | "))


def layer(name):
    """Does not compress, so that it takes a moment."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for number in range(8):
            entry = tarfile.TarInfo("etc/%s-%d" % (name, number))
            entry.size = 1 << 17
            tar.addfile(entry, io.BytesIO(random.Random(name + str(number)).randbytes(entry.size)))
    return gzip.compress(raw.getvalue(), 1, mtime=0)


def run(*arguments, name=None):
    """(code, output, errors); a command that does not end is told."""
    process = subprocess.Popen([DUET, arguments[0], "--store", STORE, *arguments[1:]],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=WATCHDOG_S)
    except subprocess.TimeoutExpired:
        bad(name or arguments[0], "no end after %d s: a deadlock" % WATCHDOG_S)
        process.kill()
        out, err = process.communicate()
    with lock:
        counts[arguments[0]] = counts.get(arguments[0], 0) + 1
    return process.returncode, out, err


def together(functions):
    threads = [threading.Thread(target=one) for one in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class World:
    def __init__(self):
        self.mock = Mock((DIR + "/good.crt", DIR + "/good.key"))
        base, middle = layer("base"), layer("middle")
        layers = {"one": [base, middle, layer("one")], "two": [base, layer("two"), middle],
                  "three": [base, middle]}
        for name, own in layers.items():
            self.mock.add(name).add_image(own)
        self.images = {name: "127.0.0.1:%d/%s:latest" % (self.mock.registry.port, name)
                       for name in layers}
        self.wanted = {}
        self.spec = DIR + "/project/duet.yaml"
        self.mock.add("archives").add_image([layer("archive")])
        digest = max(self.mock.repos["archives"].blobs.items(), key=lambda item: len(item[1]))[0]
        self.fetching = DIR + "/project/fetched.yaml"
        with open(self.fetching, "w", encoding="ascii") as file:
            file.write("duet: 1\nname: fetched\nimage: {from: {archive: '%s', sha256: %s}}\n" % (
                self.mock.registry.url("/cdn/archives/" + digest), digest.removeprefix("sha256:")))

    def fetched(self):
        """How often each layer was asked for, and how many bytes of blobs were sent."""
        asked, sent = {}, 0
        for name in self.images:
            for one in self.mock.log.of(name):
                if "/blobs/" not in one.path or one.method != "GET":
                    continue
                digest = one.path.rsplit("/", 1)[1]
                sent += one.sent
                if len(self.mock.repos[name].blobs[digest]) > CONFIG_BYTES:
                    asked[digest] = asked.get(digest, 0) + 1
        return asked, sent

    # ---- what a process does -------------------------------------------------------------------

    def pull(self, name):
        code, out, err = run("pull", "-q", self.images[name])
        self.judge("pull " + name, code, out, err)

    def build(self):
        self.judge("build", *run("build", "-q", "-f", self.spec))

    def build_fetched(self):
        self.judge("build of what is fetched", *run("build", "-q", "-f", self.fetching))

    def start(self):
        self.judge("run", *run("run", "-q", "-f", self.spec))

    def export(self):
        path = "%s/%d.tar" % (DIR, threading.get_ident())
        code, _, err = run("export", "-q", "-f", self.spec, path)
        content = b""
        if code == 0:
            with open(path, "rb") as file:
                content = file.read()
            os.unlink(path)
        self.judge("export", code, content, err)

    def judge(self, name, code, out, err):
        if self.gone_may_be and code in (1, 2, 125) and err.count("error[") == 1 and \
                any(word in err for word in GONE):
            with lock:
                counts["gone"] = counts.get("gone", 0) + 1
            return
        if code != 0:
            bad(name, "%d: %s" % (code, err))
        elif self.wanted.setdefault(name, out) != out:
            bad(name, "it gave something else: %r" % out[:200])

    @staticmethod
    def house(*words):
        code, out, err = run(*words)
        if code != 0 and "error[store.busy]" not in err:
            bad(" ".join(words), "%d: %s%s" % (code, out, err))

    gone_may_be = False

    def one_thing(self, dice, more):
        names = sorted(self.images)
        dice.choice([
            lambda: self.pull(dice.choice(names)), lambda: self.pull(dice.choice(names)), self.build,
            self.start, self.start, self.export, lambda: self.house("gc", "-q"),
            lambda: self.house("images"), lambda: self.house("store", "check"), *more])()


def guarded(function):
    def inner():
        try:
            function()
        except Exception:
            bad("the test itself", traceback.format_exc())
    return inner


def all_at_once(world):
    repos = world.mock.repos.values()
    for repo in repos:
        repo.rate = 4 << 20
    together([guarded(lambda: world.pull("one"))] * PROCESSES)
    names = sorted(world.images)
    together([guarded(lambda n=names[i % 3]: world.pull(n)) for i in range(PROCESSES)])
    together([guarded(world.build_fetched)] * PROCESSES)
    archives = [one for one in world.mock.log.of("archives") if one.path.startswith("/cdn/")]
    if len(archives) == 1:
        say("ok", "an archive is fetched once by %d" % PROCESSES)
    else:
        bad("an archive is fetched once", "%d times" % len(archives))
    for repo in repos:
        repo.rate = None
    asked, sent = world.fetched()
    total = sum(len(blob) for blob in {digest: blob for repo in repos
                                       for digest, blob in repo.blobs.items()}.values())
    more = {digest: count for digest, count in asked.items() if count > 1}
    if more or sent > total * 1.1:
        bad("each layer is fetched once", "%s; %d bytes of %d" % (more, sent, total))
    else:
        say("ok", "each of %d layers is fetched once by %d" % (len(asked), PROCESSES))


def mixed(world, name, more):
    end = time.monotonic() + SECONDS

    def loop(number):
        dice = random.Random(SEED * 1000 + number)
        while time.monotonic() < end:
            world.one_thing(dice, more)

    together([guarded(lambda i=i: loop(i)) for i in range(PROCESSES)])
    world.gone_may_be = False
    say("ok", name)


def afterwards(name, world):
    code, out, err = run("store", "check")
    if (code, out + err) != (0, "the store is sound\n"):
        bad(name + ": sound", "%d: %s%s" % (code, out, err))
    if os.listdir(STORE + "/v1/tmp"):
        bad(name + ": tmp", str(os.listdir(STORE + "/v1/tmp")))
    world.build()
    world.start()
    say("ok", name + ": afterwards")


def main():
    world = World()
    all_at_once(world)
    afterwards("at once", world)
    mixed(world, "everything at once", [])
    listed = run("images")[1]
    for name in [*world.images.values(), "races"]:
        if name not in listed:
            bad("a lost image", "%s is not in %s" % (name, listed))
    afterwards("everything", world)
    world.gone_may_be = True
    mixed(world, "and images are taken away", [lambda: world.house("gc", "-q", "--all")])
    afterwards("with gc --all", world)
    for bug in world.mock.log.bugs:
        bad("the mock itself", bug)
    say("told", ", ".join("%d %s" % (counts[name], name) for name in sorted(counts)))
    print("end")


main()
