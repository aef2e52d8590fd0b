"""How the registry of the tests knows who asks: Basic, and Bearer with its token server."""
import base64
import json
import secrets
import threading
import time


class Token:
    def __init__(self, repo, scopes):
        self.repo, self.scopes = repo, scopes
        self.until = time.monotonic() + repo.lifetime_s

    def allows(self, repo, action):
        if time.monotonic() > self.until:
            return False
        return any(one[0] == repo.name and action in one[1] for one in self.scopes)


def parse_scope(text):
    """"repository:NAME:pull,push" as (NAME, {"pull", "push"}); a name may hold a colon (a port)."""
    kind, _, rest = text.partition(":")
    name, _, actions = rest.rpartition(":")
    return (name if kind == "repository" else None, set(actions.split(",")))


def basic(request):
    """The user and secret of an Authorization: Basic, or None."""
    kind, _, text = (request.authorization or "").partition(" ")
    if kind.lower() != "basic":
        return None
    user, _, secret = base64.b64decode(text).decode("utf-8").partition(":")
    return user, secret


class Tokens:
    def __init__(self, mock):
        self.mock = mock
        self.given = {}
        self.lock = threading.Lock()

    # ---- the registry's side -------------------------------------------------------------------

    def allowed(self, repo, request, reply):
        """Else the challenge is sent."""
        action = "pull" if request.method in ("GET", "HEAD") else "push"
        if request.path.split("/blobs/")[-1].startswith("uploads/"):
            action = "push"
        if repo.auth is None:
            return True
        if repo.auth == "basic":
            if basic(request) == tuple(repo.login):
                return True
            self.refuse(reply, repo.challenge or 'Basic realm="the mock"')
            return False
        kind, _, text = (request.authorization or "").partition(" ")
        token = self.given.get(text) if kind.lower() == "bearer" else None
        if token and token.allows(repo, action):
            return True
        self.refuse(reply, repo.challenge or self.challenge(repo, request, action, token))
        return False

    @staticmethod
    def refuse(reply, challenge):
        body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
        reply.whole("401 Unauthorized", body, Content_Type="application/json",
                    WWW_Authenticate=challenge)

    @staticmethod
    def challenge(repo, request, action, token):
        actions = "pull" if action == "pull" else "pull,push"
        # with `narrow` the first challenge names less than what is needed
        if repo.narrow and not token:
            actions = "pull" if action == "push" else "metadata"
        realm = repo.realm or request.listener.url("/token/" + repo.name)
        text = 'Bearer realm="%s",service="the, \\"mock\\"",scope="repository:%s:%s"' % (
            realm, repo.name, actions)
        if token and time.monotonic() <= token.until:
            text += ',error="insufficient_scope"'
        elif token:
            text += ',error="invalid_token"'
        return text

    # ---- the token server's side ---------------------------------------------------------------

    def answer(self, repo, request, reply):
        if request.method == "POST" and repo.post:
            reply.whole("%d No" % repo.post, b"")
            return
        scopes, known = self.who(repo, request)
        if known is None:
            reply.whole("401 Unauthorized", b'{"details":"incorrect username or password"}',
                        Content_Type="application/json")
            return
        wanted = [parse_scope(one) for scope in scopes for one in scope.split(" ")]
        if not known:
            # who is nobody may pull what is public
            wanted = [(name, {"pull"} & actions if repo.public else set())
                      for name, actions in wanted]
        reply.whole("200 OK", self.grant(repo, wanted), Content_Type="application/json")

    @staticmethod
    def who(repo, request):
        """Scopes, and whether it is the one who has the rights: True, False (nobody), None (wrong)."""
        if request.method == "POST":
            form = {name: value[0] for name, value in request.form().items()}
            if form.get("grant_type") == "refresh_token":
                right = repo.identity is not None and form.get("refresh_token") == repo.identity
            else:
                right = (form.get("username"), form.get("password")) == tuple(repo.login)
            return [form.get("scope", "")], right or None
        scopes = request.query.get("scope", [""])
        if not request.authorization:
            return scopes, False
        return scopes, basic(request) == tuple(repo.login) or None

    def grant(self, repo, scopes):
        text = secrets.token_urlsafe(24)
        with self.lock:
            self.given[text] = Token(repo, scopes)
        document = {"expires_in": repo.expires_in}
        for field in ("token", "access_token"):
            if repo.field in (field, "both"):
                document[field] = text
        return json.dumps({key: value for key, value in document.items()
                           if value is not None}).encode()
