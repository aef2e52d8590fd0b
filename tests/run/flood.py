"""Runs a command while something below it floods it, and says how it ended.

    flood.py none|SIGNAL COMMAND...

With a signal (INT, TERM): once a process below it has used a tenth of a second of processor time, which
only one that floods does, the signal is sent, and again until the command has ended. Prints
"CODE MS KIB": the exit code (128 + signal), the time since the first signal (else since the start), the
most memory that the command used. CODE is `stuck` when it had to be killed.
"""
import os
import signal
import subprocess
import sys
import time

PATIENCE_S = 60
TICKS = os.sysconf("SC_CLK_TCK") // 10
AGAIN_S = 0.05


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            found = [int(word) for word in file.read().split()]
    except OSError:
        return []
    return found + [below for child in found for below in children(child)]


def is_flooding(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return False
    return int(fields[11]) + int(fields[12]) >= TICKS


def main():
    number = None if sys.argv[1] == "none" else getattr(signal, "SIG" + sys.argv[1])
    # a caller in the background may have had INT ignored
    command = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    since = time.monotonic()
    seen = number is None
    stuck = False
    while True:
        pid, status, usage = os.wait4(command.pid, os.WNOHANG)
        if pid:
            break
        if not seen and any(map(is_flooding, children(command.pid))):
            seen = True
            since = time.monotonic()
        if seen and number is not None:
            os.kill(command.pid, number)
        if not stuck and time.monotonic() - since > PATIENCE_S:
            stuck = True
            os.kill(command.pid, signal.SIGKILL)
        time.sleep(AGAIN_S)
    took = int(1000 * (time.monotonic() - since))
    command.returncode = os.waitstatus_to_exitcode(status)
    code = command.returncode if command.returncode >= 0 else 128 - command.returncode
    print("stuck" if stuck else code, took, usage.ru_maxrss)


main()
