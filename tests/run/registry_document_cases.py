"""Cases of registry_auth.sh for `duet pull`: documents that say what is not so, or nothing that is clear."""
import base64
import json
import os
import subprocess
import sys

from registry_harness import CA, DIR, case, mock, variants
from registry_image import CONFIG, INDEX, LAYER_GZIP, MANIFEST, as_json, descriptor, digest_of, plain
from registry_pull_cases import DUET, SMALL, entry, index, pull
from registry_rules_cases import control

BOX = (os.path.join(os.path.dirname(os.path.abspath(__file__)), "box.py"), "5", "64")
HEX = "a" * 64


def config_of(diff_ids, **more):
    return {"architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}, **more}


def image(repo, layer=None, config=None, **more):
    """A manifest with one layer; `layer` replaces members of its descriptor, `config` the config's bytes."""
    repo.blobs.clear()
    if config is None:
        config = as_json(config_of([digest_of(plain(SMALL))]))
    repo.add_blob(config)
    repo.add_blob(SMALL)
    described = {**descriptor(LAYER_GZIP, SMALL), **(layer or {})}
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, config),
                "layers": [described], **more}
    return repo.add_manifest(document, tag="latest"), document


def refused(t, asked_max, code="oci.", reference=None):
    """A clean failure (pull() looks into the store), after so many requests, in bounds."""
    result, error = pull(t, reference)
    assert result == 1 and "error[" + code in error, "%d: %s" % (result, error)
    assert len(t.asked()) <= asked_max, t.asked()


def boxed(t):
    """The same within seconds and MiB."""
    done = subprocess.run(
        [sys.executable, *BOX, DUET, "pull", "--store", t.path + ".box",
         "127.0.0.1:%d/%s:latest" % (mock.registry.port, t.name)], capture_output=True, timeout=60,
        check=False, env={"HOME": DIR, "PATH": "/usr/bin:/bin", "SSL_CERT_FILE": CA})
    assert done.returncode == 1, "%d: %s" % (done.returncode, done.stderr.decode())


# --- R9: digests -------------------------------------------------------------------------------------

DIGESTS = {"path": "sha256:../../../../etc/passwd", "upper": "sha256:" + HEX.upper(), "short": "sha256:" + HEX[1:],
           "long": "sha256:" + HEX + "a", "md5": "md5:" + HEX[:32], "bare": HEX, "query": "sha256:" + HEX[:60] + "?x=y",
           "nul": "sha256:" + HEX[:63] + "\0", "blank": " sha256:" + HEX}


@variants("R9", DIGESTS)
def digest_in_a_manifest(t, text):
    _, document = image(t.repo, {"digest": text})
    refused(t, 1)
    document["config"]["digest"], document["layers"] = text, []
    t.repo.add_manifest(document, tag="latest")
    refused(t, 2)


@variants("R9", DIGESTS)
def digest_in_an_index(t, text):
    digest = t.repo.add_image([SMALL])
    index(t.repo, [{**entry(t.repo, digest), "digest": text}], tag="latest")
    refused(t, 1)


@variants("R9", DIGESTS)
def digest_in_a_config(t, text):
    image(t.repo, config=as_json(config_of([text])))
    refused(t, 2)


@variants("R9", {name: text for name, text in DIGESTS.items() if name != "nul"})
def digest_on_the_command_line(t, text):
    done = subprocess.run([DUET, "pull", "--store", t.path + ".store", "127.0.0.1:%d/%s@%s"
                           % (mock.registry.port, t.name, text)], capture_output=True, timeout=60,
                          check=False, env={"HOME": DIR, "PATH": "/usr/bin:/bin", "SSL_CERT_FILE": CA})
    assert done.returncode in (1, 2) and b"error[" in done.stderr, done
    assert t.asked() == [], t.asked()


@control("R9")
def naive_join():
    path = os.path.normpath(os.path.join("/store/blobs", DIGESTS["path"].replace(":", "/")))
    return path == "/etc/passwd" and "the folder of blobs joined with such a digest is " + path


# --- R10: one document, two readings ---------------------------------------------------------------

def both(repo):
    digest = repo.add_image([SMALL])
    _, document = image(repo)
    return {**document, "manifests": [entry(repo, digest)]}


@variants("R10", {"manifest": MANIFEST, "index": INDEX})
def manifest_and_index(t, media_type):
    """Whichever it says that it is."""
    document = {**both(t.repo), "mediaType": media_type}
    t.repo.add_manifest(document, media_type=media_type, tag="latest")
    refused(t, 1)
    del document["mediaType"]
    t.repo.add_manifest(document, media_type=media_type, tag="latest")
    refused(t, 2)


@variants("R10", {"manifest": (MANIFEST, INDEX), "index": (INDEX, MANIFEST)})
def another_type_than_it_says(t, types):
    document = image(t.repo)[1] if types[0] == MANIFEST else None
    if not document:
        digest = t.repo.add_image([SMALL])
        document = {"schemaVersion": 2, "manifests": [entry(t.repo, digest)]}
    document["mediaType"] = types[0]
    t.repo.add_manifest(document, media_type=types[1], tag="latest")
    refused(t, 1)
    document["mediaType"] = types[1]
    t.repo.add_manifest(document, media_type=types[1], tag="latest")
    refused(t, 2)


@control("R10")
def two_readers():
    document = json.loads(as_json(both(mock.add("control_r10"))))
    first, second = document["layers"], document["manifests"]
    return first != second and "json of Python gives layers and manifests of one document"


# --- R11: other bytes, other sizes -------------------------------------------------------------------

@variants("R11", {"more": len(SMALL) + 1, "less": len(SMALL) - 1, "none": 0, "minus": -1, "minus_huge": -2**63,
                  "wrap": 2**64 + len(SMALL), "huge": 2**63, "half": len(SMALL) + 0.5, "text": str(len(SMALL)),
                  "null": None, "list": [len(SMALL)], "true": True})
def size_of_a_layer(t, size):
    image(t.repo, {"size": size})
    code, error = pull(t)
    assert code == 1 and ("error[oci." in error or "error[fetch." in error), "%d: %s" % (code, error)


@case("R11")
def size_of_nothing(t):
    """A size of 0 is no bound that is left out."""
    image(t.repo, {"size": 0})

    def hook(request, reply):
        if digest_of(SMALL) not in request.path:
            return False
        reply.head("200 OK", Content_Length=64 << 20)
        while request.sent < 64 << 20:
            reply.raw(bytes(1 << 20))
            request.sent += 1 << 20
        return True
    t.repo.hook = hook
    refused(t, 1)


@variants("R11", {"more": 1, "less": -1})
def size_of_a_config(t, by):
    _, document = image(t.repo)
    document["config"]["size"] += by
    t.repo.add_manifest(document, tag="latest")
    code, error = pull(t)
    assert code == 1 and ("error[oci." in error or "error[fetch." in error), "%d: %s" % (code, error)


@case("R11")
def embedded_data(t):
    """What stands in the descriptor is not what its digest says: nobody takes it."""
    image(t.repo, {"data": base64.b64encode(b"x" * len(SMALL)).decode()})
    code, error = pull(t)
    assert code == 0 or "error[oci." in error, error
    # the layer came from the registry, by its digest
    assert code == 1 or any(digest_of(SMALL) in one.path for one in t.asked()), t.asked()


@variants("R11", {"config": 0, "layer": 1})
def corrupt_blob(t, which):
    """Each byte of a blob in turn is too much; one at its begin, middle and end."""
    image(t.repo)
    digest = list(t.repo.blobs)[which]
    good = t.repo.blobs[digest]
    for at in (0, len(good) // 2, len(good) - 1):
        t.repo.blobs[digest] = good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
        code, error = pull(t)
        assert code == 1 and "error[fetch.digest]" in error, "%d: %s" % (code, error)
    t.repo.blobs[digest] = good
    code, error = pull(t)
    assert code == 0, error


@control("R11")
def naive_size():
    return int(json.loads("-1")) < 0 and "json of Python takes a size of -1 for a number like any other"


# --- R14: JSON -------------------------------------------------------------------------------------

BROKEN = {"twice": (b'"schemaVersion":2', b'"schemaVersion":2,"schemaVersion":2'),
          "utf8": (b'"schemaVersion":2', b'"x":"\xff\xfe","schemaVersion":2'),
          "surrogate": (b'"schemaVersion":2', b'"x":"\\ud800","schemaVersion":2'),
          "deep": (b'"schemaVersion":2', b'"x":' + b"[" * 1000000 + b"]" * 1000000 + b',"schemaVersion":2'),
          "huge": (b'"schemaVersion":2', b'"x":1e400,"schemaVersion":2'),
          "behind": (b'"schemaVersion":2', b'"schemaVersion":2}{"x":2'),
          "nul": (b'"schemaVersion":2', b'"x\\u0000y":1,"schemaVersion":2')}


@variants("R14", BROKEN)
def broken_manifest(t, change):
    _, document = image(t.repo)
    t.repo.add_manifest(as_json(document).replace(*change), tag="latest")
    refused(t, 2)
    boxed(t)


@variants("R14", BROKEN)
def broken_config(t, change):
    config = as_json({"schemaVersion": 2, **config_of([digest_of(plain(SMALL))])})
    image(t.repo, config=config.replace(*change))
    refused(t, 3)
    boxed(t)


@control("R14")
def naive_parser():
    return json.loads('{"a":1,"a":2}') == {"a": 2} and "json of Python takes the last of two members of one name"


# --- R19: what an image says of its host -----------------------------------------------------------

SAYS = ["duet", "duet.mounts", "duet.allow", "duet.network", "duet.runner", "duet.vm.kernel", "target", "mounts",
        "run.oci.handler", "run.oci.hooks.stdout", "run.oci.systemd.subgroup", "io.katacontainers.config.hypervisor.path",
        "io.katacontainers.config.hypervisor.kernel_params", "io.kubernetes.cri-o.Devices", "org.opencontainers.image.url"]


def host_plan(t, reference):
    done = subprocess.run(
        [DUET, "run", "--explain", "--on", "container", "--store", t.path + ".store", "--image", reference, "--", "/file"],
        capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
        env={"HOME": DIR, "PATH": "/usr/bin:/bin", "SSL_CERT_FILE": CA})
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@case("R19")
def labels_and_annotations(t):
    """The plan of the host is byte for byte that of the image without them."""
    said = {one: value for one in SAYS for value in ["binary:///bin/sh", "/:/host"]}
    plans = []
    for more in ({}, {"Labels": said, "Privileged": True, "Binds": ["/:/host"], "CapAdd": ["ALL"], "Devices": ["/dev/kvm"],
                      "Runtime": "x", "Hostname": "elsewhere", "HostConfig": {"Privileged": True},
                      "SecurityOpt": ["seccomp=unconfined"], "NetworkMode": "host"}):
        t.repo.blobs.clear()
        config = as_json({**config_of([digest_of(plain(SMALL))]), "config": more})
        image(t.repo, {"annotations": said} if more else None, config, **({"annotations": said} if more else {}))
        code, error = pull(t)
        assert code == 0, error
        plans.append(host_plan(t, "127.0.0.1:%d/%s:latest" % (mock.registry.port, t.name)))
    assert plans[0] == plans[1], plans
    assert b"mount     /proc" in plans[0], plans[0]


@control("R19")
def what_may_be_said():
    """The comparison sees what an image may say: its user and workdir."""
    class Two:
        name, path, repo = "control_r19", DIR + "/control_r19", mock.add("control_r19")

        @staticmethod
        def asked():
            return []
    plans = []
    for more in ({}, {"WorkingDir": "/elsewhere", "User": "7:7"}):
        config = as_json({**config_of([digest_of(plain(SMALL))]), "config": more})
        image(Two.repo, config=config)
        code, error = pull(Two)
        assert code == 0, error
        plans.append(host_plan(Two, "127.0.0.1:%d/%s:latest" % (mock.registry.port, Two.name)))
    return plans[0] != plans[1] and "user and workdir, which an image may say, differ in the same comparison"
