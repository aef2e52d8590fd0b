"""The commands of no_memory.py and what they work on."""
import gzip
import io
import os
import subprocess
import tarfile

from registry_mock import Mock

SPEC = """duet: 1
name: memory
image:
  from: {archive: %(root)s}
  steps:
    - archive: ./more.tar.gz
      to: /opt/more
    - copy: ./site
      to: /srv/site
      owner: 33:33
      mode: 0644
  config: {environment: {LANG: C.UTF-8}, user: daemon, workdir: /srv, labels: {a: b}}
on: [container, vm]
target:
  command: [cat, /srv/site/index]
  environment: {STAGE: "${STAGE:-dev}", OTHER: $$x}
  mounts: [{tmpfs: /tmp, size: 1M}]
  hostname: memory
secrets: {token: {env: TOKEN}}
"""


class Case:
    def __init__(self, name, command, who=("duet",), store=True, every=False, before=()):
        self.name = name
        self.command = command
        self.who = who
        self.store = store
        self.every = every
        self.before = before
        self.wanted = None

    def prepare(self, run):
        for command in self.before:
            done = run(command)
            assert done.returncode == 0, done.stderr.decode()


def project(folder):
    os.makedirs(folder + "/site/sub")
    for name, text in (("index", "page\n"), ("sub/more", "more\n"), (".duetignore", "*.o\n")):
        with open("%s/site/%s" % (folder, name), "w", encoding="ascii") as file:
            file.write(text)
    subprocess.run(["tar", "-C", folder, "-czf", folder + "/more.tar.gz", "site"], check=True)
    with open(folder + "/duet.yaml", "w", encoding="ascii") as file:
        file.write(SPEC % {"root": os.path.dirname(folder) + "/root.tar.zst"})
    return ["-f", folder + "/duet.yaml"]


def layer(name):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        entry = tarfile.TarInfo("etc/" + name)
        entry.size = 9
        tar.addfile(entry, io.BytesIO(b"0 1 2 3 \n"))
    return gzip.compress(raw.getvalue(), 1, mtime=0)


def cases(folder, store):
    """Lazily: what a case leaves in `folder` may be there for the next."""
    spec = project(folder + "/project")
    at = ["--store", store, *spec]
    build = ["build", "-q", *at]
    mock = Mock((folder + "/good.crt", folder + "/good.key"))
    mock.add("memory", auth="bearer").add_image([layer("one"), layer("two")])
    pull = ["pull", "-q", "--store", store, "127.0.0.1:%d/memory:latest" % mock.registry.port]
    archive = folder + "/image.tar"
    yield Case("check", ["check", "-q", *spec], store=False, every=True)
    yield Case("plan", ["plan", *at], store=False, every=True)
    yield Case("build", build, ("duet", "child", "digest", "pack", "hash", "unpack"))
    yield Case("run", ["run", "-q", *at], ("duet", "child"), before=[build])
    yield Case("pull", pull, ("duet", "registry", "image"))
    yield Case("pull for a VM", [*pull, "--on", "vm"], ("erofs",))
    yield Case("export", ["export", "-q", *at, "--format", "docker-archive", archive],
               ("duet", "copy"), before=[build])
    with open(folder + "/project/of-archive.yaml", "w", encoding="ascii") as file:
        file.write("duet: 1\nname: archive\nimage: {from: {docker_archive: %s}}\n" % archive)
    yield Case("docker archive", ["build", "-q", "--store", store, "-f", file.name],
               ("docker-archive",))
