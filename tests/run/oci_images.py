#!/usr/bin/python3
"""Makes the layers of images that are hard to unpack: oci_images.py FOLDER LISTER [FILES].

FOLDER/NAME/01.tar is the lowest layer of the image NAME and holds the program LISTER as /list. FOLDER/NAME
/times, where it is there, names the folders that no layer mentions: their time is the unpacker's.
"""
import io
import os
import sys
import tarfile

TIME = 1600000000
FILE, FOLDER, LINK, HARD, FIFO = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE,
                                  tarfile.FIFOTYPE)


class Layer:
    """One tar. Every entry has a time of its own."""

    def __init__(self, image):
        self.image = image
        image.count += 1
        path = os.path.join(image.folder, "%02d.tar" % image.count)
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)

    def add(self, name, data=b"", kind=FILE, mode=None, owner=(0, 0), link="", xattrs=()):
        self.image.entries += 1
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, link, len(data)
        info.mode = mode if mode is not None else 0o755 if kind == FOLDER else 0o644
        info.uid, info.gid = owner
        info.mtime = TIME + self.image.entries
        info.pax_headers = {"SCHILY.xattr." + key: value.decode("latin-1")
                            for key, value in dict(xattrs).items()}
        self.tar.addfile(info, io.BytesIO(data))

    def folder(self, name, **rest):
        self.add(name, kind=FOLDER, **rest)

    def link(self, name, target, **rest):
        self.add(name, kind=LINK, link=target, mode=0o777, **rest)

    def hard(self, name, target):
        self.add(name, kind=HARD, link=target)

    def gone(self, name):
        self.add(os.path.join(os.path.dirname(name), ".wh." + os.path.basename(name)))

    def opaque(self, name):
        self.add(name + "/.wh..wh..opq")


class Image:
    def __init__(self, name):
        self.folder = os.path.join(sys.argv[1], name)
        self.count = self.entries = 0
        self.last = None
        os.makedirs(self.folder)

    def layer(self):
        self.end()
        self.last = Layer(self)
        return self.last

    def end(self):
        """Writes the end of the last layer's tar; the last of all is ended by who makes the image."""
        if self.last:
            self.last.tar.close()

    def base(self):
        """The lowest layer: what every image has, so that it runs."""
        layer = self.layer()
        for name in ("etc", "usr", "usr/lib", "srv", "dev", "proc", "sys", "run"):
            layer.folder(name)
        layer.folder("tmp", mode=0o1777)
        layer.folder("root", mode=0o700)
        with open(sys.argv[2], "rb") as program:
            layer.add("list", program.read(), mode=0o755)
        layer.add("etc/passwd", b"root:x:0:0::/root:/bin/sh\nwww:x:33:33::/srv:/bin/sh\n")
        layer.link("lib", "usr/lib")
        return layer

    def times(self, *names):
        with open(os.path.join(self.folder, "times"), "w", encoding="utf-8") as file:
            file.write("\n".join(names))


def plain(name):
    image = Image(name)
    image.base().add("srv/page", b"page\n" * 5000)
    above = image.layer()
    above.folder("srv", owner=(33, 33), mode=0o750)
    above.add("srv/other", b"other\n", owner=(33, 33))
    return image


def implied():
    image = Image("implied")
    base = image.base()
    base.folder("opt", mode=0o2750, owner=(5, 6), xattrs={"user.note": b"kept"})
    base.folder("opt/in", mode=0o711, owner=(7, 8))
    base.folder("var"), base.folder("usr/share")
    base.link("var/run", "/run"), base.link("etc/up", "../usr/share")
    above = image.layer()
    above.add("tmp/new", b"new")
    above.add("opt/in/new", b"new"), above.add("opt/other", b"other")
    above.add("lib/x", b"over a link"), above.add("lib/sub/y", b"over a link, and deeper")
    above.add("var/run/pid", b"1"), above.add("etc/up/doc", b"up")
    above.add("nowhere/before/file", b"made up")
    image.layer().add("nowhere/before/too", b"made up below")
    # usr/lib: umoci forgets its time when it makes a folder there by way of the link
    image.times("nowhere", "nowhere/before", "usr/lib/sub", "usr/lib")
    return image


def whiteouts():
    image = Image("whiteouts")
    base = image.base()
    for folder in ("a", "b", "c", "c/d", "e"):
        base.folder(folder)
    for name in ("a/first", "a/second", "b/first", "b/second", "c/d/file", "e/file"):
        base.add(name, name.encode())
    base.link("a/link", "first"), base.hard("b/hard", "a/first")
    above = image.layer()
    above.gone("a/first"), above.folder("a", mode=0o700), above.add("a/third", b"third")
    above.folder("b"), above.add("b/third", b"third"), above.gone("b/first")
    above.gone("c"), above.gone("a/link"), above.gone("never/was/here"), above.gone("e/not")
    top = image.layer()
    top.folder("c", mode=0o711), top.add("c/again", b"again"), top.add("a/first", b"back")
    top.gone("e"), top.gone("b/third")
    return image


def opaque():
    image = Image("opaque")
    base = image.base()
    for folder in ("first", "middle", "last", "alone", "deep", "deep/er"):
        base.folder(folder, owner=(1, 1))
        base.add(folder + "/old", b"old"), base.add(folder + "/both", b"old")
    above = image.layer()
    above.folder("first", mode=0o711), above.opaque("first")
    above.add("first/both", b"new"), above.add("first/new", b"new")
    above.folder("middle"), above.add("middle/both", b"new"), above.opaque("middle")
    above.add("middle/new", b"new")
    above.folder("last"), above.add("last/both", b"new"), above.add("last/new", b"new")
    above.opaque("last")
    above.opaque("alone")
    above.folder("deep"), above.folder("deep/er", mode=0o700), above.opaque("deep")
    above.add("deep/er/new", b"new")
    top = image.layer()
    top.add("first/top", b"top"), top.gone("middle/both"), top.opaque("last")
    # umoci gives it a new time when it takes out what is hidden
    image.times("deep/er")
    return image


def sixty():
    image = Image("sixty")
    image.base().folder("layers")
    for number in range(2, 61):
        layer = image.layer()
        layer.folder("layers", mode=0o700 + number % 8)
        layer.add("layers/%d" % number, b"%d" % number)
        layer.add("layers/top", b"from %d" % number, owner=(number, number))
        if number % 3 == 0:
            layer.gone("layers/%d" % (number - 2))
        if number == 40:
            layer.folder("layers/in"), layer.opaque("layers/in")
    return image


def many(count):
    image = Image("many")
    base = image.base()
    for number in range(count):
        if number % 500 == 0:
            base.folder("srv/%d" % (number // 500))
        base.add("srv/%d/%d" % (number // 500, number), b"%d" % number)
    above = image.layer()
    above.folder("srv/3"), above.opaque("srv/3")
    for number in range(0, count, 1000):
        above.gone("srv/%d/%d" % (number // 500, number + 7))
    return image


def twice():
    image = Image("twice")
    base = image.base()
    base.folder("both")
    base.add("both/file", b"first", owner=(1, 1)), base.add("both/file", b"second one", owner=(2, 2))
    base.add("both/to-folder", b"file"), base.folder("both/to-folder", mode=0o711)
    base.add("both/to-folder/in", b"in")
    base.folder("both/modes", mode=0o700), base.add("both/modes/in", b"in")
    base.folder("both/modes", mode=0o755, owner=(3, 3), xattrs={"user.second": b"2"})
    base.link("both/link", "file"), base.add("both/link", b"a file now")
    base.add("both/linked", b"a link soon"), base.link("both/linked", "file")
    base.hard("both/hard", "both/file"), base.add("both/hard", b"on its own")
    base.add("both/out", b"x", mode=0o600), base.add("./both/out", b"y", mode=0o640)
    return image


def hardlinks():
    image = Image("hardlinks")
    base = image.base()
    base.folder("x"), base.folder("y")
    base.add("x/one", b"one", owner=(4, 5), mode=0o4711)
    base.hard("y/one", "x/one"), base.hard("one", "y/one")
    base.link("x/soft", "/etc/passwd"), base.hard("y/soft", "x/soft")
    base.add("x/kept", b"kept"), base.hard("y/kept", "x/kept"), base.add("x/kept", b"another")
    base.add("x/pipe", kind=FIFO), base.hard("y/pipe", "x/pipe")
    base.add("x/below", b"below"), base.hard("y/below", "x/below")
    base.add("x/gone", b"gone"), base.hard("y/gone", "x/gone")
    above = image.layer()
    above.add("x/below", b"replaced above")
    above.gone("x/gone")
    above.add("x/new", b"new"), above.hard("y/new", "x/new"), above.hard("y/newer", "./y/new")
    return image


def flips():
    image = Image("flips")
    base = image.base()
    base.folder("folder"), base.add("folder/in", b"in"), base.folder("folder/sub")
    base.add("file", b"file"), base.link("link", "file"), base.link("to-folder", "folder")
    base.add("pipe", kind=FIFO), base.folder("second"), base.add("second/in", b"in")
    above = image.layer()
    above.add("folder", b"a file now"), above.folder("file"), above.add("file/in", b"in")
    above.folder("link", mode=0o700), above.add("link/in", b"in")
    above.folder("to-folder"), above.add("to-folder/own", b"own")
    above.add("pipe", b"a file"), above.link("second", "file")
    top = image.layer()
    top.folder("folder", owner=(9, 9)), top.add("folder/back", b"back")
    top.add("file", b"a file again"), top.add("link", kind=FIFO)
    return image


def attributes():
    image = Image("attributes")
    base = image.base()
    able = bytes.fromhex("0100000200040000000000000000000000000000")
    base.add("able", b"able", mode=0o755, xattrs={"security.capability": able})
    base.add("noted", b"x", xattrs={"user.one": b"1", "user.bytes": bytes(range(1, 128)),
                                    "user.long": b"l" * 2000})
    base.folder("noted.d", xattrs={"user.folder": b"f"})
    for mode in (0o4755, 0o2755, 0o6711, 0o1644, 0, 0o7777):
        base.add("mode-%o" % mode, b"m", mode=mode, owner=(33, 34))
        base.folder("folder-%o" % mode, mode=mode, owner=(0, 50))
        base.add("folder-%o/in" % mode, b"in", mode=0o600, owner=(65534, 65534))
    base.link("owned", "noted", owner=(33, 34))
    above = image.layer()
    above.add("able", b"able no more", mode=0o755)
    above.folder("noted.d", xattrs={"user.other": b"o"})
    above.add("again", b"again", mode=0o4755, xattrs={"security.capability": able})
    return image


def names():
    image = Image("names")
    base = image.base()
    for name in ("with space", "gr\u00fcn \u6f22 \U0001f600", "nfd-e\u0301", "-dash", "new\nline",
                 "tab\t", "quote'\"", "back\\slash", ".hidden", "..two", "n" * 255, "\u6f22" * 85,
                 ".whx", "semi;$(colon)"):
        base.folder("d-" + name if len(name) < 80 else name)
        base.add(("d-" + name if len(name) < 80 else name) + "/f-" + name[:50], name.encode())
    for size in (98, 99, 100, 101, 154, 155, 156, 157):
        base.add("L" * size, b"l"), base.link("link-%d" % size, "t" * size)
        base.hard("hard-%d" % size, "L" * size)
    path = "deep"
    for level in range(60):
        base.folder(path, mode=0o755)
        path += "/level-%02d-" % level + "d" * 40
    base.folder(path), base.add(path + "/bottom", b"bottom")
    base.link("long-link", "x/" * 1500)
    above = image.layer()
    above.gone("d-with space/f-with space"), above.gone("n" * 240), above.add(path + "/more", b"m")
    return image


def same_twice():
    image = Image("same-twice")
    image.base()
    for number in (2, 3, 4):
        layer = image.layer()
        if number == 3:
            layer.gone("srv/file")
        else:
            # the same bytes, thus the same blob
            image.entries = 100
            layer.folder("srv"), layer.add("srv/file", b"file"), layer.add("srv/%d" % 2, b"n")
    return image


def empty():
    image = Image("empty")
    image.base()
    image.layer()
    image.layer().add("srv/file", b"file")
    image.layer()
    return image


def bare():
    """Tars without the blocks of zeros at their end, and one of no byte at all: to all others fine."""
    image = Image("bare")
    image.base(), image.last.tar.fileobj.flush()
    image.last = None
    image.layer()
    image.last = None
    image.layer().add("srv/file", b"file")
    image.last.tar.fileobj.flush()
    image.last = None
    return image


def main():
    for name in ("docker", "oci", "zstd", "plain"):
        plain(name).end()
    for make in (implied, whiteouts, opaque, sixty, twice, hardlinks, flips, attributes, names,
                 same_twice, empty, bare):
        make().end()
    many(int(sys.argv[3]) if len(sys.argv) > 3 else 100000).end()


main()
