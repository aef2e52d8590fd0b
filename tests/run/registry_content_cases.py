"""Cases of registry_auth.sh: answers without end, other content than was asked for, encodings; and
pushes, which end where they should however the registry takes them."""
import gzip
import os
import subprocess

from registry_auth_cases import LOGIN
from registry_harness import BLOB, CA, LAYER, case, mock, variants
from registry_http import Gone
from registry_image import MANIFEST, as_json, descriptor, digest_of
from registry_rules_cases import control

ENDLESS = 10 << 30
BOX = (10, 64)          # seconds, MiB
SENT_MAX = 24 << 20     # by a server, before it sees that nobody listens: buffers of the kernel


# --- R12: 10 GiB, everywhere ---------------------------------------------------------------------

def stream(reply, status, length=ENDLESS, begin=b"", piece=bytes(1 << 20), **fields):
    reply.head(status, Content_Length=length, **fields)
    reply.body(begin)
    while reply.request.sent < ENDLESS:
        reply.body(piece)
    raise Gone


def json_stream(reply, status, **fields):
    """Well-formed as far as it goes."""
    stream(reply, status, None, b'{"token":"', b"x" * (1 << 20), Content_Type="application/json",
           **fields)


ENDPOINTS = {
    # part, path, method, status, more fields
    "manifest": ("manifest", "/manifests/", "GET", "200 OK", {"Content_Type": MANIFEST}),
    "config": ("config", "/blobs/", "GET", "200 OK", {}),
    "blob": ("blob", "/blobs/", "GET", "200 OK", {}),
    "token": ("blob", "/token/", "GET", "200 OK", {}),
    "manifest_error": ("manifest", "/manifests/", "GET", "404 Not Found", {}),
    "blob_error": ("blob", "/blobs/", "GET", "500 Oh", {}),
    "blob_denied": ("blob", "/blobs/", "GET", "403 No", {}),
    "token_error": ("blob", "/token/", "GET", "401 No", {}),
    "challenge": ("blob", "/blobs/", "GET", "401 No", {"WWW_Authenticate": "Basic"}),
    "redirect": ("blob", "/blobs/", "GET", "302 Found", {"Location": "?x"}),
}


@variants("R12", {"%s_%s" % (name, how): (row, how) for name, row in ENDPOINTS.items()
                  for how in ("length", "none", "small")}, auth="bearer")
def endless(t, how):
    """With the length that it has, with none, with one that is not true."""
    (part, path, method, status, fields), kind = how

    def hook(request, reply):
        if path not in request.path or request.method != method:
            return False
        if path != "/token/" and not request.authorization and not status.startswith("401"):
            return False
        if kind == "length":
            stream(reply, status, **fields)
        elif kind == "none":
            json_stream(reply, status, **fields)
        else:
            stream(reply, status, 100, **fields)
        return True
    t.repo.hook = hook
    t.pull_bad("(fetch|auth|oci)\\..*", "", part, box=BOX, options=LOGIN)
    sent = sum(one.sent for one in t.asked())
    assert sent < SENT_MAX * 6, "%d bytes were sent" % sent


@variants("R12", {"begin": "POST", "end": "PUT", "look": "HEAD"})
def endless_push(t, method):
    def hook(request, reply):
        if request.method != method:
            return False
        stream(reply, "500 Oh")
        return True
    del t.repo.blobs[BLOB]
    t.repo.hook = hook
    with open(t.path, "wb") as file:
        file.write(LAYER)
    result = t.run("put-blob", t.path, options=("--push",), box=BOX)
    assert result.code == 1 or method == "HEAD", result.output


@case("R12")
def endless_head(t):
    def hook(request, reply):
        reply.raw(b"HTTP/1.1 200 OK\r\n")
        while request.sent < ENDLESS:
            reply.raw(b"X-Y: " + b"y" * 8000 + b"\r\n")
            request.sent += 8000
        return True
    t.repo.hook = hook
    t.pull_bad("fetch.failed", "", box=BOX)


@control("R12")
def naive_stream():
    """A client without bounds has got more than the box holds when it is stopped."""
    repo = mock.add("control_r12")
    repo.add_image([LAYER])
    repo.hook = lambda request, reply: stream(reply, "404 Not Found")
    done = subprocess.run(
        ["curl", "-q", "-s", "--cacert", CA, "--max-time", "3", "-o", os.devnull, "-w",
         "%{size_download}", mock.registry.url("/v2/control_r12/blobs/" + BLOB)],
        check=False, capture_output=True, timeout=30)
    return int(done.stdout) > 64 << 20 and "curl: %d MiB in 3 s" % (int(done.stdout) >> 20)


# --- R15: the digest wins ---------------------------------------------------------------------------

@variants("R15", {"manifest": "manifest", "config": "config", "blob": "blob"})
def other_content(t, part):
    """Whole, well-formed, and another one."""
    other = mock.add(t.name + "_b")
    other.add_image([LAYER[::-1]])
    instead = {"manifest": other.manifests[other.tags["latest"]][1],
               "config": t.parts()["config"][1].replace(b"2024", b"2025"),
               "blob": LAYER[::-1]}[part]
    path = t.parts()[part][0][1]

    def hook(request, reply):
        if not request.path.endswith(path):
            return False
        reply.serve(instead, Content_Type=MANIFEST if part == "manifest" else
                    "application/octet-stream", Docker_Content_Digest=path)
        return True
    t.repo.hook = hook
    t.pull_bad("fetch.digest", "", part)
    assert t.file(part) == b"", "wrong bytes were left in the file"


@case("R15")
def tag_with_another_digest(t):
    """What the registry says about a manifest by its tag is not what it sends."""
    other = mock.add(t.name + "_b")
    other.add_image([LAYER[::-1]])
    t.repo.hook = lambda request, reply: reply.whole(
        "200 OK", other.manifests[other.tags["latest"]][1], Content_Type=MANIFEST,
        Docker_Content_Digest=t.manifest) or True
    t.bad("(fetch.digest|oci.refused)", "", "manifest", "latest", t.path + ".m")


@control("R15")
def naive_digest():
    repo = mock.add("control_r15")
    repo.add_image([LAYER])
    repo.hook = lambda request, reply: reply.whole("200 OK", LAYER[::-1]) or True
    done = subprocess.run(["curl", "-q", "-s", "--cacert", CA,
                           mock.registry.url("/v2/control_r15/blobs/" + BLOB)],
                          check=False, capture_output=True, timeout=30)
    return done.stdout == LAYER[::-1] and "curl: takes it"


# --- R16: encodings -----------------------------------------------------------------------------------

@variants("R16", {"gzip": ("gzip", gzip.compress(LAYER)), "x_gzip": ("x-gzip", gzip.compress(LAYER)),
                  "bomb": ("gzip", gzip.compress(bytes(100 << 20))), "br": ("br", LAYER[:1000]),
                  "zstd": ("zstd", LAYER[:1000]), "two": ("gzip, gzip", LAYER[:1000]),
                  "junk": ("\x1b[2J", LAYER)})
def encoding(t, how):
    """The bytes on the wire are what counts."""
    name, data = how
    t.repo.hook = lambda request, reply: reply.serve(data, Content_Encoding=name) or True
    for part in ("blob", "manifest"):
        t.pull_bad("fetch\\..*", "", part, box=BOX)


@case("R16")
def encoding_in_name_only(t):
    """A server that calls a .gz by its encoding: its bytes are the blob."""
    data = gzip.compress(LAYER)
    digest = t.repo.add_blob(data)
    t.repo.hook = lambda request, reply: reply.serve(data, Content_Encoding="gzip") or True
    t.good("blob", digest, str(len(data)), t.path + ".b")
    assert t.file("blob") == data


@control("R16")
def naive_encoding():
    repo = mock.add("control_r16")
    repo.add_image([LAYER])
    repo.hook = lambda request, reply: reply.serve(
        gzip.compress(bytes(100 << 20)), Content_Encoding="gzip") or True
    done = subprocess.run("curl -q -s --compressed --cacert %s %s | wc -c" % (
        CA, mock.registry.url("/v2/control_r16/blobs/" + BLOB)), shell=True, check=False,
                          capture_output=True, timeout=30)
    return int(done.stdout) > 64 << 20 and "curl --compressed: unpacks 100 MiB"


# --- pushes ---------------------------------------------------------------------------------------------

PUSHES = {
    "plain": {}, "relative": {"relative": True}, "chunk_min": {"chunk_min": 65536},
    "chunk_min_large": {"chunk_min": 1 << 30}, "chunk_refused": {"refuse_chunks": 1, "chunk_min": 4096},
    "basic": {"auth": "basic"}, "bearer": {"auth": "bearer", "public": False},
    "bearer_narrow": {"auth": "bearer", "public": False, "narrow": True},
    "relative_bearer": {"auth": "bearer", "relative": True, "chunk_min": 1000},
}


@variants("push", PUSHES)
def push(t, options):
    """A blob, a large one, an empty one, and the manifest that names them."""
    for name, value in options.items():
        setattr(t.repo, name, value)
    t.repo.blobs.clear()
    parts = [LAYER, (LAYER * 30)[:8 << 20], b"", b"{}"]
    actions = []
    for number, data in enumerate(parts):
        with open("%s.%d" % (t.path, number), "wb") as file:
            file.write(data)
        actions += ["put-blob", "%s.%d" % (t.path, number)]
    document = as_json({"schemaVersion": 2, "mediaType": MANIFEST,
                        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
                        "layers": [descriptor("application/octet-stream", one) for one in parts[:3]]})
    with open(t.path + ".m", "wb") as file:
        file.write(document)
    t.good(*actions, "put-manifest", "v1", MANIFEST, t.path + ".m", options=("--push", *LOGIN))
    for data in parts:
        assert t.repo.blobs[digest_of(data)] == data
    assert t.repo.manifests[t.repo.tags["v1"]] == (MANIFEST, document)
    assert t.repo.uploads == {}, "uploads were left"
    # what is there is not sent again
    before = sum(len(one.body) for one in t.asked())
    t.good(*actions, options=("--push", *LOGIN))
    assert sum(len(one.body) for one in t.asked()) == before, "sent again"


@variants("push", {"502_put": ("PUT", "502 X"), "503_post": ("POST", "503 X"), "429_put": ("PUT", "429 X"),
                   "reset_put": ("PUT", None), "reset_post": ("POST", None)})
def push_again(t, how):
    """A registry that is not well, once."""
    method, status = how
    seen = []

    def hook(request, reply):
        if request.method != method or seen:
            return False
        seen.append(request)
        if status:
            reply.whole(status, b"", Retry_After=0)
        else:
            reply.reset()
        return True
    del t.repo.blobs[BLOB]
    t.repo.hook = hook
    with open(t.path, "wb") as file:
        file.write(LAYER)
    t.good("put-blob", t.path, options=("--push",))
    assert t.repo.blobs[BLOB] == LAYER and len(t.asked()) <= 8, t.asked()


@variants("push", {"404": "404 X", "405": "405 X", "413": "413 X", "500": "500 X", "401": "401 X",
                   "201": "201 Created", "200": "200 OK"})
def push_refused(t, status):
    """Nor does it believe what is not so: 200 to a POST is no upload."""
    del t.repo.blobs[BLOB]
    t.repo.hook = lambda request, reply: request.method in ("POST", "PUT") and (
        reply.whole(status, b'{"errors":[{"code":"DENIED","message":"no\x1b[2J"}]}') or True)
    with open(t.path, "wb") as file:
        file.write(LAYER)
    with open(t.path + ".m", "wb") as file:
        file.write(b"{}")
    if status[:2] != "20":
        t.bad("(fetch|auth|oci)\\..*", "", "put-manifest", "v1", MANIFEST, t.path + ".m",
              options=("--push", *LOGIN))
    t.bad("(fetch|auth|oci)\\..*", "", "put-blob", t.path, options=("--push", *LOGIN))
    assert len(t.asked()) <= 14, t.asked()
