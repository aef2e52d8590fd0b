"""Runs `COMMAND...` with a job on a terminal, and says what came of it.

    terminal.py COMMAND...       the job's own words are put behind it
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

JOB = r"""
trap 'stty size' WINCH
test -t 0 && a=True; test -t 1 && b=True; test -t 2 && c=True
echo "$a $b $c"; echo "$TERM"; stty size; echo READY
read line; echo "echo: $line"; echo RESIZE
while [ "$(stty size)" = "33 77" ]; do sleep 0.05; done; trap - WINCH
stty size; trap 'echo ": caught"; exit 6' INT; echo INTERRUPT
while :; do sleep 0.05; done
"""


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def main():
    os.environ["TERM"] = "xterm-test"
    master, slave = pty.openpty()
    set_size(slave, 33, 77)
    child = os.fork()
    if child == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)
        os.closerange(3, 100)
        os.execv(sys.argv[1], sys.argv[1:] + ["sh", "-c", JOB])
    before = termios.tcgetattr(slave)
    text = b""
    answers = [(b"READY\r\n", lambda: os.write(master, b"typed\r")),
               (b"RESIZE\r\n", lambda: set_size(master, 44, 88)),
               (b"INTERRUPT\r\n", lambda: os.write(master, b"\x03"))]
    end = time.monotonic() + 60
    status = None
    while time.monotonic() < end:
        ready, _, _ = select.select([master], [], [], 0.05)
        if ready:
            text += os.read(master, 65536)
            while answers and answers[0][0] in text:
                answers.pop(0)[1]()
            continue
        if status is not None:
            break
        done, value = os.waitpid(child, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(value)
    if status is None:
        os.kill(child, signal.SIGKILL)
        print("no end in time")
    lines = [line for line in text.decode().replace("\r\n", "\n").split("\n")
             if line and line not in ("READY", "RESIZE", "INTERRUPT", "typed")]
    # the trap of WINCH may come before the loop sees the size
    unique = [line for i, line in enumerate(lines) if i == 0 or line != lines[i - 1]]
    print("\n".join(re.sub(r"[^ -~]", "?", line) for line in unique))
    print("code", status)
    if termios.tcgetattr(slave) != before:
        print("the caller's terminal is not as it was")


main()
