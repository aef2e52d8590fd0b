"""Cases of registry_auth.sh: the ways to log in, and what each of them tells whom."""
import json
import time

from registry_harness import BLOB, IDENTITY, LAYER, SECRET, USER, case, mock, variants

LOGIN = ("--user", USER, "--secret", SECRET)
WRONG = ("--user", USER, "--secret", "not-" + SECRET)
TOKEN = ("--identity", IDENTITY)
BASIC = "Basic %s:%s" % (USER, SECRET)


# --- nobody, and Basic -----------------------------------------------------------------------

@variants("auth", {"nobody": (), "somebody": LOGIN, "token": TOKEN})
def open_to_all(t, options):
    """Who is not asked says nothing."""
    t.pull(options=options)
    t.nothing_told_to(None)
    assert [one.path.split("/")[3] for one in t.asked()] == ["manifests", "blobs", "blobs"], t.asked()
    accept = t.asked()[0].headers["accept"]
    for one in ("oci.image.index.v1+json", "oci.image.manifest.v1+json",
                "docker.distribution.manifest.list.v2+json", "docker.distribution.manifest.v2+json"):
        assert one in accept, accept
    for request in t.asked():
        assert request.headers["user-agent"].startswith("duet/"), request.headers
        assert "accept-encoding" not in request.headers, request.headers


@case("auth")
def by_tag(t):
    t.good("manifest", "latest", t.path + ".m")
    assert t.file("manifest") == t.repo.manifests[t.manifest][1]


@case("auth", auth="basic")
def basic(t):
    t.pull(options=LOGIN)
    assert set(t.secrets()) == {("registry", BASIC)}, t.secrets()
    # the first time it was not known that anybody wants it
    assert t.asked()[0].authorization is None
    assert len(t.asked()) <= 6, t.asked()


@case("auth", auth="basic")
def basic_wrong(t):
    t.pull_bad("auth.refused", "", options=WRONG)
    assert len(t.asked()) <= 2, t.asked()


@case("auth", auth="basic")
def basic_nobody(t):
    t.pull_bad("auth.refused", "duet login")
    assert len(t.asked()) == 1, t.asked()


@variants("auth", {"colon": ("us", "er:se:cret"), "umlaut": ("ü", "geheimnis-ß"),
                   "blank": ("a b", " x ")}, auth="basic")
def basic_odd(t, login):
    t.repo.login = login
    if ":" in login[0]:
        return
    t.pull("blob", options=("--user", login[0], "--secret", login[1]))


# --- Bearer ----------------------------------------------------------------------------------

@case("auth", auth="bearer")
def bearer_nobody(t):
    t.pull()
    assert [one for one in t.secrets() if not one[1].startswith("Bearer ")] == [], t.secrets()
    ask = t.tokens_asked()
    assert len(ask) == 1 and ask[0].authorization is None, ask
    assert ask[0].query["service"] == ['the, "mock"'], ask[0].query
    assert ask[0].query["scope"] == ["repository:%s:pull" % t.name], ask[0].query
    assert len(t.asked()) <= 5, t.asked()


@case("auth", auth="bearer", public=False)
def bearer_private_nobody(t):
    t.pull_bad("auth.refused", "duet login")
    assert len(t.asked()) <= 4, t.asked()


@case("auth", auth="bearer", public=False)
def bearer_login(t):
    t.pull(options=LOGIN)
    t.only_bearer_to_registry()
    assert len(t.tokens_asked()) == 1, t.tokens_asked()
    assert [text for _, text in t.secrets() if "Bearer" not in text] == [BASIC], t.secrets()


@case("auth", auth="bearer", public=False)
def bearer_login_wrong(t):
    t.pull_bad("auth.refused", "", options=WRONG)
    assert len(t.asked()) <= 4, t.asked()


@case("auth", auth="bearer", public=False, identity=IDENTITY)
def identity_token(t):
    t.pull(options=TOKEN)
    t.only_bearer_to_registry()
    ask = t.tokens_asked()
    assert len(ask) == 1 and ask[0].method == "POST", ask
    form = ask[0].form()
    assert form["grant_type"] == ["refresh_token"] and form["refresh_token"] == [IDENTITY], form
    assert form["scope"] == ["repository:%s:pull" % t.name] and "service" in form, form
    assert ask[0].headers["content-type"] == "application/x-www-form-urlencoded", ask[0].headers
    assert IDENTITY not in ask[0].target and ask[0].authorization is None, ask


@case("auth", auth="bearer", public=False, identity="another")
def identity_token_wrong(t):
    t.pull_bad("auth.refused", "", options=TOKEN)
    assert len(t.asked()) <= 4, t.asked()


@variants("auth", {"404": 404, "405": 405}, auth="bearer", public=False,
          login=("<token>", IDENTITY))
def identity_post(t, status):
    """A token server that knows GET alone."""
    t.repo.post = status
    result = t.run(*t.parts()["blob"][0], options=TOKEN)
    assert result.code == 0 or result.error == "auth.refused", result.output
    t.only_bearer_to_registry()
    assert len(t.tokens_asked()) <= 2, t.tokens_asked()


@variants("auth", {"access": "access_token", "both": "both"}, auth="bearer", public=False)
def field(t, name):
    t.repo.field = name
    t.pull(options=LOGIN)


@variants("auth", {"none": None, "one": 1, "minus": -5, "huge": 10**30, "text": "soon",
                   "real": 0.5}, auth="bearer")
def expires(t, value):
    """Whatever is said about it, nobody asks for a token again and again."""
    t.repo.expires_in = value
    result = t.run(*[word for part in t.parts().values() for word in part[0]])
    assert result.code == 0 or result.error.startswith("auth."), result.output
    assert len(t.tokens_asked()) <= 2, t.tokens_asked()


@case("auth", auth="bearer", public=False)
def revoked(t):
    """A token that is no longer good is asked for anew, once."""
    def hook(request, reply):
        if "/blobs/" in request.path and request.number == 1:
            for text, token in list(mock.gate.given.items()):
                if token.repo is t.repo:
                    del mock.gate.given[text]
        return False
    t.repo.hook = hook
    t.pull("manifest", "blob", options=LOGIN)
    assert len(t.tokens_asked()) == 2, t.tokens_asked()


@case("auth", auth="bearer", public=False, lifetime_s=0.5)
def outlived(t):
    def hook(request, reply):
        if "/manifests/" in request.path and request.authorization:
            time.sleep(0.2)
        if "/blobs/" in request.path and request.number == 1:
            time.sleep(0.5)
        return False
    t.repo.hook = hook
    t.pull("manifest", "blob", options=LOGIN)


@case("auth", auth="bearer", public=False, narrow=True)
def wider_scope(t):
    """A token that is good for something else: the second challenge says for what."""
    t.pull("blob", options=LOGIN)
    scopes = [one.query["scope"] for one in t.tokens_asked()]
    assert len(scopes) == 2 and any("pull" in one for one in scopes[1]), scopes


@case("auth", auth="bearer", public=False)
def never_enough(t):
    """A registry that is never content."""
    t.repo.hook = lambda request, reply: request.path.startswith("/v2/") and (
        mock.gate.refuse(reply, mock.gate.challenge(t.repo, request, "pull", None)) or True)
    t.pull_bad("auth.refused", "", options=LOGIN)
    assert len(t.asked()) <= 8, t.asked()


@variants("auth", {
    "two": ['Basic realm="x"', "BEARER"], "two_in_one": 'Basic realm="x", BEARER',
    "unknown_first": ['Negotiate', "BEARER"], "lower": "bearer realm=REALM,scope=SCOPE",
    "blanks": 'Bearer   realm=REALM ,  scope=SCOPE , service="a"',
    "unquoted": 'Bearer realm=REALM,service=mock,scope=SCOPE',
    "more": 'Bearer realm=REALM,extra="a,b=\\"c\\"",scope=SCOPE',
}, auth="bearer", public=False)
def challenge(t, text):
    """As RFC 9110 lets them be written."""
    realm = '"%s"' % mock.registry.url("/token/" + t.name)
    scope = '"repository:%s:pull"' % t.name

    def fill(one):
        return one.replace("BEARER", "Bearer realm=REALM,scope=SCOPE").replace(
            "REALM", realm).replace("SCOPE", scope)
    t.repo.challenge = [fill(one) for one in text] if isinstance(text, list) else fill(text)
    t.pull("blob", options=LOGIN)


@variants("auth", {
    "none": None, "empty": "", "word": "Bearer", "no_realm": 'Bearer service="a"',
    "open": 'Bearer realm="https://127.0.0.1', "junk": "\x01\x02,,==\"",
    "long": 'Bearer realm="https://127.0.0.1/%s"' % ("x" * 70000),
    "unknown": "Negotiate", "escape": 'Bearer realm="\x1b]52;c;eA==\x07"',
    "many": ["Bearer realm=\"https://127.0.0.1:1/%d\"" % number for number in range(200)],
}, auth="bearer")
def challenge_bad(t, text):
    fields = {} if text is None else {"WWW_Authenticate": text}
    t.repo.hook = lambda request, reply: reply.whole("401 Unauthorized", b"no", **fields) or True
    result = t.run(*t.parts()["blob"][0], options=LOGIN)
    assert result.code == 1, result.output
    t.nothing_told_to(None)
    assert len(t.asked()) <= 10, t.asked()


@variants("auth", {
    "empty": b"", "nothing": b"{}", "null": b'{"token":null}', "number": b'{"token":5}',
    "blank": b'{"token":""}', "text": b'"token"', "cut": b'{"token":"abc', "twice": b'{"token":"a","token":"b"}',
    "line": b'{"token":"a\\r\\nX-Evil: 1"}', "control": b'{"token":"a\\u0001b"}',
    "nul": b'{"token":"a\\u0000b"}', "bytes": b'{"token":"\xff\xfe"}',
    "deep": b'{"token":' + b"[" * 100000, "page": b"<html>\x1b[2J</html>",
    "long": json.dumps({"token": "x" * 200000}).encode(), "space": b'{"token":"a b"}',
}, auth="bearer")
def token_bad(t, data):
    def hook(request, reply):
        if request.path.startswith("/token/"):
            reply.whole("200 OK", data, Content_Type="application/json")
            return True
        return False
    t.repo.hook = hook
    result = t.run(*t.parts()["blob"][0], options=LOGIN)
    assert result.code == 1 and result.error.startswith(("auth.", "fetch.")), result.output
    assert not any("x-evil" in one.headers for one in t.asked()), "a header was smuggled in"
    assert len(t.asked()) <= 10, t.asked()


@case("auth", auth="bearer", public=False)
def shared_token(t):
    """One token for a conversation, not one for each request."""
    more = [t.repo.add_blob(LAYER[:1000 + number]) for number in range(12)]
    t.good(*[word for number, digest in enumerate(more)
             for word in ("blob", digest, str(1000 + number), t.path + ".%d" % number)],
           options=LOGIN)
    assert len(t.tokens_asked()) == 1, t.tokens_asked()


@case("auth", auth="bearer", public=False)
def push_scope(t):
    with open(t.path, "wb") as file:
        file.write(LAYER + t.name.encode())
    t.good("put-blob", t.path, options=("--push", *LOGIN))
    scope = " ".join(t.tokens_asked()[-1].query["scope"])
    assert scope == "repository:%s:pull,push" % t.name, scope


@case("auth", auth="bearer")
def push_nobody(t):
    with open(t.path, "wb") as file:
        file.write(LAYER)
    del t.repo.blobs[BLOB]
    t.bad("auth.refused", "", "put-blob", t.path, options=("--push",))
    assert BLOB not in t.repo.blobs
