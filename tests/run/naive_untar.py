"""What duet must not be: an unpacker that takes an archive at its word, by paths.

    naive_untar.py ARCHIVE FOLDER OUTER     FOLDER is empty and below OUTER; nothing outside of OUTER
                                            is ever removed

Each habit is one that a tool of this kind had (THREATS, T1 to T12). The positive control of the
hostile archives: what leaves no trace here does not prove anything about duet.
"""
import os
import shutil
import stat
import sys
import tarfile


def remove(path, outer):
    if not os.path.lexists(path):
        return
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
    elif os.path.realpath(path).startswith(outer + "/"):
        shutil.rmtree(path)


def whiteout(path, outer):
    remove(os.path.join(os.path.dirname(path), os.path.basename(path)[len(".wh."):]), outer)


def make(tar, info, path, folder, outer):
    if os.path.basename(path).startswith(".wh."):
        whiteout(path, outer)
    elif info.isdir():
        os.makedirs(path, exist_ok=True)
    elif info.issym():
        remove(path.rstrip("/."), outer)
        os.symlink(info.linkname, path.rstrip("/."))
    elif info.islnk():
        remove(path, outer)
        target = os.path.join(folder, info.linkname)
        os.link(target if os.path.lexists(target) else info.linkname, path, follow_symlinks=False)
    elif info.isdev():
        kind = stat.S_IFCHR if info.ischr() else stat.S_IFBLK
        os.mknod(path, kind | 0o600, os.makedev(info.devmajor, info.devminor))
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            shutil.copyfileobj(tar.extractfile(info), out)
    for key, value in info.pax_headers.items():
        if key.startswith("SCHILY.xattr."):
            os.setxattr(path, key[len("SCHILY.xattr."):], value.encode("utf-8", "surrogateescape"))


def main():
    folder, outer = sys.argv[2], os.path.realpath(sys.argv[3])
    later = []
    with tarfile.open(sys.argv[1]) as tar:
        for info in tar:
            path = os.path.join(folder, info.name)
            try:
                make(tar, info, path, folder, outer)
                if info.isdir():
                    later.append((path, info))
                else:
                    os.chmod(path, info.mode)
                    os.utime(path, (info.mtime, info.mtime))
            except OSError as error:
                print("%s: %s" % (info.name, error), file=sys.stderr)
    for path, info in later:
        os.chmod(path, info.mode)
        os.utime(path, (info.mtime, info.mtime))


main()
