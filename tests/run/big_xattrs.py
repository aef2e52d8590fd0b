#!/usr/bin/python3
"""Attributes that are larger than a block, of files, folders and the root: `big_xattrs.py make TAR`
writes a tar with them, `big_xattrs.py check FOLDER` compares them in what came of it."""
import io
import os
import sys
import tarfile

SIZES = (1000, 1900, 2000, 2010, 2030, 2048, 2100, 4000, 10000, 30000)
ROOT_SIZE = 30000
NAMES = ("user.big0", "user.big1")


def value(name, size):
    return (name[-1] + "-") * (size // 2)


def make(path):
    tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)

    def add(name, kind, size, data=b""):
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(data)
        info.pax_headers = {"SCHILY.xattr." + name: value(name, size) for name in NAMES if size}
        tar.addfile(info, io.BytesIO(data))

    add("./", tarfile.DIRTYPE, ROOT_SIZE)
    for size in SIZES:
        add("file%d" % size, tarfile.REGTYPE, size, b"content %d" % size * 500)
        add("folder%d" % size, tarfile.DIRTYPE, size)
        add("folder%d/in" % size, tarfile.REGTYPE, 0, b"x")
    tar.close()


def check(top):
    wanted = [(top, ROOT_SIZE)]
    wanted += [(os.path.join(top, kind % size), size) for size in SIZES
               for kind in ("file%d", "folder%d")]
    for path, size in wanted:
        if sorted(os.listxattr(path)) != list(NAMES):
            sys.exit("%s: %s" % (path, os.listxattr(path)))
        for name in NAMES:
            if os.getxattr(path, name).decode() != value(name, size):
                sys.exit("%s: another %s" % (path, name))
    for size in SIZES:
        with open(os.path.join(top, "file%d" % size), "rb") as file:
            if file.read() != b"content %d" % size * 500:
                sys.exit("file%d: other content" % size)
        if os.listdir(os.path.join(top, "folder%d" % size)) != ["in"]:
            sys.exit("folder%d: other names" % size)
    print("%d are right" % len(wanted))


make(sys.argv[2]) if sys.argv[1] == "make" else check(sys.argv[2])
