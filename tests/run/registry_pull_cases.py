"""Cases of registry_auth.sh for `duet pull` itself: what is in a manifest, and whose logins are used."""
import base64
import gzip
import io
import os
import subprocess
import tarfile

from registry_harness import CA, DIR, SECRET, USER, case, mock, variants
from registry_image import CONFIG, INDEX, LAYER_GZIP, MANIFEST, as_json, descriptor
from registry_rules_cases import control, curl

DUET = os.environ.get("DUET", "")


def small_layer():
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("file"), io.BytesIO(b""))
    return gzip.compress(raw.getvalue(), mtime=0)


SMALL = small_layer()
GOOD_LOGIN = '{"auths":{"127.0.0.1:%%d":{"auth":"%s"}}}' % base64.b64encode(
    ("%s:%s" % (USER, SECRET)).encode()).decode()


def pull(t, reference=None, home=None, tag="latest"):
    """(exit code, what is on standard error)"""
    home = home or t.path + ".home"
    os.makedirs(home, exist_ok=True)
    done = subprocess.run(
        [DUET, "pull", "--store", t.path + ".store",
         reference or "127.0.0.1:%d/%s:%s" % (mock.registry.port, t.name, tag)],
        capture_output=True, timeout=60, check=False,
        env={"HOME": home, "PATH": "/usr/bin:/bin", "SSL_CERT_FILE": CA})
    error = done.stderr.decode()
    assert done.returncode in (0, 1), "%d: %s" % (done.returncode, error)
    assert SECRET not in error, error
    if done.returncode == 1 and os.path.exists(t.path + ".store"):
        sound = subprocess.run([DUET, "store", "check", "--store", t.path + ".store"],
                               capture_output=True, check=False, timeout=60)
        assert sound.stdout == b"the store is sound\n", sound.stdout
    return done.returncode, error


def login(t, text):
    home = t.path + ".home"
    os.makedirs(home + "/.docker")
    with open(home + "/.docker/config.json", "w", encoding="utf-8") as file:
        file.write(text)


# --- R1: urls ---------------------------------------------------------------------------------------

def image_with_urls(repo, media_type, urls):
    config = repo.blobs[next(one for one in repo.blobs if one.startswith("sha256:"))]
    return repo.add_manifest({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, config),
        "layers": [descriptor(media_type, SMALL, urls=urls)]}, tag="latest")


@variants("R1", {"layer": LAYER_GZIP,
                 "foreign": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"})
def layer_with_urls(t, media_type):
    """A layer that says where else it is: nobody goes there."""
    t.repo.blobs.clear()
    t.repo.add_image([SMALL])
    connections = []
    t.repo.evil = lambda request, reply: connections.append(request)
    image_with_urls(t.repo, media_type, [mock.evil.url("/evil/%s/layer" % t.name, host="localhost")])
    login(t, GOOD_LOGIN % mock.registry.port)
    t.repo.auth = "basic"
    code, error = pull(t)
    assert code == 0 or "error[oci." in error, error
    assert connections == [], connections


# --- R7: logins that cannot be read ---------------------------------------------------------------

@variants("R7", {"cut": '{"auths":{"127.0.0.1', "list": "[]", "type": '{"auths":{"HOST":5}}',
                 "base64": '{"auths":{"HOST":{"auth":"!!!"}}}', "helper": '{"credHelpers":{"HOST":"no-such"}}',
                 "store": '{"credsStore":"no-such"}', "path": '{"credsStore":"../../bin/true"}'})
def broken_logins(t, text):
    """Nobody is asked anything."""
    t.repo.auth = "basic"
    login(t, text.replace("HOST", "127.0.0.1:%d" % mock.registry.port))
    code, error = pull(t)
    assert code == 1 and "error[auth." in error, error
    assert t.asked() == [], t.asked()


@case("R7", auth="basic")
def logins_that_can_be_read(t):
    t.repo.add_image([SMALL])
    login(t, GOOD_LOGIN % mock.registry.port)
    code, error = pull(t)
    assert code == 0, error
    assert ("registry", "Basic %s:%s" % (USER, SECRET)) in t.secrets(), t.secrets()


@control("R7")
def docker_cli():
    """Its versions before 20.10.9 went on, to a registry of their own choice; it is not here."""
    return None


# --- R13: indexes in indexes ----------------------------------------------------------------------

def index(repo, entries, tag=None):
    return repo.add_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries},
                             media_type=INDEX, tag=tag)


def entry(repo, digest, **platform):
    media_type, data = repo.manifests[digest]
    return descriptor(media_type, data, platform=platform or {"architecture": "amd64", "os": "linux"})


@variants("R13", {"two": 2, "ten": 10, "hundred": 100})
def nested(t, depth):
    digest = t.repo.add_image([SMALL])
    for _ in range(depth):
        digest = index(t.repo, [entry(t.repo, digest)], tag="latest")
    code, error = pull(t)
    assert code == 0 if depth == 2 else code == 1 and "error[oci." in error, error
    assert len(t.asked()) <= 10, t.asked()


@case("R13")
def many_manifests(t):
    digest = t.repo.add_image([SMALL])
    one = entry(t.repo, digest)
    index(t.repo, [one] * 20000, tag="latest")
    code, error = pull(t)
    assert code == 1, "went well"
    assert "error[oci." in error or "error[fetch." in error, error
    assert len(t.asked()) <= 10, t.asked()


@case("R13")
def to_itself(t):
    """A registry that gives the index for everything: only a lie about its digest closes the ring."""
    digest = t.repo.add_image([SMALL])
    body = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry(t.repo, digest)]})
    t.repo.hook = lambda request, reply: "/manifests/" in request.path and (
        reply.whole("200 OK", body, Content_Type=INDEX) or True)
    code, error = pull(t)
    assert code == 1 and "error[fetch.digest]" in error, error
    assert len(t.asked()) <= 10, t.asked()


@control("R13")
def naive_index():
    """A client that follows what it is shown, without counting."""
    repo = mock.add("control_r13")
    digest = repo.add_image([SMALL])
    for _ in range(30):
        digest = index(repo, [entry(repo, digest)], tag="latest")
    reference, asked = "latest", 0
    while asked < 100:
        path = DIR + "/control_r13"
        curl("-o", path, mock.registry.url("/v2/control_r13/manifests/" + reference))
        asked += 1
        with open(path, "rb") as file:
            text = file.read().decode()
        if '"manifests"' not in text:
            break
        reference = text.partition('"digest":"')[2].partition('"')[0]
    return asked > 10 and "a loop around curl: %d requests" % asked
