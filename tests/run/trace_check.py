"""Reads what `strace -ff -y --decode-pids=pidns -o PREFIX` wrote, and says what should not be there.

    trace_check.py exec PREFIX FOLDER...    programs and mappings with PROT_EXEC of files below a
                                            FOLDER, or of any file after a chroot or pivot_root, in
                                            processes that are not the instance (it begins with
                                            duet-init's memfd), not QEMU in its jail and not Debian's
                                            tools in theirs, which holds the host's programs alone
    trace_check.py mount PREFIX             mounts of file systems that have a structure on a disk,
                                            and loop devices

One line for each; then "PROCESSES programs PROGRAMS", so that nothing seen is not taken for good.
"""
import collections
import glob
import re
import sys

HARMLESS = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "overlay"}
EXEC = re.compile(r'^execve\("((?:[^"\\]|\\.)*)".* = 0$')
EXECAT = re.compile(r'^execveat\(\d+<([^>]*)>.* = 0$')
MAP = re.compile(r'^mmap\([^,]*, [^,]*, [^,]*PROT_EXEC[^,]*, [^,]*, (?:\d+<([^>]*)>|-1).* = 0x')
BORN = re.compile(r"^(?:clone3?|v?fork)\(.* = (\d+)(?: /\* (\d+) in strace's PID NS \*/)?$")
MOUNT = re.compile(r'^mount\((?:"[^"]*"|NULL), "[^"]*", "([^"]*)"')
OPEN = re.compile(r'^fsopen\("([^"]*)"')
# what the root of Debian's tools is made of, and how it is told from others
TOOLS = re.compile(r'^openat\(.*"/tmp/keys\.gpg", O_WRONLY.* = \d')
TOOLS_TREES = re.compile(r'^open_tree\([^,]*, "(?:/usr|/s?bin|/lib(?:32|64|x32)?|/etc/alternatives|/dev/[a-z]+|)"')
ROOT = re.compile(r"^(?:chroot|pivot_root)\(.* = 0$")
LOOP = re.compile(r'"(/dev/loop[^"]*)"')


class Process:
    def __init__(self, pid):
        self.pid = pid
        self.parent = None
        self.events = []
        self.instance_from = None   # index of the event that made it the instance


def read(prefix):
    processes = {}
    born = {}
    for path in glob.glob(prefix + ".*"):
        pid = int(path.rsplit(".", 1)[1])
        process = processes[pid] = Process(pid)
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                line = line.rstrip("\n")
                process.events.append(line)
                match = BORN.match(line)
                if match:
                    born[int(match.group(2) or match.group(1))] = (pid, len(process.events) - 1)
    for pid, parent in born.items():
        if pid in processes:
            processes[pid].parent = parent
    return processes


def special(line):
    match = EXECAT.match(line) or EXEC.match(line)
    return match and ("memfd:duet-init" in match.group(1) or "/qemu-system-" in match.group(1))


def is_instance(processes, process, index):
    """Whether the event at `index` comes after duet-init (or QEMU) began, here or in a parent."""
    while process:
        if any(special(line) for line in process.events[:index + 1]):
            return True
        if not process.parent:
            return False
        process, index = processes[process.parent[0]], process.parent[1]
    return False


def has_other_root(processes, process, index):
    while process:
        events = process.events[:index]
        if any(ROOT.match(line) for line in events):
            return not (any(TOOLS.match(line) for line in events) and
                        all(TOOLS_TREES.match(line) for line in events
                            if line.startswith("open_tree(")))
        if not process.parent:
            return False
        process, index = processes[process.parent[0]], process.parent[1]
    return False


def check_exec(processes, folders):
    programs = collections.Counter()
    for process in processes.values():
        for index, line in enumerate(process.events):
            match = EXEC.match(line) or EXECAT.match(line)
            mapped = MAP.match(line)
            path = match.group(1) if match else mapped.group(1) if mapped else None
            if path is None:
                continue
            if match:
                programs[path.split("/")[-1]] += 1
            if is_instance(processes, process, index):
                continue
            if any(path.startswith(folder + "/") for folder in folders) or \
                    not path.startswith("/") or has_other_root(processes, process, index):
                print("%d: %s" % (process.pid, line[:200]))
    return programs


def check_mount(processes):
    calls = collections.Counter()
    for process in processes.values():
        for line in process.events:
            match = MOUNT.match(line) or OPEN.match(line)
            if match:
                calls[match.group(1)] += 1
                if match.group(1) not in HARMLESS:
                    print("%d: %s" % (process.pid, line[:200]))
            elif LOOP.search(line):
                print("%d: %s" % (process.pid, line[:200]))
    return calls


def main():
    processes = read(sys.argv[2])
    seen = check_exec(processes, sys.argv[3:]) if sys.argv[1] == "exec" else check_mount(processes)
    print(len(processes), " ".join("%s" % key for key in sorted(seen)))


main()
