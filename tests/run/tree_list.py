#!/usr/bin/python3
"""Lists a tree for comparison: every entry with all that a layer can say about it."""
import hashlib
import os
import stat
import sys


def content(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            block = file.read(1 << 20)
            if not block:
                return digest.hexdigest()
            digest.update(block)


def describe(path, name, links):
    st = os.lstat(path)
    words = ["%06o" % st.st_mode, "%d:%d" % (st.st_uid, st.st_gid)]
    if not stat.S_ISCHR(st.st_mode) or st.st_rdev != 0:  # the time of a whiteout is nobody's
        words.append(str(st.st_mtime_ns))
    if stat.S_ISREG(st.st_mode):
        words += [str(st.st_size), content(path)]
    if stat.S_ISLNK(st.st_mode):
        words.append(ascii(os.readlink(path)))
    if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        words.append(str(st.st_rdev))
    if not stat.S_ISDIR(st.st_mode) and links is not None:
        words.append("nlink %d first %s" % (st.st_nlink, links.setdefault(st.st_ino, ascii(name))))
    for attribute in sorted(os.listxattr(path, follow_symlinks=False)):
        value = os.getxattr(path, attribute, follow_symlinks=False)
        words.append("%s=%s" % (attribute, value.hex()))
    return " ".join(words)


def main():
    top = os.fsencode(sys.argv[1])
    without = {"0" + kind for kind in sys.argv[2:]}  # "--no-devices": "devices"
    links, lines = None if "0nlink" in without else {}, []
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in [b""] + sorted(files + [f for f in folders
                                           if os.path.islink(os.path.join(folder, f))]):
            path = os.path.join(folder, name) if name else folder
            mode = os.lstat(path).st_mode
            if "0devices" in without and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
                continue
            shown = os.path.relpath(path, top)
            if shown == b"." and "0root" in without:
                continue
            lines.append("%s %s" % (ascii(shown), describe(path, shown, links)))
    print("\n".join(sorted(lines)))


main()
