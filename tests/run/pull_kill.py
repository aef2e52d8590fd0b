"""Pulls that are killed: pull_kill.py DUET KILL_POINT DIR all|some. Lines for the shell: `ok NAME`,
`bad NAME WHY`, with a tab between, and at last `end`.

The registry gives so many bytes a second that a pull is killed where a share of them has come: duet
itself, the worker that fetches, or one that unpacks. And at system calls, spread over all of them.
After each: the store is sound, the next pull ends well with the same id, and what had come is not
fetched again: nine tenths of it at least, but for a piece of each layer that was under way.
"""
import gzip
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
import traceback

from registry_mock import Mock

DUET, KILL_POINT, DIR, WHICH = sys.argv[1:]
LAYERS, LAYER_BYTES, RATE = 4, 2 << 20, 4 << 20
PIECE = 256 << 10
SHARES = (0.02, 0.3, 0.5, 0.75, 0.97) if WHICH == "some" else [n / 40 for n in range(1, 40)]
CALLS = 8 if WHICH == "some" else 400
STORE = DIR + "/store"

mock = Mock((DIR + "/good.crt", DIR + "/good.key"))
repo = mock.add("killed")


def layer(number):
    """Four files that do not compress, so that bytes come as they lie there."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for file in range(4):
            entry = tarfile.TarInfo("etc-%d/file-%d" % (number, file))
            entry.size = LAYER_BYTES // 4
            tar.addfile(entry, io.BytesIO(random.Random(number * 9 + file).randbytes(entry.size)))
    return gzip.compress(raw.getvalue(), 1, mtime=0)


repo.add_image([layer(number) for number in range(LAYERS)])
TOTAL = sum(len(one) for one in repo.blobs.values())
PULL = [DUET, "pull", "--store", STORE, "127.0.0.1:%d/killed:latest" % mock.registry.port]


def sent():
    return sum(one.sent for one in mock.log.of("killed") if "/blobs/" in one.path)


def unpublished():
    """Partial blobs; one that a kill left both names of is a blob already, and gc's."""
    folder = STORE + "/v1/partial/"
    return [name for name in os.listdir(folder) if os.stat(folder + name).st_nlink == 1]


def on_disk():
    """Bytes of blobs in the store, whole or not: a blob may have both names for a moment."""
    found = {}
    for folder in ("blobs", "partial"):
        for path, _, names in os.walk(STORE + "/v1/" + folder):
            for name in names:
                status = os.stat(os.path.join(path, name))
                found[status.st_ino] = status.st_size
    return sum(found.values())


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            for child in file.read().split():
                yield int(child)
                yield from children(int(child))
    except OSError:
        return


def workers(pid, kind):
    for child in children(pid):
        try:
            with open("/proc/%d/cmdline" % child, "rb") as file:
                if file.read().startswith(b"duet-worker\0" + kind.encode() + b"\0"):
                    yield child
        except OSError:
            pass


def pull():
    done = subprocess.run(PULL, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def check_after(name, most_came=None):
    """What the kill left, and the next pull."""
    kept = on_disk()
    if most_came is not None:
        assert kept >= 0.9 * most_came - LAYERS * PIECE, "%d of %d bytes were kept" % (kept, most_came)
    sound = subprocess.run([DUET, "store", "check", "--store", STORE], capture_output=True,
                           check=False, timeout=60)
    assert sound.stdout == b"the store is sound\n", sound.stdout + sound.stderr
    repo.rate = None
    before = sent()
    assert pull() == IMAGE, "another image"
    again = sent() - before - (TOTAL - kept)
    assert again <= 0.1 * kept + LAYERS * PIECE, "%d bytes of %d were fetched again" % (again, kept)
    assert os.listdir(STORE + "/v1/tmp") == [] and unpublished() == []
    sound = subprocess.run([DUET, "store", "check", "--store", STORE], capture_output=True,
                           check=False, timeout=60)
    assert sound.stdout == b"the store is sound\n", sound.stdout + sound.stderr
    return "%s: %d of %d bytes kept, %d again" % (name, kept, TOTAL, max(again, 0))


def fresh():
    # by duet's own ways: trees may belong to ids that only its namespace can remove
    subprocess.run(["rm", "-rf", STORE], check=True)


def at_share(who, share):
    fresh()
    repo.rate = RATE
    begin = sent()
    process = subprocess.Popen(PULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while sent() - begin < share * TOTAL and process.poll() is None:
        time.sleep(0.002)
    came = sent() - begin
    victims = [process.pid] if who == "duet" else list(workers(process.pid, who))
    for victim in victims[:1]:
        os.kill(victim, signal.SIGKILL)
    process.wait(30)
    if not victims:
        return None     # it was not there, or no longer
    # a layer whose unpacker is gone is unpacked anew, from the blob
    wanted = (0, 1) if who == "unpack" else (1, -signal.SIGKILL)
    assert process.returncode in wanted, process.returncode
    time.sleep(0.1)     # what is left of it ends
    return check_after("%s at %d %%" % (who, share * 100), came)


def at_call(who, number):
    fresh()
    repo.rate = None
    done = subprocess.run([KILL_POINT, who, str(number), *PULL], capture_output=True, check=False,
                          timeout=120)
    assert done.returncode in (0, 1), "%d: %s" % (done.returncode, done.stderr.decode())
    if done.returncode == 1:
        return None
    return check_after("%s at call %d" % (who, number))


def count_calls(who):
    fresh()
    done = subprocess.run([KILL_POINT, who, "0", *PULL], capture_output=True, check=False, timeout=120)
    return int(done.stdout.split()[-1]) if done.returncode == 1 else 0


def points():
    for who in ("duet", "registry", "unpack"):
        for share in SHARES:
            yield at_share, who, share
    for who in ("duet", "worker"):
        calls = count_calls(who)
        if not calls:
            print("left out: %s: no tracing here" % who)
        step = max(calls // CALLS, 1)
        for number in range(step // 2 + 1, calls, step):
            yield at_call, who, number


def main():
    killed = 0
    for function, who, where in points():
        name = "%s %s %s" % (function.__name__, who, where)
        try:
            told = function(who, where)
        except Exception:
            told = None
            print("bad\t%s\t%s" % (name, traceback.format_exc().strip().replace("\n", " | ")),
                  flush=True)
            killed += 1
        if told:
            killed += 1
            print("ok\t" + told, flush=True)
    for bug in mock.log.bugs:
        print("bad\tthe mock itself\t" + bug.replace("\n", " | "))
    if killed < 15:
        print("bad\tkills\tonly %d" % killed)
    print("end")


fresh()
IMAGE = pull()
main()
