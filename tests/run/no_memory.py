"""duet and its workers with allocations that fail: no_memory.py DUET LIBRARY DIR all|some. Lines for the
shell: `ok NAME`, `bad NAME WHY`, with a tab between, and at last `end`.

DUET lies beside a worker that takes its environment from a file (no_memory.c). Of each command, and of
each kind of worker that it starts, the Nth allocation fails alone, then all from the Nth on. Each time
the command succeeds with what it gives otherwise, or it fails: no signal, one line that says memory is
out. Afterwards the store is sound, tmp/ is empty and the same command gives what it gives otherwise.
"""
import os
import struct
import subprocess
import sys
import time

from no_memory_cases import cases

DUET, LIBRARY, DIR, WHICH = sys.argv[1:]
STORE = DIR + "/store"
SEEN = DIR + "/seen"
ENVIRONMENT = os.path.dirname(DUET) + "/duet-worker.environment"
POINTS = 10     # of a case in duet; a case of `every` has all
SAYS = ("out of memory", "met the limit of its memory", "Cannot allocate memory",
        "start a thread: Resource temporarily unavailable")     # EAGAIN is what that call has for it
CODES = (1, 2, 125)
WAIT_S = 60


def faults(who, at):
    """The environment of duet; the workers' is written into its file."""
    own = who in ("duet", "child")
    only = ["NO_MEMORY_CHILD=1"] if who == "child" else [] if own else ["NO_MEMORY_ONLY=" + who]
    lines = ["LD_PRELOAD=" + LIBRARY, "NO_MEMORY_SEEN=" + SEEN, "NO_MEMORY_AT=" + at, *only]
    with open(ENVIRONMENT, "w", encoding="ascii") as file:
        file.writelines(line + "\n" for line in lines if not own)
    return dict(line.split("=", 1) for line in lines) if own else {}


def run(arguments, environment=None):
    return subprocess.run([DUET, *arguments], capture_output=True, check=False, timeout=WAIT_S,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})})


def seen():
    with open(SEEN, "rb") as file:
        return struct.unpack("Q", file.read(8))[0]


def forget_seen():
    with open(SEEN, "wb") as file:
        file.write(bytes(8))
    os.chmod(SEEN, 0o666)       # some workers are nobody


def fresh():
    subprocess.run(["rm", "-rf", STORE], check=True)


def complaint(done, wanted):
    """What is wrong with the end of a command that an allocation failed in; None: nothing."""
    if done.returncode == 0:
        return None if done.stdout == wanted else "0, but it printed %r" % done.stdout
    if done.returncode not in CODES:
        return "exit code %d: %s" % (done.returncode, done.stderr.decode())
    errors = [line for line in done.stderr.decode().splitlines() if "error[" in line]
    if len(errors) != 1 or not any(say in errors[0] for say in SAYS):
        return "%d, and it said %s" % (done.returncode, done.stderr.decode())
    return None


def aftermath(case):
    """What is wrong afterwards, without faults."""
    faults("duet", "0")
    if not case.store:
        return None
    sound = run(["store", "check", "--store", STORE])
    if os.path.isdir(STORE) and sound.stdout + sound.stderr != b"the store is sound\n":
        return "store check: %s" % (sound.stdout + sound.stderr).decode()
    again = run(case.command)
    if again.returncode != 0 or again.stdout != case.wanted:
        return "again: %d %s" % (again.returncode, again.stderr.decode())
    left = os.listdir(STORE + "/v1/tmp")
    return "tmp holds %s" % left if left else None


def point(case, who, at):
    if case.store:
        fresh()
        case.prepare(run)
    done = run(case.command, faults(who, at))
    wrong = complaint(done, case.wanted) or aftermath(case)
    name = "%s: %s: allocation %s" % (case.name, who, at)
    print("bad\t%s\t%s" % (name, wrong.strip().replace("\n", " | ")) if wrong else "ok\t" + name,
          flush=True)


def measure(case, who):
    """How many allocations a process comes to; sets what the command gives."""
    fresh()
    case.prepare(run)
    forget_seen()
    done = run(case.command, faults(who, "0"))
    assert done.returncode == 0, done.stderr.decode()
    assert case.wanted in (None, done.stdout), "it gives another %r" % done.stdout
    case.wanted = done.stdout
    return seen()


def points(case, who, total):
    """Which allocations: of a worker most near the end, for libcrypto's start takes thousands."""
    if case.every or WHICH == "all":
        return range(1, total + 1)
    if who == "child":
        return range(1, total + 1, max(total // (2 * POINTS), 1))
    if who == "duet":
        return range(1, total + 1, max(total // POINTS, 1))
    back = [0, 1]
    while back[-1] < total - 1:
        back.append(min(back[-1] * 2 + 1, total - 1))
    return [total - each for each in reversed(back)]


def sweep(case, who):
    began = time.monotonic()
    total = measure(case, who)
    if total == 0:
        print("bad\t%s: %s\tno allocation was seen" % (case.name, who))
        return
    numbers = points(case, who, total)
    for index, number in enumerate(numbers):
        point(case, who, "%d" % number)
        if index % (16 if case.every else 3) == 0 or WHICH == "all":
            point(case, who, "%d+" % number)
    print("told\t%s: %s: %d of %d allocations, %.1f s" %
          (case.name, who, len(numbers), total, time.monotonic() - began))


def main():
    only = os.environ.get("NO_MEMORY_CASES", "").split()
    for case in cases(DIR, STORE):
        for who in case.who:
            if not only or case.name in only:
                sweep(case, who)
    print("end")


main()
