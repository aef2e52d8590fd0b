"""Archives as nobody should make them, one file a case, written header by header.

    hostile_tars.py OUT VICTIM NEAR     writes OUT/NAME and OUT/cases: lines of NAME, VERDICT, SHOWN

VERDICT: `refuse` (exit code 1, one message that has SHOWN in it, nothing left), `take` (exit code 0)
or `any` of the two. VICTIM is a folder outside of everything, with a file `hello` in it. NEAR is the
one in which the archives are unpacked, with `cwdsecret`: on the store's mount, for hard links.
"""
import gzip
import os
import struct
import subprocess
import sys

REGULAR, HARDLINK, SYMLINK, CHAR, BLOCK, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
END = bytes(1024)


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def base256(value, width):
    return (value & ((1 << (8 * width)) - 1) | 1 << (8 * width - 1)).to_bytes(width, "big")


def block(name, kind=REGULAR, size=0, mode=0o644, link=b"", uid=0, mtime=1700000000, device=(0, 0),
          size_field=None, uid_field=None, magic=b"ustar\x0000", checksum=None):
    """One header of 512 bytes."""
    head = bytearray(512)
    head[0:100] = name[:100].ljust(100, b"\0")
    head[100:108] = octal(mode, 8)
    head[108:116] = uid_field or octal(uid, 8)
    head[116:124] = octal(0, 8)
    head[124:136] = size_field or octal(size, 12)
    head[136:148] = octal(mtime, 12)
    head[148:156] = b" " * 8
    head[156:157] = kind
    head[157:257] = link[:100].ljust(100, b"\0")
    head[257:265] = magic
    head[329:337] = octal(device[0], 8)
    head[337:345] = octal(device[1], 8)
    total = sum(head) if checksum is None else checksum
    head[148:156] = b"%06o\0 " % total
    return bytes(head)


def padded(data):
    return data + bytes(-len(data) % 512)


def record(key, value):
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while length != len(b"%d" % length) + len(body):
        length = len(b"%d" % length) + len(body)
    return b"%d" % length + body


def pax(records, kind=b"x"):
    data = b"".join(record(key, value) for key, value in records)
    return block(b"pax", kind, len(data)) + padded(data)


def entry(name, kind=REGULAR, data=b"", link=b"", xattrs=(), **fields):
    """An entry; what does not fit its header goes into a pax header before it."""
    records = [(b"SCHILY.xattr." + key, value) for key, value in xattrs]
    if len(name) > 100:
        records.append((b"path", name))
    if len(link) > 100:
        records.append((b"linkpath", link))
    return ((pax(records) if records else b"") +
            block(name, kind, len(data), link=link, **fields) + padded(data))


def file(name, data=b"data\n", **fields):
    return entry(name, REGULAR, data, **fields)


def folder(name, **fields):
    return entry(name, FOLDER, mode=fields.pop("mode", 0o755), **fields)


def symlink(name, link, **fields):
    return entry(name, SYMLINK, link=link, **fields)


def hardlink(name, link, **fields):
    return entry(name, HARDLINK, link=link, **fields)


def zstd_frame(data, window=None):
    """A frame of raw blocks; `window` is the byte that tells its window's size."""
    head = struct.pack("<I", 0xFD2FB528)
    head += b"\0" + bytes([window]) if window is not None else b"\0\x70"
    out = head
    pieces = [data[at:at + 65536] for at in range(0, len(data), 65536)] or [b""]
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        out += struct.pack("<I", len(piece) << 3 | last)[:3] + piece
    return out


def zstd_skippable(data):
    return struct.pack("<II", 0x184D2A50, len(data)) + data


def zeros_zst(path, gigabytes):
    with open(path, "wb") as out:
        head = subprocess.Popen(["head", "-c", "%dG" % gigabytes, "/dev/zero"],
                                stdout=subprocess.PIPE)
        big = block(b"zeros", size_field=base256(gigabytes << 30, 12))
        zstd = subprocess.Popen(["zstd", "-q", "-1", "-c"], stdin=subprocess.PIPE, stdout=out)
        zstd.stdin.write(big)
        while True:
            piece = head.stdout.read(1 << 20)
            if not piece:
                break
            zstd.stdin.write(piece)
        zstd.stdin.write(END)
        zstd.stdin.close()
        zstd.wait()
        head.wait()


class Cases:
    def __init__(self, out):
        self.out = out
        self.lines = []

    def add(self, name, data, verdict, shown=""):
        with open(os.path.join(self.out, name), "wb") as out:
            out.write(data)
        self.lines.append("%s\t%s\t%s\n" % (name, verdict, shown))

    def refuse(self, name, shown, *parts):
        self.add(name + ".tar", b"".join(parts) + END, "refuse", shown)

    def any(self, name, *parts):
        self.add(name + ".tar", b"".join(parts) + END, "any")

    def take(self, name, *parts):
        self.add(name + ".tar", b"".join(parts) + END, "take")


def outside(cases, victim, near):
    """T1 to T7: names, links and metadata that would reach out."""
    up = b"../" * 40
    hello = victim + b"/hello"
    cases.refuse("t1-dot", ".", symlink(b".", victim), file(b"pwn"))
    cases.refuse("t1-slash", "/", symlink(b"/", victim), file(b"pwn"))
    cases.refuse("t1-dot-slash", ".", symlink(b"./", victim), file(b"pwn"))
    cases.refuse("t1-file", ".", file(b"."), file(b"pwn"))
    cases.refuse("t1-hardlink", ".", file(b"f"), hardlink(b".", b"f"))
    cases.refuse("t2-up", "../victim/dotdot", file(b"../victim/dotdot"))
    cases.refuse("t2-root-up", "/../victim/x", file(b"/../victim/x"))
    cases.refuse("t2-middle", "a/../../v", folder(b"a"), file(b"a/../../v"))
    cases.refuse("t2-end", "a/..", folder(b"a"), file(b"a/.."))
    cases.refuse("t2-many", "pwn", file(up + victim[1:] + b"/pwn"))
    cases.take("t2-absolute", file(victim + b"/x"))
    for name, target in (("absolute", victim), ("relative", up + victim[1:]), ("root", b"/"),
                         ("proc", b"/proc/self/root" + victim)):
        cases.any("t3-" + name, symlink(b"l", target), file(b"l/pwn"))
        cases.any("t3-file-" + name, symlink(b"l", target + b"/hello"), file(b"l", b"OWNED"))
        cases.any("t3-chain-" + name, symlink(b"a", target), symlink(b"b", b"a"), file(b"b/pwn"),
                  folder(b"b/made"), hardlink(b"h", b"b/hello"))
    cases.refuse("t4-up", "h", hardlink(b"h", b"../victim/hello"))
    cases.refuse("t4-absolute", "h", hardlink(b"h", hello))
    cases.refuse("t4-cwd", "h", hardlink(b"h", b"cwdsecret"))
    cases.refuse("t4-near", "h", hardlink(b"h", near + b"/cwdsecret"))
    cases.refuse("t4-near-up", "h", hardlink(b"h", up + near[1:] + b"/cwdsecret"))
    cases.any("t4-near-through", symlink(b"l", near), hardlink(b"h", b"l/cwdsecret"))
    cases.refuse("t4-proc", "h", hardlink(b"h", b"/proc/self/cwd/cwdsecret"))
    cases.any("t4-through", symlink(b"l", victim), hardlink(b"h", b"l/hello"))
    cases.any("t4-folder", folder(b"d"), hardlink(b"h", b"d"))
    cases.any("t5-over", symlink(b"s", hello), hardlink(b"h", b"s"), file(b"h", b"OWNED"))
    cases.any("t5-mode", symlink(b"s", hello), hardlink(b"h", b"s", mode=0o6777, uid=1))
    cases.any("t6-link", file(b"f"), symlink(b"f", hello, mode=0o6777, uid=1, mtime=1))
    cases.any("t6-folder", symlink(b"f", victim), folder(b"f", mode=0o777, uid=1, mtime=1))
    cases.any("t6-xattr", symlink(b"f", hello, xattrs=[(b"user.owned", b"1")]))
    cases.any("t7-later", folder(b"d", mode=0o500, mtime=1, uid=1), symlink(b"d", victim))
    cases.any("t7-inside", folder(b"d", mtime=1), folder(b"d/e", mode=0o500, mtime=1),
              symlink(b"d/e", victim), folder(b"d", mode=0o700, mtime=2))


def overlays(cases):
    """T9, T11, T12: devices, attributes and whiteouts."""
    cases.take("t9-devices", entry(b"null", CHAR, device=(1, 3)),
               entry(b"mem", CHAR, device=(1, 1), mode=0o666),
               entry(b"disk", BLOCK, device=(8, 0), mode=0o666))
    cases.refuse("t9-whiteout", "etc", entry(b"etc", CHAR, device=(0, 0)))
    attributes = [(b"user.overlay.redirect", b"/../.."), (b"user.overlay.metacopy", b""),
                  (b"user.overlay.opaque", b"y"), (b"user.overlay.origin", b"x"),
                  (b"trusted.overlay.opaque", b"y"), (b"security.selinux", b"x"),
                  (b"user.kept", b"1")]
    cases.take("t11-xattrs", folder(b"etc/", xattrs=attributes),
               file(b"etc/extra", xattrs=attributes))
    cases.take("t11-plain", folder(b"etc/"), file(b"etc/extra"))
    for number, name in enumerate((b".wh.", b".wh..", b".wh...", b"etc/.wh.", b"etc/.wh..",
                                   b"etc/.wh...", b".wh.a/b", b"etc/.wh.a/b", b".wh..wh.",
                                   b".wh..wh..opq/x")):
        cases.refuse("t12-%d" % number, name.decode(), file(name, b""))
    cases.refuse("t12-link-opaque", "s/.wh..wh..opq", symlink(b"s", b"/etc"),
                 file(b"s/.wh..wh..opq", b""))
    cases.refuse("t12-up", "../.wh.x", file(b"../.wh.x", b""))


def broken(cases):
    """T16: headers that lie."""
    cases.refuse("t16-size-63", "", pax([(b"size", b"9223372036854775807")]), file(b"f"))
    cases.refuse("t16-size-64", "", pax([(b"size", b"18446744073709551616")]), file(b"f"))
    cases.refuse("t16-size-negative", "", pax([(b"size", b"-1")]), file(b"f"))
    cases.refuse("t16-size-base256", "", block(b"f", size_field=base256(1 << 62, 12)))
    cases.refuse("t16-size-base256-negative", "", block(b"f", size_field=base256(-512, 12)))
    cases.refuse("t16-owner-large", "f", pax([(b"uid", b"4294967295")]), file(b"f"))
    cases.refuse("t16-owner-negative", "f", file(b"f", uid_field=base256(-2, 8)))
    cases.refuse("t16-name-1m", "", pax([(b"path", b"n/" * 524288)]), file(b"f"))
    cases.refuse("t16-name-256", "n", file(b"n" * 256))
    cases.any("t16-name-255", file(b"n" * 255))
    cases.refuse("t16-xattr-16m", "", pax([(b"SCHILY.xattr.user.x", bytes(16 << 20))]),
                 file(b"f"))
    cases.refuse("t16-xattr-100k", "f", pax([(b"SCHILY.xattr.user.x", bytes(100 << 10))]),
                 file(b"f"))
    cases.any("t16-nul", pax([(b"path", b"good\0../../evil")]), file(b"f"))
    cases.refuse("t16-sum", "", block(b"f", checksum=7) + bytes(512))
    cases.refuse("t16-cut", "", block(b"f", size=4096) + b"short")
    cases.any("t16-pax-length", block(b"pax", b"x", 512) + b"999999 path=x\n".ljust(512, b"\0"),
              file(b"f"))
    cases.any("t16-pax-no-end", pax([(b"path", b"a")])[:512])
    cases.any("t16-long-name", block(b"././@LongLink", b"L", size_field=base256(1 << 40, 12)),
              file(b"f"))
    sparse = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
              (b"GNU.sparse.name", b"f"), (b"GNU.sparse.realsize", b"4611686018427387904")]
    cases.any("t16-sparse", pax(sparse), file(b"f", b"1\n4611686018427387000\n4\n".ljust(512, b"\0")))
    cases.any("t16-sparse-map", pax(sparse), file(b"f", b"99999999\n" + b"0\n1\n" * (2 << 20)))
    cases.refuse("t16-no-target", "l", symlink(b"l", b""))
    cases.refuse("t16-escape", "\\x1b]52", file(b"../\x1b]52;c;eA==\x07\r\xe2\x80\xae"))
    cases.add("t16-junk.tar", os.urandom(100000), "refuse")
    cases.add("t16-text.tar", b"this is no archive\n" * 4000, "refuse")
    cases.add("t16-zip.tar", b"PK\x03\x04" + bytes(2000), "refuse")


def bombs(cases):
    """T17: more than was asked for."""
    cases.refuse("t17-depth-300", "d/d/", file(b"d/" * 300 + b"f"))
    cases.refuse("t17-depth-10k", "d/d/", file(b"d/" * 10000 + b"f"))
    whole = file(b"f") + END
    cases.add("t17-window.tar.zst", zstd_frame(whole, 21 << 3), "refuse")
    cases.add("t17-window-27.tar.zst", zstd_frame(whole, 17 << 3), "take")
    zeros_zst(os.path.join(cases.out, "t17-zeros.tar.zst"), 3)
    cases.lines.append("t17-zeros.tar.zst\trefuse\ttimes the size\n")
    nest = gzip.compress(gzip.compress(whole, mtime=0), mtime=0)
    cases.add("t17-nested.tar.gz", nest, "refuse")


def seams(cases):
    """T18: where one archive ends and another begins."""
    one, two = file(b"one") + END, file(b"two") + END
    zip1, zip2 = gzip.compress(one, mtime=0), gzip.compress(two, mtime=0)
    half = len(one) // 2
    cases.add("t18-two.tar", one + two, "refuse", "data after the end of the archive")
    cases.add("t18-two.tar.gz", zip1 + zip2, "refuse", "data after the end of the archive")
    cases.add("t18-two.tar.zst", zstd_frame(one) + zstd_frame(two), "refuse",
              "data after the end of the archive")
    cases.add("t18-members.tar.gz", gzip.compress(one[:half], mtime=0) +
              gzip.compress(one[half:], mtime=0), "take")
    cases.add("t18-skippable.tar.zst", zstd_skippable(b"hidden") + zstd_frame(one) +
              zstd_skippable(bytes(100)), "take")
    cases.add("t18-padding.tar", one + bytes(20480), "take")
    cases.add("t18-padding.tar.gz", gzip.compress(one + bytes(20480), mtime=0), "take")
    cases.add("t18-tail.tar.gz", zip1 + b"trailing junk", "refuse")
    cases.add("t18-tail.tar.zst", zstd_frame(one) + b"trailing junk", "refuse")
    cases.add("t18-cut.tar.gz", zip1[:-4], "refuse")
    cases.add("t18-crc.tar.gz", zip1[:-8] + bytes(8), "refuse")
    cases.add("t18-empty.tar", b"", "any")


def main():
    cases = Cases(sys.argv[1])
    victim = os.fsencode(sys.argv[2])
    outside(cases, victim, os.fsencode(sys.argv[3]))
    overlays(cases)
    broken(cases)
    bombs(cases)
    seams(cases)
    with open(os.path.join(cases.out, "cases"), "w", encoding="utf-8") as out:
        out.writelines(cases.lines)


main()
