#!/usr/bin/python3
"""Runs a command and prints the most memory that it and its children had at a time, in KiB: memory.py COMMAND...

The sum of their proportional set sizes, looked at every ten milliseconds.
"""
import os
import subprocess
import sys
import time


def children_of(parents):
    """All processes below `parents`, themselves too."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, encoding="latin-1") as file:
                    found[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                pass
    grew = True
    while grew:
        more = {pid for pid, parent in found.items() if parent in parents} - parents
        parents, grew = parents | more, bool(more)
    return parents


def memory_of(pid):
    try:
        with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    except (OSError, ProcessLookupError):
        return 0


def main():
    with subprocess.Popen(sys.argv[1:], stdout=sys.stderr) as command:
        most = 0
        while command.poll() is None:
            most = max(most, sum(memory_of(pid) for pid in children_of({command.pid})))
            time.sleep(0.01)
        print(most)
    sys.exit(command.returncode)


main()
