"""Makes what kernel.sh needs: small kernels, modules, packages, mirrors; compares load orders.

    kernel_make.py kernel FILE RELEASE [pack=gzip|xz|zstd|lz4|none] [pvh=no] [cut=yes] [config=NAME=y,...]
    kernel_make.py deb FILE RELEASE [data=xz|zst|gz|none] [lack=NAME,...] [bad=WHAT] [kernel options]
    kernel_make.py mirror FOLDER DEB VERSION [FIELD=VALUE...]    writes dists/.../Release, unsigned
    kernel_make.py initrd FILE INIT ARCHIVE      INIT as /init, then the archive
    kernel_make.py order ARCHIVE ROOT RELEASE    against modprobe --show-depends; ROOT has depmod's lists

The kernels boot nothing: an ELF with a PVH note. `bad` of a package: dots (a path with ".." in it),
nokernel, two (kernels), module (one that is no ELF), cut (data.tar ends early), notdeb.
"""
import gzip
import hashlib
import io
import lzma
import os
import struct
import subprocess
import sys
import tarfile


def elf(sections=(), note=None, kind=2):
    """An ELF64 for x86-64 with named sections and perhaps a PVH note."""
    names = b"\0.shstrtab\0"
    table = [(0, 0, b"")]
    for name, content in sections:
        table.append((len(names), 1, content))
        names += name + b"\0"
    table.append((1, 3, names))
    body = b""
    base = 64 + 56
    heads = b""
    for name, type_, content in table:
        heads += struct.pack("<IIQQQQIIQQ", name, type_, 0, 0, base + len(body), len(content), 0, 0,
                             1, 0)
        body += content + b"\0" * (-len(content) % 8)
    note_at = base + len(body)
    body += note or b""
    body += b"\0" * (-len(body) % 8)
    part = struct.pack("<IIQQQQQQ", 4 if note else 0, 4, note_at, 0, 0, len(note or b""), 0, 4)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", kind, 62, 1, 0, 64, base + len(body), 0,
                       64, 56, 1, 64, len(table), len(table) - 1)
    return head + part + body + heads


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE,
                          check=True).stdout


def lz4(data):
    """A legacy frame with literals only."""
    rest = len(data) - 15
    assert rest >= 0
    block = b"\xf0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + data
    return b"\x02\x21\x4c\x18" + struct.pack("<I", len(block)) + block


def kernel(release, pack="gzip", pvh="yes", cut="no", config="", **_):
    note = struct.pack("<III4sI", 4, 4, 18 if pvh == "yes" else 17, b"Xen\0", 0x1000000)
    sections = [(b".text", b"Linux version %s (test)\n" % release.encode() * 2000)]
    if config:
        text = "".join("CONFIG_%s\n" % line for line in config.split(","))
        sections.append((b".rodata", b"IKCFG_ST" + gzip.compress(text.encode(), mtime=0) + b"IKCFG_ED"))
    plain = elf(sections, note)
    size = struct.pack("<I", len(plain))
    if pack == "elf":
        return plain
    payload = {
        "gzip": lambda: gzip.compress(plain, mtime=0),
        "xz": lambda: lzma.compress(plain, check=lzma.CHECK_CRC32) + size,
        "zstd": lambda: zstd(plain) + size,
        "lz4": lambda: lz4(plain) + size,
        "none": lambda: plain + size,
        "odd": lambda: b"BZh9" + plain + size,
    }[pack]()
    setup = bytearray(1024)
    setup[0x1f1] = 1
    setup[0x1fe:0x200] = b"\x55\xaa"
    setup[0x202:0x206] = b"HdrS"
    setup[0x206:0x208] = struct.pack("<H", 0x20f)
    setup[0x20e:0x210] = struct.pack("<H", 0x100)
    setup[0x248:0x250] = struct.pack("<II", 64, len(payload))
    text = release.encode() + b" (test@test) #1"
    setup[0x300:0x300 + len(text)] = text
    image = bytes(setup) + b"\0" * 64 + payload + b"\0" * 100
    return image[:len(image) // 2] if cut == "yes" else image


MODULES = {
    "drivers/virtio/virtio": "",
    "drivers/virtio/virtio_ring": "virtio",
    "drivers/virtio/virtio_pci": "virtio,virtio_ring",
    "drivers/char/virtio_console": "virtio,virtio_ring",
    "drivers/block/virtio_blk": "virtio,virtio_ring",
    "arch/x86/crypto/crc32c-intel": "",
    "lib/libcrc32c": "",
    "fs/erofs/erofs": "libcrc32c",
    "fs/overlayfs/overlay": "",
    "fs/ext4/ext4": "jbd2",
    "fs/jbd2/jbd2": "",
    "net/unrelated": "gone",
}
INFO = {"libcrc32c": ["softdep=pre: crc32c"], "crc32c-intel": ["alias=crypto-crc32c", "alias=crc32c"]}


def module(name, depends):
    info = ["license=GPL", "depends=" + depends] + INFO.get(name, []) + ["name=" + name]
    return elf([(b".modinfo", "\0".join(info).encode() + b"\0")], kind=1)


def files(release, lack="", bad="", **options):
    out = {}
    if bad != "nokernel":
        out["boot/vmlinuz-" + release] = kernel(release, **options)
    if bad == "two":
        out["boot/vmlinuz-9"] = kernel("9")
    folder = "lib/modules/%s/" % release
    for path, depends in MODULES.items():
        name = os.path.basename(path)
        if name not in lack.split(","):
            content = module(name, depends)
            if bad == "module" and name == "erofs":
                content = b"no module"
            out[folder + "kernel/" + path + ".ko"] = content
    out[folder + "modules.builtin"] = b"kernel/net/core/failover.ko\n"
    if bad == "dots":
        out["lib/modules/../../etc/passwd"] = b"x"
    return out


def ar_member(name, content):
    head = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, b"100644", len(content))
    return head + content + b"\n" * (len(content) % 2)


def deb(release, data="xz", bad="", **options):
    if bad == "notdeb":
        return b"this is no package" * 100
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path, content in files(release, bad=bad, **options).items():
            entry = tarfile.TarInfo("./" + path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    plain = stream.getvalue()
    if bad == "cut":
        plain = plain[:len(plain) // 3]
    packed = {"xz": lambda: lzma.compress(plain), "zst": lambda: zstd(plain),
              "gz": lambda: gzip.compress(plain, mtime=0), "none": lambda: plain}[data]()
    name = "data.tar" + ("" if data == "none" else "." + data)
    return (b"!<arch>\n" + ar_member(b"debian-binary", b"2.0\n") +
            ar_member(b"control.tar.xz", b"odd") + ar_member(name.encode(), packed))


def mirror(folder, package, version, **fields):
    """A mirror with one kernel: its lists, and Release, which is still to be signed."""
    release = "6.1.0-%s-cloud-amd64" % version.split("-")[0]
    suite = fields.pop("suite", "bookworm")
    codename = fields.pop("codename", suite)
    drop = fields.pop("drop", "")
    pool = "pool/main/l/linux"
    os.makedirs(os.path.join(folder, pool), exist_ok=True)
    with open(package, "rb") as file:
        content = file.read()
    path = "%s/linux-image-%s_%s_amd64.deb" % (pool, release, version)
    with open(os.path.join(folder, path), "wb") as file:
        file.write(content)
    stanzas = {"meta": "Package: linux-image-cloud-amd64\nVersion: %s\nArchitecture: amd64\n"
                       "Depends: linux-image-%s (= %s)\nFilename: pool/none.deb\nSize: 1\nSHA256: %s\n"
                       % (version, release, version, "0" * 64),
               "image": "Package: linux-image-%s\nVersion: %s\nArchitecture: amd64\nDepends: kmod\n"
                        "Filename: %s\nSize: %d\nSHA256: %s\n"
                        % (release, version, path, len(content),
                           hashlib.sha256(content).hexdigest()),
               "other": "Package: zlib1g\nVersion: 1\nArchitecture: amd64\n"}
    packed = lzma.compress("\n".join(text for name, text in stanzas.items() if name != drop).encode())
    dist = os.path.join(folder, "dists", suite)
    binary = os.path.join(dist, "main/binary-amd64")
    os.makedirs(binary, exist_ok=True)
    with open(os.path.join(binary, "Packages.xz"), "wb") as file:
        file.write(packed)
    digest = hashlib.sha256(packed).hexdigest()
    if fields.get("Acquire-By-Hash") == "yes":
        os.makedirs(os.path.join(binary, "by-hash/SHA256"), exist_ok=True)
        os.rename(os.path.join(binary, "Packages.xz"),
                  os.path.join(binary, "by-hash/SHA256", digest))
    text = "Origin: Test\nCodename: %s\n" % codename
    text += "".join("%s: %s\n" % (name, value) for name, value in fields.items())
    text += "SHA256:\n %s %d main/binary-amd64/Packages.xz\n" % (digest, len(packed))
    with open(os.path.join(dist, "Release"), "w", encoding="ascii") as file:
        file.write(text)


# --- load order ------------------------------------------------------------------------------

def read_newc(path):
    """{name: content} of an archive; fails when it is not as core/rootfs.h says."""
    with open(path, "rb") as file:
        data = file.read()
    at, found = 0, {}
    while True:
        assert data[at:at + 6] == b"070701", at
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        name = data[at + 110:at + 110 + fields[11] - 1].decode()
        at += (110 + fields[11] + 3) & ~3
        content = data[at:at + fields[6]]
        at += (fields[6] + 3) & ~3
        if name == "TRAILER!!!":
            assert at == len(data)
            return found
        assert fields[2:4] == [0, 0] and fields[5] == 0, "an owner or a time: " + name
        assert not found or name > list(found)[-1], "not sorted: " + name
        found[name] = content


ROOTS = {"base": ["virtio_pci", "virtio_console"], "disk": ["virtio_blk", "erofs", "overlay"],
         "scratch": ["ext4"], "net": ["virtio_net"], "share": ["virtiofs"]}


def show_depends(root, release, name):
    """[(module, file)] in the order of modprobe."""
    out = subprocess.run(["modprobe", "-d", root, "-S", release, "--show-depends", name],
                         stdout=subprocess.PIPE, check=True, encoding="ascii").stdout
    paths = [line.split()[1] for line in out.splitlines() if line.startswith("insmod ")]
    return [(os.path.basename(path).split(".ko")[0].replace("-", "_"), path) for path in paths]


def order(archive, root, release):
    found = read_newc(archive)
    lines = [line.split() for line in found["modules/order"].decode().splitlines()]
    assert [line[0] for line in lines] == list(ROOTS), lines
    base, named = [], set()
    for feature, *words in lines:
        names = [word.rstrip("?") for word in words]
        assert len(set(names)) == len(names), "twice in " + feature
        named |= set(names)
        wanted = set()
        for start in ROOTS[feature]:
            modules = show_depends(root, release, start)
            for place, (name, path) in enumerate(modules):
                if name not in base:
                    wanted.add(name)
                with open(path, "rb") as file:
                    assert file.read() == found["modules/%s.ko" % name], name
                # what modprobe loads for this one alone comes before it
                for before, _ in show_depends(root, release, name)[:-1]:
                    assert before in base or names.index(before) < names.index(name) or \
                        place == 0, (before, name, names)
        assert wanted == set(names), (feature, sorted(wanted), sorted(names))
        if feature == "base":
            base = names
    files_ = {name for name in found if name.endswith(".ko")}
    assert files_ == {"modules/%s.ko" % name for name in named}, files_
    print("%d modules" % len(named))


def initrd(file, init, archive):
    def entry(name, mode, content):
        head = "070701" + "".join("%08x" % n for n in (
            1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)) + name + "\0"
        head += "\0" * (-len(head) % 4)
        return head.encode() + content + b"\0" * (-len(content) % 4)
    with open(init, "rb") as one, open(archive, "rb") as two, open(file, "wb") as out:
        out.write(entry("init", 0o100755, one.read()) + entry("TRAILER!!!", 0, b"") + two.read())


def main():
    command, *words = sys.argv[1:]
    options = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    words = words[:1] + [word for word in words[1:] if "=" not in word]
    if command == "mirror":
        mirror(*words, **options)
    elif command == "initrd":
        initrd(*words)
    elif command == "order":
        order(*words)
    else:
        content = {"kernel": kernel, "deb": deb}[command](words[1], **options)
        with open(words[0], "wb") as file:
            file.write(content)


if __name__ == "__main__":
    main()
