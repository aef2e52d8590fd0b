"""Runs a command in bounds: box.py SECONDS MIB COMMAND...

Its exit code is the command's (128 + signal), 240 when it took longer, 241 when a process of it
had more resident memory.
"""
import resource
import subprocess
import sys

try:
    done = subprocess.run(sys.argv[3:], timeout=float(sys.argv[1]), check=False)
except subprocess.TimeoutExpired:
    sys.exit(240)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
if peak > int(sys.argv[2]):
    print("%d MiB" % peak, file=sys.stderr)
    sys.exit(241)
sys.exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)
