#!/usr/bin/env python3
"""An archive of Debian packages: hostile_archive.py FOLDER SUITE [FILENAME-IN-PACKAGES]. The packages are
in FOLDER/pool; it makes Packages.xz and an unsigned Release. With FILENAME the list has that for each."""
import hashlib
import lzma
import os
import subprocess
import sys
import time

folder, suite = sys.argv[1:3]
lists = f"{folder}/dists/{suite}/main/binary-amd64"
os.makedirs(lists, exist_ok=True)
text = ""
for name in sorted(os.listdir(f"{folder}/pool")):
    with open(f"{folder}/pool/{name}", "rb") as file:
        data = file.read()
    control = subprocess.run(["dpkg-deb", "-f", f"{folder}/pool/{name}"], check=True, capture_output=True,
                             text=True).stdout
    path = sys.argv[3] if len(sys.argv) > 3 else f"pool/{name}"
    text += f"{control}Filename: {path}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"
plain = text.encode()
packed = lzma.compress(plain)
with open(f"{lists}/Packages.xz", "wb") as file:
    file.write(packed)
with open(f"{folder}/dists/{suite}/Release", "w", encoding="ascii") as file:
    file.write(f"Suite: {suite}\nCodename: {suite}\nArchitectures: amd64\nComponents: main\n"
               f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S', time.gmtime())} UTC\nSHA256:\n")
    # apt wants to know of the plain one, too
    for name, data in ("Packages", plain), ("Packages.xz", packed):
        file.write(f" {hashlib.sha256(data).hexdigest()} {len(data)} main/binary-amd64/{name}\n")
