"""What hostile_memory.sh tries on the memory of workers.

hostile_memory.py maps DIR              writes DIR/map-N.tar.gz and .zst, a file whose map names N million
                                        holes, and DIR/short.tar
hostile_memory.py pull DUET DIR         pulls an image of four such layers: its exit code, its message, and the
                                        most memory (KiB) that duet and its workers had at a time
hostile_memory.py limits DUET DIR       the limit of memory of each worker that is there while a layer comes
"""
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time

MILLION = 1 << 20
HOLE = b"0\n0\n"
COUNTS = (16, 64, 256)
LAYERS = 4
SHORT = 500000


def records(pairs):
    """pax records; a length counts its own digits."""
    out = b""
    for key, value in pairs:
        rest = b" " + key + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length += 1
        out += str(length).encode() + rest
    return out


def header(name, kind, size):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def head_of_map(name, holes):
    """GNU's pax format 1.0: the map begins the content."""
    pax = records([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                   (b"GNU.sparse.name", name.encode()), (b"GNU.sparse.realsize", b"0")])
    count = b"%d\n" % holes
    size = len(count) + holes * len(HOLE)
    size += -size % 512
    return (header("pax", b"x", len(pax)) + pax.ljust(-len(pax) // 512 * -512, b"\0") +
            header(name, b"0", size) + count)


def by_gzip(data):
    return gzip.compress(data, 9, mtime=0)


def by_zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def bomb(pack, name, millions):
    """A member for the head, and one for a million holes, so often as they are wanted."""
    return pack(head_of_map(name, millions * MILLION)) + pack(HOLE * MILLION) * millions


def write_maps(folder):
    for millions in COUNTS:
        for kind, pack in (("gz", by_gzip), ("zst", by_zstd)):
            with open("%s/map-%d.tar.%s" % (folder, millions, kind), "wb") as file:
                file.write(bomb(pack, "f", millions))
    # as long as one may be, and all right: 25 MiB of libarchive's memory
    short = head_of_map("f", SHORT) + HOLE * SHORT
    with open(folder + "/short.tar", "wb") as file:
        file.write(short + bytes(-len(short) % 512 + 1024))


# ---- with a registry -----------------------------------------------------------------------------

def registry(folder, layers):
    """An image of these blobs, whose plain digests nobody knows."""
    from registry_image import CONFIG, LAYER_GZIP, MANIFEST, as_json, descriptor
    from registry_mock import Mock

    mock = Mock((folder + "/good.crt", folder + "/good.key"))
    repo = mock.add("bomb")
    config = as_json({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {
        "type": "layers",
        "diff_ids": ["sha256:" + hashlib.sha256(one[::-1]).hexdigest() for one in layers]}})
    for one in [config] + layers:
        repo.add_blob(one)
    repo.add_manifest({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER_GZIP, one) for one in layers]}, tag="latest")
    return mock, repo


def command(duet, folder, mock):
    return [duet, "pull", "--store", folder + "/pulled", "127.0.0.1:%d/bomb:latest" %
            mock.registry.port]


def pull(duet, folder):
    mock, _ = registry(folder, [bomb(by_gzip, "f%d" % number, 64) for number in range(LAYERS)])
    memory = os.path.join(os.path.dirname(__file__), "..", "bench", "memory.py")
    done = subprocess.run([sys.executable, memory] + command(duet, folder, mock), check=False,
                          capture_output=True, text=True)
    print(done.returncode, done.stdout.strip(), done.stderr.strip().replace("\n", " | "))


def workers():
    """Processes below this one that are workers: what each does, and its pid."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % name, encoding="latin-1") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            with open("/proc/%s/cmdline" % name, "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        above = int(name)
        while above in parents and above != os.getpid():
            above = parents[above]
        if above == os.getpid() and words[0] == b"duet-worker":
            yield words[1].decode(), int(name)


def limit_of(pid):
    """As /proc says it, once the worker has set it: before that it has read nothing."""
    for _ in range(1000):
        with open("/proc/%d/limits" % pid, encoding="ascii") as file:
            limit = next(line.split()[3] for line in file if line.startswith("Max address space"))
        if limit != "unlimited":
            break
        time.sleep(0.01)
    return limit


def limits(duet, folder):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("f"))
    mock, repo = registry(folder, [by_gzip(data.getvalue())])
    seen = {}

    def hook(request, _):
        # the unpacking worker is started before the blob is asked for
        if "/blobs/" in request.path and len(seen) < 2:
            for kind, pid in workers():
                seen[kind] = limit_of(pid)
        return False

    repo.hook = hook
    subprocess.run(command(duet, folder, mock), check=False, capture_output=True)
    print(" ".join("%s=%s" % one for one in sorted(seen.items())))


{"maps": write_maps, "pull": pull, "limits": limits}[sys.argv[1]](*sys.argv[2:])
