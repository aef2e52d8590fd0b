"""Exchanges two names without a pause until its standard input ends: swap.py A B"""
import ctypes
import os
import select
import sys

libc = ctypes.CDLL(None, use_errno=True)
a, b = (os.fsencode(name) for name in sys.argv[1:3])
print("swapping", flush=True)
while not select.select([0], [], [], 0)[0]:
    for _ in range(100):
        if libc.renameat2(-100, a, -100, b, 2) < 0:
            sys.exit(os.strerror(ctypes.get_errno()))
