#!/usr/bin/env python3
"""Writes a tar of many small files to standard output: many_files.py COUNT BYTES."""
import random
import sys


def header(name, size, kind):
    mode = b"0000755" if kind == b"5" else b"0000644"
    block = bytearray(512)
    block[0:len(name)] = name
    block[100:108] = mode + b"\0"
    block[108:124] = b"0000000\0" * 2
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % 1700000000
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = b"ustar\00000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def main():
    count, size = int(sys.argv[1]), int(sys.argv[2])
    # a third of each file is noise: neither all zeros nor incompressible
    noise = random.Random(1).randbytes(1 << 20)
    padding = b"\0" * (-size % 512)
    out = sys.stdout.buffer
    out.write(header(b"./", 0, b"5"))
    for number in range(count):
        if number % 100 == 0:
            out.write(header(b"./folder%d/" % (number // 100), 0, b"5"))
        at = number * 7 % (len(noise) - size)
        text = (b"file %d\n" % number + noise[at:at + size // 3]).ljust(size, b".")[:size]
        out.write(header(b"./folder%d/file-%d" % (number // 100, number), size, b"0"))
        out.write(text + padding)
    out.write(b"\0" * 1024)


main()
