"""Prints one line for every entry below a folder: name, type, mode, owner, links, time, content.

What two printouts agree on has not been touched. Access and change times are left out; of a folder
neither size nor links are told, for they belong to the file system.
"""
import hashlib
import os
import stat
import sys


def content(path, st):
    if stat.S_ISLNK(st.st_mode):
        return os.readlink(path)
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as file:
            return "%d %s" % (st.st_size, hashlib.sha256(file.read()).hexdigest())
    return "-"


def line(path, shown):
    st = os.lstat(path)
    links = 0 if stat.S_ISDIR(st.st_mode) else st.st_nlink
    xattrs = [(name, os.getxattr(path, name, follow_symlinks=False))
              for name in sorted(os.listxattr(path, follow_symlinks=False))]
    return "%r %o %d:%d %d %d %s %r" % (shown, st.st_mode, st.st_uid, st.st_gid, links,
                                        st.st_mtime_ns, content(path, st), xattrs)


def main():
    top = os.fsencode(sys.argv[1])
    print(line(top, b"."))
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            print(line(path, os.path.relpath(path, top)))


main()
