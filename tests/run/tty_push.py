"""Runs a command on a terminal of its own, then looks what was pushed into that terminal's input.

    tty_push.py COMMAND...      prints what the command said there, then "pushed N"
"""
import fcntl
import os
import pty
import select
import sys
import termios
import tty


def leader(slave):
    """The shell of the terminal: runs the command, and reads what it would have run next."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    tty.setraw(slave)
    child = os.fork()
    if child == 0:
        for fd in range(3):
            os.dup2(slave, fd)
        os.closerange(3, 100)
        os.execv(sys.argv[1], sys.argv[1:])
    os.waitpid(child, 0)
    ready, _, _ = select.select([slave], [], [], 0.3)
    pushed = os.read(slave, 4096) if ready else b""
    os.write(slave, b"\npushed %d\n" % len(pushed))


def main():
    master, slave = pty.openpty()
    child = os.fork()
    if child == 0:
        os.close(master)
        leader(slave)
        os._exit(0)
    os.close(slave)
    text = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.waitpid(child, 0)
    sys.stdout.write(text.decode("utf-8", "replace").replace("\r", ""))


main()
