"""Cases of registry_auth.sh: rows of the table of threats about whom a client trusts with what."""
import os
import shutil
import subprocess

from registry_auth_cases import BASIC, LOGIN, TOKEN
from registry_harness import BLOB, CA, DIR, LAYER, SECRET, case, mock, variants
from registry_http import Listener

OWN_NETWORK = bool(os.environ.get("REGISTRY_OWN_NETWORK"))
controls = []   # (row, function); a function gives what tripped, or raises


def control(row):
    def add(function):
        controls.append((row, function))
        return function
    return add


def curl(*words, home="/"):
    done = subprocess.run(["curl", "-q", "-s", "--cacert", CA, *words], check=False, timeout=30,
                          env={"HOME": home, "PATH": "/usr/bin:/bin"}, capture_output=True)
    return done.returncode


def told(name, listener):
    return [one for one in mock.log.of(name, listener) if one.secrets()]


def to_evil(repo, digest):
    return mock.evil.url("/evil/%s/%s" % (repo.name, digest), host="localhost")


def to_cdn(repo, digest):
    return mock.cdn.url("/cdn/%s/%s" % (repo.name, digest))


# --- R1: a third host that asks for credentials -------------------------------------------------

R1_TABLE = {"basic": ("basic", LOGIN), "bearer": ("bearer", LOGIN), "identity": ("bearer", TOKEN)}


@variants("R1", R1_TABLE, identity=TOKEN[1], public=False, blob_location=to_evil)
def asked_by_a_third(t, how):
    t.repo.auth, options = how
    t.pull_bad("(fetch|auth)\\..*", "", options=options)
    assert len(t.asked("evil")) >= 1, "nobody was there"
    assert len(t.asked("evil")) <= 6, t.asked("evil")
    t.nothing_told_to("evil")


@case("R1", auth="basic", blob_location=to_evil)
def third_names_our_registry(t):
    """The third's challenge has the registry's own realm in it."""
    t.repo.evil = lambda request, reply: reply.whole("401 Unauthorized", WWW_Authenticate=[
        'Bearer realm="%s",scope="repository:%s:pull"' % (mock.registry.url("/token/" + t.name), t.name),
        'Basic realm="the mock"'])
    t.pull_bad("(fetch|auth)\\..*", "", options=LOGIN)
    t.nothing_told_to("evil")
    assert not t.tokens_asked(), "a third had a token made"


@control("R1")
def naive_for_a_third():
    repo = mock.add("control_r1", auth="basic", blob_location=to_evil)
    repo.add_image([LAYER])
    curl("-L", "--location-trusted", "-u", "%s:%s" % (repo.login),
         mock.registry.url("/v2/control_r1/blobs/" + BLOB))
    return told("control_r1", "evil") and "curl --location-trusted: tells the third the login"


# --- R2: redirects --------------------------------------------------------------------------------

AWAY = {
    "other_port": to_cdn,
    "other_name": lambda repo, digest: mock.registry.url(
        "/cdn/%s/%s" % (repo.name, digest), host="localhost"),
    "other_both": lambda repo, digest: mock.cdn.url(
        "/cdn/%s/%s" % (repo.name, digest), host="localhost"),
}


@variants("R2", {"%s_%s" % (auth, name): (auth, where) for name, where in AWAY.items()
                 for auth in ("basic", "bearer")}, public=False)
def redirect_away(t, how):
    t.repo.auth, t.repo.blob_location = how
    t.pull("blob", options=LOGIN)
    for request in t.asked():
        if request.path.startswith("/cdn/"):
            assert not request.secrets(), request
            assert "referer" not in request.headers, request.headers


@variants("R2", {"basic": "basic", "bearer": "bearer"}, public=False)
def redirect_away_and_back(t, auth):
    """Who was led away is nobody from there on, back home too."""
    t.repo.auth = auth
    t.repo.blob_location = lambda repo, digest: mock.cdn.url("/cdn/%s/away" % repo.name)

    def hook(request, reply):
        if request.path.endswith("/away"):
            reply.whole("302 Found", b"", Location=mock.registry.url(
                "/cdn/%s/%s" % (t.name, BLOB)))
            return True
        return False
    t.repo.hook = hook
    t.pull("blob", options=LOGIN)
    assert [one for one in t.asked() if one.path.startswith("/cdn/") and one.secrets()] == []


@variants("R2", {"basic": "basic", "bearer": "bearer"}, public=False)
def redirect_at_home(t, auth):
    """The same scheme, host and port: the login goes along."""
    t.repo.auth = auth

    def hook(request, reply):
        if "/blobs/" in request.path and "again" not in request.query and request.authorization:
            reply.whole("307 Temporary Redirect", b"", Location="?again=1")
            return True
        return False
    t.repo.hook = hook
    t.pull("blob", options=LOGIN)


@variants("R2", {"basic": "basic", "bearer": "bearer"}, public=False)
def manifest_away(t, auth):
    t.repo.auth = auth

    def hook(request, reply):
        if "/manifests/" in request.path and request.listener is mock.registry and \
                request.authorization:
            reply.whole("302 Found", b"", Location=to_evil(t.repo, "m"), Set_Cookie="a=" + SECRET)
            return True
        return False
    t.repo.hook = hook
    t.repo.evil = lambda request, reply: reply.serve(
        t.repo.manifests[t.manifest][1], Content_Type=t.repo.manifests[t.manifest][0])
    t.pull("manifest", options=LOGIN)
    t.nothing_told_to("evil")


@variants("R2", {"basic": "basic", "bearer": "bearer"}, public=False)
def redirect_to_http(t, auth):
    t.repo.auth = auth
    t.repo.blob_location = lambda repo, digest: mock.http.url("/cdn/%s/%s" % (repo.name, digest))
    t.pull_bad("fetch.failed", "redirected to http://", options=LOGIN)
    assert t.asked("http") == [], t.asked("http")


@case("R2", auth="basic")
def redirect_to_https(t):
    """Another scheme, a better one: all the same somebody else."""
    t.repo.blob_location = to_cdn
    t.pull("blob", options=("--plain-http", *LOGIN), on=mock.plain)
    t.nothing_told_to("cdn")


@variants("R2", {"five": 5, "six": 6})
def redirect_chain(t, length):
    def hook(request, reply):
        step = int(request.query.get("step", ["0"])[0])
        if "/blobs/" in request.path and step < length:
            reply.whole("302 Found", b"", Location="?step=%d" % (step + 1))
            return True
        return False
    t.repo.hook = hook
    if length == 5:
        t.pull("blob")
    else:
        t.pull_bad("fetch.failed", "redirects")
    assert len(t.asked()) == 6, t.asked()


@case("R2", auth="bearer", public=False)
def token_server_redirects(t):
    """Neither the login nor the token that comes of it goes where the token server points."""
    def hook(request, reply):
        if request.path.startswith("/token/"):
            reply.whole("307 Temporary Redirect", b"", Location=to_evil(t.repo, "token"))
            return True
        return False
    t.repo.hook = hook
    for options in (LOGIN, TOKEN):
        t.pull_bad("(auth|fetch)\\..*", "", options=options)
    t.nothing_told_to("evil")
    assert not any(one.body for one in t.asked("evil")), "a form went along"


@control("R2")
def naive_redirect():
    repo = mock.add("control_r2", auth="basic", blob_location=to_cdn)
    repo.add_image([LAYER])
    url = mock.registry.url("/v2/control_r2/blobs/" + BLOB)
    curl("-L", "--location-trusted", "-u", "%s:%s" % (repo.login), url)
    return told("control_r2", "cdn") and "curl --location-trusted: the login goes to another port"


# --- R3: realms -------------------------------------------------------------------------------------

METADATA = "169.254.169.254"


def realm_cases():
    return {
        "http": lambda t: mock.http.url("/token/" + t.name),
        "evil": lambda t: mock.evil.url("/evil/%s/token" % t.name, host="localhost"),
        "evil_address": lambda t: mock.evil.url("/evil/%s/token" % t.name),
        "metadata": lambda t: "https://%s/token/%s" % (METADATA, t.name),
        "link_local": lambda t: "https://[fe80::1]/token/" + t.name,
        "private": lambda t: "https://10.0.0.1/token/" + t.name,
        "any": lambda t: "https://0.0.0.0:%d/token/%s" % (mock.evil.port, t.name),
        "decimal": lambda t: "https://2130706433:%d/evil/%s/x" % (mock.evil.port, t.name),
        "mapped": lambda t: "https://[::ffff:127.0.0.1]:%d/evil/%s/x" % (mock.evil.port, t.name),
        "user": lambda t: "https://u:p@127.0.0.1:%d/evil/%s/x" % (mock.evil.port, t.name),
        "name_in_user": lambda t: "https://127.0.0.1:%d@localhost:%d/evil/%s/x" % (
            mock.registry.port, mock.evil.port, t.name),
        "file": lambda t: "file:///etc/passwd",
        "unix": lambda t: "unix:/run/docker.sock",
        "relative": lambda t: "/token/" + t.name,
        "empty": lambda t: "",
        "control": lambda t: "https://127.0.0.1:%d/\x01x" % mock.registry.port,
    }


@variants("R3", realm_cases(), auth="bearer", public=False, identity=TOKEN[1])
def realm(t, where):
    """Nobody but the registry itself is told who asks."""
    t.repo.realm = where(t)
    for options in (LOGIN, TOKEN):
        t.pull_bad("(auth|fetch)\\..*", "", options=options)
    t.nothing_told_to("evil", "http", "plain")
    assert t.asked("http") == [], t.asked("http")
    assert metadata is None or metadata.connections == 0, "the metadata service was asked"
    t.only_bearer_to_registry()


metadata = None
if OWN_NETWORK:
    metadata = Listener("metadata", mock.log, mock.answer_evil, (CA, DIR + "/good.key"), port=443,
                        address=METADATA)


@control("R3")
def naive_realm():
    if not shutil.which("skopeo"):
        return None
    repo = mock.add("control_r3", auth="bearer", public=False)
    repo.realm = mock.evil.url("/evil/control_r3/token", host="localhost")
    repo.add_image([LAYER])
    mock.base_challenge = 'Bearer realm="%s",service="x"' % repo.realm
    subprocess.run(["skopeo", "inspect", "--tls-verify=false", "--creds", "%s:%s" % (repo.login),
                    "docker://127.0.0.1:%d/control_r3:latest" % mock.registry.port],
                   check=False, capture_output=True, timeout=30)
    mock.base_challenge = None
    return told("control_r3", "evil") and "skopeo: tells the realm's host the login"


# --- R4: uploads --------------------------------------------------------------------------------------

ELSEWHERE = {
    "evil": lambda repo, path: mock.evil.url("/evil/" + repo.name + "/upload?x=1", host="localhost"),
    "port": lambda repo, path: mock.cdn.url(path),
    "http": lambda repo, path: mock.http.url(path),
    "file": lambda repo, path: "file:///tmp/x",
}


@variants("R4", {"%s_%s" % (auth, name): (auth, where) for name, where in ELSEWHERE.items()
                 for auth in ("basic", "bearer")}, public=False)
def upload_elsewhere(t, how):
    t.repo.auth, t.repo.upload_location = how
    del t.repo.blobs[BLOB]
    with open(t.path, "wb") as file:
        file.write(LAYER)
    t.run("put-blob", t.path, options=("--push", *LOGIN))
    t.nothing_told_to("evil", "cdn", "http")
    assert t.asked("http") == [], t.asked("http")


@control("R4")
def naive_upload():
    if not shutil.which("skopeo"):
        return None
    repo = mock.add("control_r4", auth="basic", upload_location=ELSEWHERE["evil"])
    repo.add_image([LAYER])
    source = mock.add("control_r4_from")
    source.add_image([LAYER[:1000]])
    # skopeo tells the CDN's port nothing; what it does with another host is what counts
    mock.base_challenge = 'Basic realm="x"'
    here = "docker://127.0.0.1:%d/" % mock.registry.port
    subprocess.run(["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false",
                    "--src-creds", "a:b", "--dest-creds", "%s:%s" % (repo.login),
                    here + "control_r4_from:latest", here + "control_r4:latest"],
                   check=False, capture_output=True, timeout=30)
    mock.base_challenge = None
    return told("control_r4", "evil") and "skopeo: logs in where the upload's Location points"


# --- R5, R6: TLS --------------------------------------------------------------------------------------

@variants("R5", {"registry": "registry", "cdn": "cdn", "token": "token"}, auth="bearer", public=False)
def stranger(t, which):
    """A certificate from nobody: at the registry, at its token server, at its store of blobs."""
    if which == "cdn":
        t.repo.blob_location = lambda repo, digest: mock.stranger.url(
            "/cdn/%s/%s" % (repo.name, digest))
    elif which == "token":
        t.repo.realm = mock.stranger.url("/token/" + t.name)
    t.pull_bad("(fetch|auth)\\..*", "certificate" if which != "token" else "", options=LOGIN,
               on=mock.stranger if which == "registry" else None)
    assert t.asked("stranger") == [], t.asked("stranger")


@case("R5")
def other_name(t):
    """The right authority, another name."""
    if OWN_NETWORK:
        named = Listener("named", mock.log, mock.answer, (CA, DIR + "/good.key"), address="127.0.0.2")
        t.pull_bad("fetch.failed", "", where="127.0.0.2:%d" % named.port)
        assert t.asked("named") == []


@control("R5")
def naive_stranger():
    repo = mock.add("control_r5")
    repo.add_image([LAYER])
    curl("-k", mock.stranger.url("/v2/control_r5/blobs/" + BLOB))
    return mock.log.of("control_r5", "stranger") and "curl -k: takes what the stranger gives"


@case("R6")
def no_tls(t):
    """A registry without TLS is not spoken to without it."""
    before = mock.plain.connections
    t.pull_bad("fetch.failed", "", on=mock.plain)
    assert t.asked("plain") == [], t.asked("plain")
    assert mock.plain.connections > before, "nobody came"


@case("R6")
def port_80(t):
    if not OWN_NETWORK:
        return
    port_80_listener = Listener("port80", mock.log, mock.answer, port=80)
    t.pull_bad("fetch.failed", "", where="127.0.0.1")
    assert port_80_listener.connections == 0, "port 80 was tried"


@case("R6")
def plain_where_it_is_allowed(t):
    t.pull(on=mock.plain, options=("--plain-http",))


@case("R6", auth="bearer", public=False)
def plain_for_this_host_alone(t):
    """--plain-http is for the registry, not for whom it names."""
    t.repo.realm = mock.http.url("/token/" + t.name)
    t.pull_bad("(auth|fetch)\\..*", "", on=mock.plain, options=("--plain-http", *LOGIN))
    assert t.asked("http") == [], t.asked("http")


@control("R6")
def naive_http():
    if not shutil.which("skopeo"):
        return None
    repo = mock.add("control_r6")
    repo.add_image([LAYER])
    subprocess.run(["skopeo", "inspect", "--tls-verify=false",
                    "docker://127.0.0.1:%d/control_r6:latest" % mock.plain.port],
                   check=False, capture_output=True, timeout=30)
    return mock.log.of("control_r6", "plain") and "skopeo --tls-verify=false: goes on without TLS"


# --- R8: other protocols, other networks -----------------------------------------------------------------

@variants("R8", {"file": "file:///etc/passwd", "gopher": "gopher://127.0.0.1:PORT/x",
                 "ftp": "ftp://127.0.0.1:PORT/x", "unix": "unix:/run/x", "data": "data:,x",
                 "dict": "dict://127.0.0.1:PORT/x", "smb": "smb://127.0.0.1/x"})
def protocol(t, location):
    location = location.replace("PORT", str(mock.http.port))
    before = mock.http.connections
    t.repo.blob_location = lambda repo, digest: location
    t.pull_bad("fetch.failed", "redirected to .*, which ")
    assert mock.http.connections == before, "somebody was connected to"


@case("R8")
def public_to_local(t):
    """A registry outside may not point us at what only we can reach."""
    if not OWN_NETWORK:
        return
    outside = Listener("outside", mock.log, mock.answer, (CA, DIR + "/good.key"),
                       address="198.51.100.7")
    for target in (mock.cdn.url("/cdn/%s/%s" % (t.name, BLOB)),
                   "https://%s/cdn/%s/%s" % (METADATA, t.name, BLOB)):
        t.repo.blob_location = lambda repo, digest, target=target: target
        t.pull_bad("fetch.failed", "local network", where="198.51.100.7:%d" % outside.port)
    assert t.asked("cdn") == [] and metadata.connections == 0
    t.repo.realm = mock.evil.url("/evil/" + t.name + "/token")
    t.repo.auth = "bearer"
    t.pull_bad("(auth|fetch)\\..*", "", where="198.51.100.7:%d" % outside.port, options=LOGIN)
    assert t.asked("evil") == [], t.asked("evil")


@control("R8")
def naive_protocol():
    repo = mock.add("control_r8")
    repo.add_image([LAYER])
    before = mock.http.connections
    repo.blob_location = lambda repo, digest: "gopher://127.0.0.1:%d/x" % mock.http.port
    curl("-L", "--proto-redir", "=all", "--max-time", "2",
         mock.registry.url("/v2/control_r8/blobs/" + BLOB))
    return mock.http.connections > before and "curl --proto-redir =all: connects"


# --- R17: what lies about ------------------------------------------------------------------------------------

@variants("R17", {"none": (None, ()), "basic": ("basic", ()), "bearer": ("bearer", ()),
                  "login": ("basic", LOGIN)}, public=False)
def netrc(t, how):
    t.repo.auth, options = how
    t.run(*t.parts()["blob"][0], options=options,
          env={"NETRC": DIR + "/home/.netrc", "CURL_HOME": DIR + "/home"})
    for _, text in t.secrets():
        assert "netrc" not in text, text
    if options:
        assert {text for _, text in t.secrets()} == {BASIC}, t.secrets()


@control("R17")
def naive_netrc():
    repo = mock.add("control_r17", auth="basic")
    repo.add_image([LAYER])
    curl("--netrc", mock.registry.url("/v2/control_r17/blobs/" + BLOB), home=DIR + "/home")
    return told("control_r17", "registry") and "curl --netrc: sends it"
