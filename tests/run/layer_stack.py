#!/usr/bin/python3
"""Makes tars of layers that lie above each other: layer_stack.py FOLDER COUNT SEED [plain].

Files, folders, links, hard links, whiteouts, opaque folders, and parents that a layer leaves out;
FOLDER/1.tar is the lowest. With `plain` without hard links and symbolic links: what an overlay of the
layers and a merge of them show has to be equal in all.
"""
import io
import os
import random
import sys
import tarfile

NAMES = ["a", "b", "c", "a/a", "a/b", "b/a", "b/b", "c/a", "a/a/a", "a/a/b", "b/a/a", "b/a/b/c"]


class Layer:
    """The entries of one layer; what would be refused is not added."""

    def __init__(self, path):
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)
        self.kinds = {}  # of this layer's own names

    def fits(self, name, kind):
        parts = name.split("/")
        parents = ["/".join(parts[:i]) for i in range(1, len(parts))]
        if any(self.kinds.get(parent, "d") != "d" for parent in parents):
            return False
        if kind != "d":
            for other in [n for n in self.kinds if n.startswith(name + "/")]:
                del self.kinds[other]
        self.kinds[name] = kind
        return True

    def add(self, name, kind, data=b"", **fields):
        info = tarfile.TarInfo(name)
        info.type = kind
        info.mtime = random.randrange(1 << 30) + random.choice((0, 0.5))
        info.mode = random.choice((0o644, 0o755, 0o700, 0o1777, 0o4755))
        info.uid = random.choice((0, 0, 5, 70000))
        info.gid = random.choice((0, 9))
        info.size = len(data)
        for field, value in fields.items():
            setattr(info, field, value)
        if kind in (tarfile.REGTYPE, tarfile.DIRTYPE) and random.random() < .2:
            info.pax_headers = {"SCHILY.xattr.user.note": "n" * random.randrange(1, 400)}
        self.tar.addfile(info, io.BytesIO(data))


def whiteout(layer, name):
    folder, base = os.path.split(name)
    if name not in layer.kinds and layer.fits(name, "w"):
        del layer.kinds[name]
        layer.add(os.path.join(folder, ".wh." + base), tarfile.REGTYPE)


def step(layer, links):
    name = random.choice(NAMES)
    kind = random.choice("ffffdddwwo" + ("lh" if links else ""))
    if kind == "f" and layer.fits(name, "f"):
        layer.add(name, tarfile.REGTYPE, random.randbytes(random.choice((0, 9, 4000, 4096, 9000))))
    elif kind == "d" and layer.fits(name, "d"):
        layer.add(name, tarfile.DIRTYPE)
    elif kind == "l" and layer.fits(name, "l"):
        layer.add(name, tarfile.SYMTYPE, linkname=random.choice(("a", "/b", "../c", "nowhere")))
    elif kind == "h":
        files = [n for n, k in layer.kinds.items() if k == "f"]
        target = random.choice(files) if files else None
        if target and name != target and not target.startswith(name + "/") and \
                layer.fits(name, "f"):
            layer.add(name, tarfile.LNKTYPE, linkname=target)
    elif kind == "w":
        whiteout(layer, name)
    elif kind == "o" and layer.fits(name, "d"):
        layer.add(name, tarfile.DIRTYPE)
        layer.add(name + "/.wh..wh..opq", tarfile.REGTYPE)


def main():
    folder, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    random.seed(seed)
    os.makedirs(folder, exist_ok=True)
    for number in range(1, count + 1):
        layer = Layer(os.path.join(folder, "%d.tar" % number))
        for _ in range(10):
            step(layer, "plain" not in sys.argv)
        layer.add("layer-%d" % number, tarfile.REGTYPE, b"%d" % number)
        layer.tar.close()


main()
