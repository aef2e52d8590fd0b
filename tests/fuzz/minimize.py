"""Makes the corpora small: of what is there and what was found, the files that reach the most.

    minimize.py BUILD TARGET...     after `make fuzz` and some fuzzing in BUILD; writes corpus/TARGET

At most FILES_MAX files and about BYTES_MAX bytes of each, chosen one after the other by how much that is
new each brings for its size. Files called fixed-* once failed: they stay.
"""
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

FILES_MAX = 60
BYTES_MAX = 80000
FILE_BYTES = 1500   # what a file counts besides its bytes
CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def features(build, target, folders):
    """{path: set of what it reaches}, by libFuzzer's own merge."""
    with tempfile.TemporaryDirectory() as work:
        control, out = os.path.join(work, "control"), os.path.join(work, "out")
        os.mkdir(out)
        subprocess.run([os.path.join(build, "fuzz/tests/fuzz", target), "-set_cover_merge=1", "-timeout=20",
                        "-rss_limit_mb=2048", "-max_len=16384", "-merge_control_file=" + control, out] + folders,
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(control, encoding="utf-8") as file:
            lines = file.read().splitlines()
    count = int(lines[0])
    names, found = lines[2:2 + count], {}
    for line in lines[2 + count:]:
        kind, index, *words = line.split(" ")
        if kind == "FT":
            found[names[int(index)]] = {int(word) for word in words}
    return found


def choose(found):
    sizes = {path: os.path.getsize(path) for path in found}
    kept = sorted(path for path in found if os.path.basename(path).startswith("fixed-"))
    known = set().union(*(found[path] for path in kept)) if kept else set()
    left = set(found) - set(kept)
    total = sum(sizes[path] for path in kept)
    while left and len(kept) < FILES_MAX:
        best = max(sorted(left), key=lambda path: len(found[path] - known) / (sizes[path] + FILE_BYTES))
        left.remove(best)
        if not found[best] - known:
            break
        if total + sizes[best] > BYTES_MAX:
            continue
        kept.append(best)
        known |= found[best]
        total += sizes[best]
    return kept, total


def name_of(path):
    """Of a seed its own; what a fuzzer named by a digest gets a shorter one."""
    name = os.path.basename(path)
    if len(name) != 40:
        return name
    with open(path, "rb") as file:
        return "found-" + hashlib.sha256(file.read()).hexdigest()[:10]


def main():
    build = sys.argv[1]
    for target in sys.argv[2:]:
        corpus = os.path.join(CORPUS, target)
        folders = [folder for folder in (corpus, os.path.join(build, "fuzz/found", target)) if os.path.isdir(folder)]
        kept, total = choose(features(build, target, folders))
        with tempfile.TemporaryDirectory() as work:
            for path in kept:
                shutil.copyfile(path, os.path.join(work, name_of(path)))
            for path in glob.glob(corpus + "/*"):
                os.unlink(path)
            os.makedirs(corpus, exist_ok=True)
            for path in glob.glob(work + "/*"):
                shutil.copyfile(path, os.path.join(corpus, os.path.basename(path)))
        print("%-10s %d files, %d bytes" % (target, len(kept), total))


main()
