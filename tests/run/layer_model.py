"""Random layers, unpacked, against a model of what the OCI image specification says.

    layer_model.py UNPACK FOLDER COUNT SEED     UNPACK: tests/run/unpack_tree, or `tar` for GNU tar

Two layers a case; the upper one is unpacked over the lower and seen through an overlay. Entries change
their type, come twice, leave out parents, go through links; the upper one has whiteouts. The model is
a tree of names in memory. A line for each case that differs; the last one is "N equal, M refused, ...".
"""
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile

NAMES = ["a", "b", "c", "a/a", "a/b", "b/a", "b/b", "c/a", "a/a/a", "a/b/c", "b/a/a/a"]
TARGETS = ["a", "../b", "/c", "/a/b", "nowhere", "../../../c"]
LINKS_MAX = 40
ghosts = []


class Refused(Exception):
    pass


class Model:
    """name -> (kind, mode, content); kinds: d f l. "" is the root."""

    def __init__(self):
        self.nodes = {"": ("d", 0o755, "")}

    def resolve(self, name, links=0):
        """The name with the links in its parents followed, inside the root; the last part stays."""
        at = ""
        parts = name.split("/")
        for number, part in enumerate(parts[:-1]):
            if part in ("", "."):
                continue
            if part == "..":
                at = at.rpartition("/")[0]
                continue
            child = (at + "/" + part).strip("/")
            node = self.nodes.get(child)
            if node and node[0] == "l":
                if links == LINKS_MAX:
                    raise Refused()
                target = node[2] if node[2].startswith("/") else at + "/" + node[2]
                rest = "/".join(parts[number + 1:])
                return self.resolve(target + "/" + rest, links + 1)
            if not node or node[0] != "d":
                # what a parent has to be, whatever was there
                self.remove(child)
                self.nodes[child] = ("d", 0o755, "")
            at = child
        if parts[-1] in ("", ".", ".."):
            raise Refused()
        return (at + "/" + parts[-1]).strip("/")

    def hide(self, name):
        """A whiteout: where there is no folder to look in, there is nothing to hide."""
        before = dict(self.nodes)
        found = self.resolve(name)
        if self.nodes != before:
            self.nodes = before
        else:
            self.remove(found)

    def remove(self, name):
        for other in [n for n in self.nodes if n == name or n.startswith(name + "/")]:
            del self.nodes[other]

    def add(self, name, kind, mode, content):
        name = self.resolve(name)
        old = self.nodes.get(name)
        if kind == "d" and old and old[0] == "d":
            self.nodes[name] = ("d", mode, "")
            return
        self.remove(name)
        self.nodes[name] = (kind, mode, content)

    def listing(self):
        return sorted((name, kind, 0 if kind == "l" else mode, content)
                      for name, (kind, mode, content) in self.nodes.items() if name)


def random_entries(letters):
    entries, kinds = [], {}
    for _ in range(random.randrange(2, 14)):
        name = random.choice(NAMES)
        kind = random.choice(letters)
        # what stands below a file of the same layer is refused: seldom
        parents = [name[:at] for at, letter in enumerate(name) if letter == "/"]
        if any(kinds.get(parent) == "f" for parent in parents) and random.randrange(20):
            continue
        kinds[name] = kind
        content = {"d": "", "f": "%d" % random.randrange(10000), "l": random.choice(TARGETS),
                   "w": ""}[kind]
        entries.append((name, kind, random.choice((0o644, 0o755, 0o700, 0o1777)), content))
    # what a layer takes away is not its own, nor taken away with something else: the order would count
    return [e for number, e in enumerate(entries) if e[1] != "w" or not any(
        n == e[0] or n.startswith(e[0] + "/") or e[0].startswith(n + "/")
        for other, (n, _, _, _) in enumerate(entries) if other != number)]


def write(path, entries):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, mode, content in entries:
            if kind == "w":
                folder, _, base = name.rpartition("/")
                name = (folder + "/" if folder else "") + ".wh." + base
            info = tarfile.TarInfo(name)
            info.mode = mode
            info.type = {"d": tarfile.DIRTYPE, "f": tarfile.REGTYPE, "l": tarfile.SYMTYPE,
                         "w": tarfile.REGTYPE}[kind]
            info.linkname = content if kind == "l" else ""
            data = content.encode() if kind == "f" else b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def apply(model, entries):
    for name, kind, _, _ in entries:
        if kind == "w":
            model.hide(name)
    for name, kind, mode, content in entries:
        if kind != "w":
            model.add(name, kind, mode, content)


def walk(top):
    out = []
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            if not os.path.lexists(path):
                # an overlay lists a whiteout of what is not there, and then knows no such name
                ghosts.append(path)
                continue
            st = os.lstat(path)
            shown = os.path.relpath(path, top)
            if os.path.islink(path):
                out.append((shown, "l", 0, os.readlink(path)))
            elif os.path.isdir(path):
                out.append((shown, "d", st.st_mode & 0o7777, ""))
            else:
                with open(path, encoding="utf-8") as file:
                    out.append((shown, "f", st.st_mode & 0o7777, file.read()))
    return sorted(out)


def unpack(tool, tar, tree, lower):
    os.mkdir(tree)
    if tool == "tar":
        return subprocess.run(["tar", "-xpf", tar, "-C", tree], capture_output=True).returncode == 0
    return subprocess.run([tool, "-x", tar, tree] + lower, capture_output=True).returncode == 0


def one(tool, folder):
    """The listing that is and the one that should be; None when one of the layers was refused."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder + "/at")
    # links or whiteouts: through a link the two could meet after all
    lower, upper = random.choice((("dddfffl", "dddfffl"), ("dddfff", "dddfffww")))
    layers = [random_entries(lower), random_entries(upper)]
    model, trees, taken = Model(), [], True
    try:
        for entries in layers:
            apply(model, entries)
    except Refused:
        model = None
    for number, entries in enumerate(layers):
        write("%s/%d.tar" % (folder, number), entries)
        tree = "%s/%d" % (folder, number)
        if taken and not unpack(tool, "%s/%d.tar" % (folder, number), tree, list(trees)):
            taken = False
        trees.append(tree)
    if not taken:
        return layers, None, model and model.listing()
    options = "userxattr,lowerdir=%s:%s" % (trees[1], trees[0])
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", folder + "/at"], check=True)
    try:
        return layers, walk(folder + "/at"), model and model.listing()
    finally:
        subprocess.run(["umount", folder + "/at"], check=True)


def main():
    tool, folder, count, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    equal = refused = 0
    for number in range(count):
        random.seed("%d %d" % (seed, number))
        layers, seen, wanted = one(tool, folder)
        if seen is None:
            refused += 1
        elif seen == wanted:
            equal += 1
        else:
            print("seed %d, case %d differs: %r: %r" % (
                seed, number, layers, sorted(set(seen) ^ set(wanted or []))))
    if refused * 2 > count:
        print("more than half was refused")
    print("%d equal, %d refused, %d names listed that are not there" % (equal, refused, len(ghosts)))


main()
