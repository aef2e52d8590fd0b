"""What the corpora began with, made anew: one folder for each target.

    seeds.py OUT BUILD      writes OUT/TARGET/NAME; BUILD has tests/run/unpack_tree

Most is what other tests have already: golden specs, hostile archives, made kernels. The first bytes of
an input are the target's own (see each); `run.sh` fuzzes from here, `minimize.py` keeps what counts.
"""
import glob
import gzip
import hashlib
import io
import json
import lzma
import os
import struct
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
TAR_MAX = 12000     # bytes of an archive that is worth keeping as a seed


def run(*words):
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)


class Seeds:
    def __init__(self, out):
        self.out = out

    def put(self, target, name, *parts):
        folder = os.path.join(self.out, target)
        os.makedirs(folder, exist_ok=True)
        data = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
        with open(os.path.join(folder, name), "wb") as out:
            out.write(data)

    def texts(self, target, kind, name, texts):
        for number, text in enumerate(texts):
            self.put(target, "%s-%d" % (name, number), bytes([kind]), text)


def specs(seeds):
    for path in glob.glob(os.path.join(TESTS, "golden/spec/*.yaml")):
        with open(path, "rb") as file:
            text = file.read()
        if len(text) < 4000:
            seeds.put("spec", os.path.basename(path), text)
    for path in glob.glob(os.path.join(TESTS, "../examples/*/duet.yaml")):
        with open(path, "rb") as file:
            seeds.put("spec", os.path.basename(os.path.dirname(path)), file.read())


# ---- archives ------------------------------------------------------------------------------------

def tar(*entries, format=tarfile.PAX_FORMAT):
    """Entries of (name, type, text, more fields)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name, kind, text, fields in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mtime = 1700000000.25
            for field, value in fields.items():
                setattr(info, field, value)
            data = text if kind == tarfile.REGTYPE else b""
            info.size = len(data)
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = text.decode()
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue().rstrip(b"\0") + bytes(1536)


def small_tars():
    file, folder, link, hard = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)
    attributes = {"SCHILY.xattr.user.a": "b", "SCHILY.acl.access":
                  "user::rwx,user:1:rwx:1,group::r-x,mask::rwx,other::r-x",
                  "SCHILY.acl.default": "user::rwx,group::r-x,other::---"}
    yield "small", tar(("./", folder, b"", {"mode": 0o755}), ("a", file, b"a" * 5000, {"mode": 0o4755}),
                       ("d", folder, b"", {"mode": 0o1777, "uid": 7}), ("d/l", link, b"../a", {}),
                       ("d/h", hard, b"a", {}), ("p", tarfile.FIFOTYPE, b"", {}))
    yield "attributes", tar(("d", folder, b"", {"pax_headers": attributes, "mode": 0o755}),
                            ("d/f", file, b"x", {"pax_headers": {"SCHILY.xattr.user.a": "c"}}))
    yield "whiteouts", tar(("a", file, b"1", {}), (".wh.a", file, b"", {}), ("d/.wh..wh..opq", file, b"", {}),
                           ("d/x", file, b"", {}), (".wh..wh.aufs", file, b"", {}))
    yield "replaced", tar(("a", folder, b"", {}), ("a/b", file, b"1", {}), ("a", link, b"c", {}),
                          ("c/d", file, b"2", {}), ("a/e", file, b"3", {}), ("a", hard, b"c/d", {}))
    yield "gnu", tar(("n/" * 60 + "f", file, b"x", {"uid": 3000000}), format=tarfile.GNU_FORMAT)
    yield "device", tar(("null", tarfile.CHRTYPE, b"", {"devmajor": 1, "devminor": 3}))
    yield "many", tar(*[("f%03d" % i, file, b"", {}) for i in range(12)])
    yield "attribute-shown", tar(("p", tarfile.FIFOTYPE, b"", {"pax_headers": {"SCHILY.xattr.user.\x1b[31m": "b"}}))
    yield "attribute-long", tar(("f", file, b"", {"pax_headers": {"SCHILY.xattr.user.\x9b" + "n" * 252: "b"}}))
    yield "empty", bytes(1024)


def archives(seeds, build, work):
    tars = dict(small_tars())
    hostile = os.path.join(work, "hostile")
    os.mkdir(hostile)
    run("python3", os.path.join(TESTS, "run/hostile_tars.py"), hostile, "/victim")
    for path in glob.glob(hostile + "/*.tar"):
        if os.path.getsize(path) < TAR_MAX and "junk" not in path:
            with open(path, "rb") as file:
                tars[os.path.basename(path)[:-4]] = file.read()
    for name, data in tars.items():
        seeds.put("layer", name, b"\x3f", data)
        seeds.put("pack", name, bytes([len(data) // 512 % 16]), data)
    for path in glob.glob(hostile + "/*.tar.*"):
        if os.path.getsize(path) < TAR_MAX:
            with open(path, "rb") as file:
                seeds.put("inflate", os.path.basename(path), b"\1\0\3", file.read())
    for name in ("small", "attributes", "whiteouts", "replaced", "many"):
        images(seeds, build, work, name, tars[name])


def images(seeds, build, work, name, data):
    path, image, above, merged = (os.path.join(work, word) for word in ("tar", "image", "above", "merged"))
    with open(path, "wb") as out:
        out.write(data)
    tool = os.path.join(build, "tests/run/unpack_tree")
    run(tool, "-e", path, image)
    run(tool, "-e", path, above, image)
    run(tool, "-m", merged, image, above)
    bytes_of = {}
    for file in (image, above, merged):
        with open(file, "rb") as opened:
            bytes_of[file] = opened.read()
    seeds.put("erofs", name, b"\0", bytes_of[image])
    seeds.put("erofs", name + "-merged", b"\0", bytes_of[merged])
    seeds.put("erofs", name + "-as-it-is", b"\x80", bytes_of[image])
    seeds.put("erofs", name + "-two", b"\1", bytes([len(bytes_of[image]) // 4096]), bytes_of[image],
              bytes_of[above])


def streams(seeds):
    text = b"".join(b"%d %d\n" % (i, i * i % 97) for i in range(300))
    zstd = subprocess.run(["zstd", "-q", "-c"], input=text, stdout=subprocess.PIPE, check=True).stdout
    for name, data in {
            "gzip": gzip.compress(text, mtime=0), "stored": gzip.compress(text, 0, mtime=0),
            "huffman": gzip.compress(b"a", 1, mtime=0), "gzip-members": gzip.compress(b"1") + gzip.compress(b""),
            "gzip-zeros": gzip.compress(bytes(100000)) + bytes(9), "zstd": zstd, "zstd-two": zstd + zstd,
            "xz": lzma.compress(text), "xz-two": lzma.compress(b"") + lzma.compress(b"1") + bytes(4),
            "plain": text, "none": b"", "gzip-name": b"\x1f\x8b\x08\x1c\0\0\0\0\0\3\2\0abname\0comment\0" +
            gzip.compress(b"x", mtime=0)[10:]}.items():
        seeds.put("inflate", name, b"\1\1\1", data)
        seeds.put("inflate", name + "-cut", b"\0\7\0", data[:-3])


# ---- frames --------------------------------------------------------------------------------------

(HELLO, WELCOME, SETUP, START, STARTED, FAILED, DATA, EOF, CREDIT, SIGNAL, RESIZE, EXIT,
 EXIT_ACK) = range(1, 14)
NONCE = bytes(16)


def frame(kind, payload=b"", session=0, stream=0):
    return struct.pack("<IBBBB", len(payload), kind, session, stream, 0) + payload


def number(value):
    return struct.pack("<I", value)


def agents(seeds):
    hello = frame(HELLO, struct.pack("<II16s", 2, 0, NONCE))
    begun = hello + frame(STARTED)
    end = frame(EXIT, NONCE + struct.pack("<II", 3, 0))
    cases = {
        "whole": begun + frame(DATA, b"hello\n", stream=1) + frame(EOF, stream=1) + end + end,
        "signal": begun + frame(EXIT, NONCE + struct.pack("<II", 0, 9)),
        "failed": hello + frame(FAILED, struct.pack("<II", 3, 2) + b"ng\x1binx"),
        "failed-workdir": hello + frame(FAILED, struct.pack("<II", 2, 13) + b"/w"),
        "failed-setup": hello + frame(FAILED, struct.pack("<II", 1, 99999)),
        "credit": begun + frame(CREDIT, number(5)) + frame(CREDIT, number(1)),
        "much": begun + frame(DATA, b"x" * 3000, stream=2) * 4, "hello": hello, "twice": hello + hello,
        "session": begun + frame(DATA, b"x", session=1), "version": frame(HELLO, struct.pack("<II16s", 3, 0, NONCE)),
        "early": frame(DATA, b"x", stream=1), "type": begun + frame(99), "long": struct.pack("<IBBBB", 65537, 7, 0, 1, 0),
    }
    for name, data in cases.items():
        for flags in (0, 1, 3):
            seeds.put("agent", "%s-%d" % (name, flags), bytes([flags]), b"\xff\x0f", data)
    seeds.put("agent", "small-pieces", b"\0\0\0", cases["whole"])
    seeds.put("agent", "wait", b"\4\xff\xff", hello)


def start(argv, env=(), workdir="/", flags=2, groups=(), uid=0):
    words = b"".join(word.encode() + b"\0" for word in (*argv, *env, workdir))
    head = struct.pack("<16sIIIIIIIIHHxxxxQ", NONCE, flags, uid, uid, 0o22, len(argv), len(env), len(groups),
                       len(words), 24, 80, 0x1fb)
    return frame(START, head + words + b"".join(number(group) for group in groups))


def setup(ops, disks=1, flags=0, host="h"):
    words = host.encode() + b"\0" + b"".join(
        word.encode() + b"\0" for op in ops for word in op[2:])
    return (struct.pack("<16sQ64sIIII", NONCE, 10 ** 18, bytes(64), flags, disks, len(ops), len(words)) +
            b"".join(struct.pack("<II", *op[:2]) for op in ops) + words)


def inits(seeds):
    welcome = frame(WELCOME, struct.pack("<II16s", 2, 0, NONCE))
    job = welcome + start(["sh", "-c", "x"], ["PATH=/bin:/usr/bin:", "A=b"], "/a/b", groups=(4, 5), uid=1000)
    terminal = welcome + start(["/bin/sh"], flags=3)
    talk = (frame(DATA, b"input") + frame(CREDIT, number(10), stream=1) + frame(SIGNAL, number(15)) +
            frame(RESIZE, struct.pack("<HH", 25, 80)) + frame(EOF))
    ops = [(0, 14, "/proc", "proc", ""), (1, 0, "/dev/null", "1:3", ""), (2, 0, "/dev/fd", "/proc/self/fd", ""),
           (3, 0, "/etc/hosts", "127.0.0.1 localhost", ""), (4, 0, "/proc/sys/a", "0", ""), (5, 0, "/proc/kcore", "", ""),
           (6, 1, "/", "", "")]
    guest = welcome + frame(SETUP, setup(ops, 2, 1)) + start(["true"])
    cases = {
        "welcome": (0, b"", welcome), "job": (0, b"", job + talk), "terminal": (0, b"", terminal + talk),
        "sessions": (0, b"", job + start(["b"])[:5] + b"\1" + start(["b"])[6:] + talk),
        "ended": (0, bytes(60) + bytes(range(1, 9)) * 12, job + talk + frame(EXIT_ACK)),
        "ack": (0, b"\0" * 40 + b"\1\0\3\3" * 20, job + frame(EXIT_ACK)),
        "fails": (0, bytes(30) + b"\xff\x80" * 20, job + talk), "wrong-nonce": (0, b"", welcome[:-1] + b"x" + job[24:]),
        "guest": (1, b"", guest + talk), "guest-fails": (1, bytes(70) + b"\x81" * 8, guest),
        "guest-none": (1, b"", welcome + frame(SETUP, setup([], 0)) + start(["x"])),
        "early": (0, b"", frame(DATA, b"x")), "long": (0, b"", struct.pack("<IBBBB", 65537, 7, 0, 1, 0)),
        "credit": (0, b"", job + frame(CREDIT, number(1 << 20), stream=2)), "nothing": (0, b"", b""),
        "failed-terminal": (0, bytes(9) + b"\x82" * 40, terminal + frame(RESIZE, bytes(4))),
    }
    for name, (flags, decisions, data) in cases.items():
        seeds.put("init", name, bytes([flags, len(decisions)]), decisions, data)
    fixed = setup(ops[:3], 0)
    seeds.put("init", "fixed_file", b"\3\0", struct.pack("<H", len(fixed)), fixed, guest)


# ---- texts ---------------------------------------------------------------------------------------

def consoles(seeds):
    panic = "[    1.0] Kernel panic - not syncing: "
    for number_, text in enumerate((
            "\nduet-init: mount the layers: No such device\r\n", panic + "No working init found.\n",
            panic + "VFS: Unable to mount root fs\n\n---[ end ]---\n", "Out of memory: Killed process 1\n",
            "x invoked oom-killer: \n", "Initramfs unpacking failed: write error\n", "a\n\r\n\n\x1b[31mb\nc",
            "a\nxduet-init: b\nduet-init: c", "\0\1\x9b\xc2\x9b\n", "", "System is deadlocked on memory", "l\n" * 40)):
        seeds.put("console", "text-%d" % number_, b"\5", text.encode("latin-1"))


def debians(seeds):
    sha = "0123456789abcdef" * 4
    package = ("Package: linux-image-cloud-amd64\nVersion: 6.1.192-2\nArchitecture: amd64\n"
               "Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)\nFilename: pool/l.deb\nSize: 1464\n"
               "SHA256: " + sha + "\n\n")
    release = ("Origin: Debian\nSuite: stable\nCodename: bookworm\nDate: Sat, 10 Oct 2026 09:12:45 UTC\n"
               "Valid-Until: Sat, 17 Oct 2099 09:12:45 UTC\nAcquire-By-Hash: yes\nSHA256:\n " + sha +
               "    1234 main/binary-amd64/Packages.xz\n " + sha + " 7 other\n")
    signed = ("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + release +
              "-----BEGIN PGP SIGNATURE-----\n\niQ\n-----END PGP SIGNATURE-----\n")
    seeds.texts("debian", 0, "stanza", [package * 2, "# x\nA: b\n c\n .\nA:\n\n\n:x", "a : b\n\n c\n", "A:b\r\n\r\nA:"])
    seeds.texts("debian", 1, "package", ["\0" + package, "6.1.192-2\0" + package * 2, "\0" + package.replace("2\n", "10\n") + package])
    seeds.texts("debian", 2, "depends", ["linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)", "linux-image-6.1.0-1-cloud-amd64, a | b"])
    seeds.texts("debian", 3, "frame", [signed, signed + "x", "- " + signed])
    seeds.texts("debian", 4, "release", [release, release.replace("2099", "2020"), release + release])
    seeds.texts("debian", 5, "date", ["Sun, 29 Nov 2026 19:58:56 UTC", "Thu, 29 Feb 2024 1:00:00 +0000"])
    seeds.texts("debian", 6, "source", [
        "deb [arch=amd64 signed-by=/k] http://mirror.example/debian/ bookworm main contrib\n",
        "# x\ndeb-src http://a/ bookworm main\ndeb http://a bookworm/updates main\n",
        "Types: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main\nEnabled: yes\n"])
    seeds.texts("debian", 7, "version", ["1:1.0~rc1-1\0" "1.0-1\0" "1.0", "001\0" "1\0" "1.00", "a\0~\0"])
    good = ("[GNUPG:] GOODSIG 1 x\n[GNUPG:] VALIDSIG " + "A" * 40 + " 2026-01-01 1 0 4 0 1 8 01 B\n")
    seeds.texts("debian", 8, "verdict", ["\0" + good, "\2" + good + "[GNUPG:] NO_PUBKEY 2\n", "\1[GNUPG:] BADSIG 1 x\n" + good])
    seeds.put("debian", "index", b"\x09", package.replace("cloud-", "") * 2)
    seeds.put("debian", "index-xz", b"\x09", lzma.compress(package.encode()))


def kernels(seeds, work):
    make = os.path.join(TESTS, "run/kernel_make.py")
    path = os.path.join(work, "kernel")
    for pack in ("gzip", "xz", "zstd", "lz4", "none", "elf", "odd"):
        run("python3", make, "kernel", path, "6.1.0-1-cloud-amd64", "pack=" + pack, "config=EROFS_FS=y,PVH=y")
        with open(path, "rb") as file:
            data = file.read()
        if len(data) > 8000:    # of a plain one the text is most
            data = data.replace(b"Linux version 6.1.0-1-cloud-amd64 (test)\n" * 1990, b"")
        for kind in (0, 2, 3, 5):
            seeds.put("kernel", "image-%s-%d" % (pack, kind), bytes([kind]), data)
    for pack in ("xz", "zst", "gz"):
        run("python3", make, "deb", path, "6.1.0-1-cloud-amd64", "data=" + pack)
        with open(path, "rb") as file:
            seeds.put("kernel", "package-" + pack, b"\1", file.read())
    info = [b"license=GPL\0depends=a,b-c\0softdep=pre: crc32c x post: y\0alias=crypto-*\0name=q\0", b"depends=\0x", b""]
    seeds.texts("kernel", 4, "modinfo", info)
    block = b"\xf3" + bytes([0]) + b"a" * 15 + b"\1\0" + b"\x50hello"
    seeds.put("kernel", "lz4", b"\6\x02\x21\x4c\x18", struct.pack("<I", len(block)), block)
    seeds.texts("kernel", 7, "name", ["kernel/fs/erofs/erofs.ko.xz", "a-b.ko", "6.1.0-56-cloud-amd64"])
    chain = {"virtio_pci": "", "virtio_console": "virtio_pci", "virtio_blk": "", "overlay": "", "ext4": "mbcache"}
    files = {"kernel/%s.ko" % name: b"depends=" + depends.encode() + b"\0" for name, depends in chain.items()}
    files["modules.builtin"] = b"kernel/erofs.ko\nkernel/mbcache.ko\n"
    modules = {
        "plain": files,
        "soft": {**files, "kernel/overlay.ko": b"softdep=pre: crc32c a\0", "kernel/c.ko": b"alias=crc*\0depends=gone\0",
                 "modules.alias": b"alias crc32c ext4\nalias a* c\n"},
        "circle": {**files, "kernel/overlay.ko": b"depends=virtio_blk\0", "kernel/virtio_blk.ko": b"depends=overlay\0"},
        "soft-circle": {**files, "kernel/overlay.ko": b"softdep=pre: overlay overlay\0"},
        "soft-gone": {**files, "kernel/overlay.ko": b"softdep=pre: x\0",
                      "kernel/x.ko": b"softdep=pre: x x\0depends=gone\0"},
    }
    for name, content in modules.items():
        seeds.put("kernel", "modules-" + name, b"\x08", *[
            path_.encode() + b"\0" + struct.pack("<H", len(data)) + data for path_, data in content.items()])


def registries(seeds):
    seeds.texts("registry", 0, "challenge", [
        b'Bearer realm="https://registry.example.org/token",service="s",scope="repository:a/b:pull"',
        b'Basic realm="r", Bearer realm="https://auth.example.org:1/t", error=insufficient_scope',
        b'Negotiate abc==, Bearer realm="a\\"b", realm="c"', b'Bearer realm="https://169.254.169.254/"'])
    seeds.texts("registry", 1, "place", [
        b"https://h:5000/v2/a\0/v2/a/uploads/1?_state=x", b"http://h\0https://h:80/x",
        b"https://[::1]:1/a\0//[::1]:2/b", b"https://H/\0https://h:443/"])
    seeds.texts("registry", 2, "page", [
        b'\1\0\4{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no \\u001b[2J"}]}',
        b"\3\0\1not JSON \x1b]52;c;x\x07\r", b'\0\1\0{"errors":{"code":1}}', b'\5\0\3{"errors":[]}'])


def fetches(seeds):
    seeds.texts("fetch", 0, "url", [
        "https://host/a?b#c", "http://h:8080/x", "https://user:pw@h/", "https://[::1]:443/", "https://127.0.0.1/%2e",
        "https://h\\@x/", "file:///etc/passwd", "192.168.0.1", "::ffff:10.0.0.1", "fe80::1%eth0"])
    seeds.texts("fetch", 1, "address", [b"\0\x7f\0\0\1", b"\1" + bytes(15) + b"\1", b"\1" + bytes(10) + b"\xff\xff\n\0\0\1"])
    seeds.texts("fetch", 2, "redirect", [
        "https://h/a/b?c\0" + to for to in ("../x", "//other/y", "?q", "#f", "http://h/", "https://h:1/ a\xff", "/./../..//", "")])
    head = ("HTTP/1.1 206 Partial\r\nContent-Length: 3\r\nContent-Range: bytes 3-5/6\r\nETag: \"a\"\r\n"
            "Date: Sun, 06 Nov 1994 09:49:37 GMT\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n")
    whole = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef"
    seeds.texts("fetch", 3, "head", [
        head, "HTTP/1.1 103 Early\r\nLocation: /e\r\n\r\nHTTP/2 302 \r\nLocation: /l\r\nlocation: /m\r\n\r\n",
        "HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"])
    seeds.texts("fetch", 4, "value", [
        "bytes 0-9/10", "bytes 5-9/*", "bytes */10", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 GMT", "120", "gzip", "identity"])

    def answer(text, end=0, piece=2):
        data = text.encode()
        return bytes([end, piece]) + struct.pack("<H", len(data)) + data

    error = "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\n\r\n<h1>\x1b[31mbusy"
    for number_, (flags, answers) in enumerate((
            (1, [answer(whole)]), (0, [answer(whole)]), (5, [answer(head + "def")]), (5, [answer(whole)]),
            (1, [answer(whole[:-2], 3), answer("HTTP/1.1 206 x\r\nContent-Range: bytes 4-5/6\r\n\r\nef")]),
            (1, [answer(error), answer(whole)]), (5, [answer("HTTP/1.1 416 x\r\n\r\n"), answer(whole)]),
            (1, [answer(whole.replace("f", "g")), answer(whole)]), (1, [answer(whole + "g")]), (2, [answer(whole)]),
            (1, [answer("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", 2)]), (5, [answer(head.replace("3-5", "2-5") + "cdef")]),
            (1, [answer("HTTP/1.1 404 No\r\n\r\nno")]), (1, [answer("", 4)]))):
        seeds.put("fetch", "answer-%d" % number_, b"\5", bytes([flags]), *answers)


def strings(seeds):
    sha = "0123456789abcdef" * 4
    seeds.texts("strings", 0, "digest", ["sha256:" + sha, sha, "sha256:" + sha.upper(), "sha512:" + sha * 2])
    seeds.texts("strings", 1, "number", ["0", "4294967293", "18446744073709551616", "01777", "10GiB", "1h30m", "250ms", "90", "16kb"])
    seeds.texts("strings", 2, "name", ["web-1.x", "A=b", "comand", "-x", "h.example"])
    seeds.texts("strings", 3, "escape", [b"\x20a\x1b]0;x\x07\\\xe2\x80\xae\xc2\x9b\xff\xed\xa0\x80", b"\x05" + b"\xf0\x9f\x92\xa9" * 9])
    passwd = b"root:x:0:0:root:/root:/bin/sh\n# c\nwww:x:33:33::/srv:\n+nis\n"
    group = b"root:x:0:\nadm:x:4:www,a\nwww:x:33:\n"
    for number_, user in enumerate((b"www", b"33", b"www:adm", b"1:2", b"", b"root", b":", b"-1", b"x:4294967295")):
        seeds.put("strings", "user-%d" % number_, b"\4", user, b"\0", struct.pack("<H", len(passwd)), passwd, group)
    seeds.texts("strings", 5, "path", ["/a//./b/\0/a", "../x\0", "a/..\0a/", "./\0b", "usr/../..\0/"])
    seeds.texts("strings", 6, "map", [
        "u\0u:100000:65536\n1000:200000:10\nx:1:1\nu:100:0\n", "\0         0     100000      65536\n",
        "u\0u:4294967290:9\nu:0:5\n", "\0 0 4294967295 1\n1 0 4294967296\n"])
    seeds.texts("strings", 7, "json", ['error.desc\0{"error": {"desc": "x"}}', 'a\0[1, {"a": 1, "a": 2}]', 'return\0{"return": {}}'])


OCI = "application/vnd.oci.image."
SHA = "sha256:" + "0123456789abcdef" * 4


def descriptor(kind, **more):
    return dict(mediaType=OCI + kind, digest=SHA, size=1, **more)


def oci_image(layers):
    manifest = dict(schemaVersion=2, mediaType=OCI + "manifest.v1+json",
                    config=descriptor("config.v1+json"),
                    layers=[descriptor("layer.v1.tar" + kind) for kind in layers],
                    annotations={"org.opencontainers.image.created": "2024-01-02T03:04:05Z"})
    process = dict(User="1:2", Env=["A=b", "none", "=x"], Entrypoint=["/e"], Cmd=["c"], WorkingDir="/w",
                   Labels={"l": "v", "a=b": "c"}, Volumes={"/v": {}, "rel": {}},
                   ExposedPorts={"80/tcp": {}, "x": {}}, StopSignal="SIGQUIT")
    config = dict(created="2024-01-02T03:04:05.5+01:00", os="linux", architecture="arm64", variant="v8",
                  config=process, rootfs=dict(type="layers", diff_ids=[SHA] * len(layers)))
    return json.dumps(manifest), json.dumps(config)


def ocis(seeds):
    platform = dict(os="linux", architecture="amd64", variant="v2")
    name = {"org.opencontainers.image.ref.name": "x:v1"}
    index = json.dumps(dict(schemaVersion=2, manifests=[
        descriptor("manifest.v1+json", platform=platform, annotations=name),
        descriptor("index.v1+json"),
        descriptor("manifest.v1+json", platform=dict(os="unknown", architecture="unknown"))]))
    manifest, config = oci_image(["", "+gzip", "+zstd"])
    empty = oci_image([])
    for number, text in enumerate([index, manifest, index.replace("manifests", "Manifests"), "[" * 70]):
        seeds.put("oci", "document-%d" % number, bytes([0, number]), "linux/amd64/v3\0", text)
    seeds.put("oci", "layout", bytes([1]), "v1\0", index)
    seeds.put("oci", "config", bytes([2]), empty[1])
    seeds.put("oci", "manifest", bytes([3]), empty[0])
    seeds.put("oci", "pair", bytes([4]), struct.pack("<H", len(manifest)), manifest, config)
    seeds.put("oci", "record", bytes([5]), "duet-oci-image 1\nmanifest %s\nmanifest_bytes 1\nconfig %s\n"
              "config_bytes 1\ndocker 0\nhas_created 1\ncreated 5\ntext 11\nlinux/amd64\nlayers 1\n"
              "layer %s 1 2 %s\nplaces 1\nplace 512 1\n" % (SHA, SHA, SHA, SHA), "list 1\ntext 1\nx\n" * 2,
              "list 1\ntext 3\nA=b\nlist 1\ntext 3\nl=v\nlist 1\ntext 2\n/v\nlist 0\n",
              "text -\ntext 2\n/w\ntext -\nlist 0\n")
    config = empty[1]
    listing = json.dumps([dict(Config="c.json", RepoTags=["x:v1"], Layers=[])])
    for number, layers in enumerate([[], ["l/layer.tar"]]):
        plain = b"layer"
        diff_id = "sha256:" + hashlib.sha256(plain).hexdigest()
        text = json.loads(config)
        text["rootfs"]["diff_ids"] = [diff_id for _ in layers]
        listing = json.dumps([dict(Config="c.json", RepoTags=["x:v1"], Layers=layers)])
        seeds.put("oci", "archive-%d" % number, bytes([6]), "v1\0", tar(
            ("c.json", tarfile.REGTYPE, json.dumps(text).encode(), {}),
            ("d.tar", tarfile.REGTYPE, plain, {}),
            ("l/layer.tar", tarfile.SYMTYPE, b"../d.tar", {}),
            ("manifest.json", tarfile.REGTYPE, listing.encode(), {})))
    seeds.texts("oci", 7, "time", ["2024-01-02T03:04:05.5+01:00", "0001-01-01T00:00:00Z",
                                   "2024-02-29t23:59:60z", "9999-12-31T23:59:59-23:59"])


def main():
    out, build = sys.argv[1:]
    seeds = Seeds(out)
    with tempfile.TemporaryDirectory() as work:
        archives(seeds, build, work)
        kernels(seeds, work)
    for make in (specs, streams, agents, inits, consoles, debians, fetches, registries, ocis, strings):
        make(seeds)


main()
