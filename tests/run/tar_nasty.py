#!/usr/bin/python3
"""Makes a tree of all that a tar can hold and unpackers get wrong: tar_nasty.py FOLDER."""
import os
import random
import struct
import sys

random.seed(7)
os.umask(0)
os.makedirs(sys.argv[1])
os.chdir(os.fsencode(sys.argv[1]))


def write(name, data=b"x", mode=0o644, owner=(0, 0)):
    with open(name, "wb") as file:
        file.write(data)
    os.chown(name, *owner)
    os.chmod(name, mode)


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


# sizes around the borders of blocks and buffers
for size in (0, 1, 511, 512, 513, 4095, 4096, 4097, 8191, 8192, 8193, 262143, 262144, 262145,
             (3 << 20) + 7):
    write("size-%d" % size, random.randbytes(size))

# names
write("n" * 255)
write("a name with blanks, 'quotes', \"more\", \\ and $(things)\nand a line\033[31m".encode())
write(b"not-utf8-\xff\xfe\x80")
write("utf8-\u00e9-\u6f22-\U0001f600".encode())
write("nfd-e\u0301".encode())
write(".whx")
write("-rf")
os.symlink(b"not-utf8-\xff\xfe\x80", b"link-not-utf8-\xff")
for size in (98, 99, 100, 101, 102, 154, 155, 156):
    write("L" * size)
    os.symlink("T" * size, "link-%d" % size)
    os.makedirs("P%03d/" % size + "p" * size)
    write("P%03d/" % size + "p" * size + "/" + "f" * 90)
os.symlink("t" * 4000, "link-4000")
os.symlink("/etc/shadow", "link-absolute")
os.symlink("../../../../outside", "link-out")
os.symlink(".", "link-self")
deep = "deep"
for level in range(60):
    deep += "/level-%02d-%s" % (level, "d" * 12)
os.makedirs(deep)
write(deep + "/bottom")

# modes and owners
for mode in (0, 0o400, 0o111, 0o777, 0o4755, 0o2755, 0o1644, 0o6711, 0o7777):
    write("mode-%04o" % mode, b"m", mode, (1000, 100))
    os.mkdir("folder-%04o" % mode)
    write("folder-%04o/inside" % mode, b"m", 0o640)
    os.chown("folder-%04o" % mode, 0, 50)
    os.chmod("folder-%04o" % mode, mode)
for number, owner in enumerate(((65534, 65534), (2097151, 2097151), (2097152, 2097152),
                                (4294967294, 4294967294), (0, 4242))):
    write("owner-%d" % number, b"o", 0o644, owner)
os.symlink("x", "link-owned")
os.lchown("link-owned", 33, 34)

# hard links
write("hard-a", b"hard")
os.link("hard-a", "hard-b")
os.mkdir("hard")
os.link("hard-a", "hard/c")
os.link("link-absolute", "hard/link", follow_symlinks=False)

# attributes, ACLs, capabilities
write("xattr")
os.setxattr("xattr", "user.empty", b"")
os.setxattr("xattr", "user.bytes", bytes(range(256)))
os.setxattr("xattr", "user.long", b"v" * 3000)
os.setxattr("folder-0777", "user.folder", b"f")
write("capability", b"c", 0o755)
os.setxattr("capability", "security.capability",
            struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
no_one = 0xffffffff
# ids that have no name here: GNU tar writes names where it finds some, even with --numeric-owner
access = acl((1, 6, no_one), (2, 7, 54321), (4, 4, no_one), (8, 5, 54322), (16, 7, no_one),
             (32, 0, no_one))
write("acl", b"a", 0o640)
os.setxattr("acl", "system.posix_acl_access", access)
for name in ("acl-default", "acl-both"):
    os.mkdir(name)
    os.setxattr(name, "system.posix_acl_default", access)
    write(name + "/inherits-nothing-from-tar", b"i", 0o604)
    os.removexattr(name + "/inherits-nothing-from-tar", "system.posix_acl_access")
    os.chmod(name + "/inherits-nothing-from-tar", 0o604)
os.setxattr("acl-both", "system.posix_acl_access", access)

# holes
for name, pieces, end in (("sparse-head", [(1 << 20, b"end")], 0), ("sparse-all", [], 5 << 20),
                          ("sparse-tail", [(0, b"begin")], 3 << 20),
                          ("sparse-many", [(i * 65536, b"i" * 4096) for i in range(80)], 0)):
    with open(name, "wb") as file:
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
        if end:
            file.truncate(end)

os.mkfifo("fifo", 0o622)

# a folder of many
os.mkdir("many")
for number in range(400):
    write("many/%d" % number, b"%d" % number)

# times, last: what is made in a folder changes the folder's. No fractions before 1970, which GNU
# tar reads wrong ("-1.5" as half a second before): a unit test has those
times = [0, 1, -10**9, -2 * 10**9, 1700000000123456789, 4102444800 * 10**9, -10**18,
         951782400 * 10**9 + 1]
for number, time in enumerate(times):
    write("time-%d" % number)
    os.symlink("t", "time-link-%d" % number)
    os.mkdir("time-folder-%d" % number)
    write("time-folder-%d/inside" % number)
for number, time in enumerate(times):
    for name in ("time-%d", "time-link-%d", "time-folder-%d"):
        os.utime(name % number, ns=(time, time), follow_symlinks=False)
for folder, _, _ in os.walk(b".", topdown=False):
    if not os.path.basename(folder).startswith(b"time-"):
        os.utime(folder, ns=(10**18 + 5, 10**18 + 5 + len(folder)))
