"""A registry of images on 127.0.0.1, as good or as bad as a test wants it (OCI distribution spec 1.1).

A test makes a Mock, gives it repositories (each with its own way to authenticate, its own faults) and
looks afterwards at what each listener was asked. The listeners are told apart by their ports, and by
the two names 127.0.0.1 and localhost:

	registry	TLS, the registry
	plain		the same without TLS
	tokens, cdn	TLS; token servers and stores of blobs beside it
	evil		TLS, its certificate trusted; asks everybody for credentials
	stranger	TLS, its certificate from nobody
	http		no TLS; counts who comes

By itself it serves folders (OCI layouts), until its standard input ends:

	registry_mock.py CERT KEY [--layout FOLDER REPO]... [--auth basic|bearer] [--login USER SECRET]
		[--rate BYTES-A-SECOND] [--log FILE]

and prints one line of JSON: the ports by name.
"""
import argparse
import json
import sys

from registry_http import Listener, Log
from registry_image import Repo
from registry_push import Pushes
from registry_tokens import Tokens


def error(reply, status, code, message="", **fields):
    body = json.dumps({"errors": [{"code": code, "message": message or code.lower()}]})
    reply.whole(status, body.encode(), Content_Type="application/json", **fields)


class Mock:
    def __init__(self, certificate, stranger=None, log=None):
        self.log = Log(log)
        self.repos = {}
        self.base_challenge = None      # of /v2/, for clients that learn there how to log in
        self.gate = Tokens(self)
        self.pushes = Pushes(self)
        for name in ("registry", "tokens", "cdn"):
            setattr(self, name, Listener(name, self.log, self.answer, certificate))
        self.evil = Listener("evil", self.log, self.answer_evil, certificate)
        self.plain = Listener("plain", self.log, self.answer)
        self.http = Listener("http", self.log, self.answer)
        self.stranger = Listener("stranger", self.log, self.answer, stranger or certificate)

    def add(self, name, **options):
        self.repos[name] = Repo(name, **options)
        return self.repos[name]

    def ports(self):
        return {one.name: one.port for one in vars(self).values() if isinstance(one, Listener)}

    # ---- who is asked for what ---------------------------------------------------------------

    def find(self, path):
        """/v2/NAME/KIND/REST, /token/NAME, /cdn/NAME/DIGEST, /evil/NAME/...: repository, kind, rest."""
        _, first, *parts = path.split("/")
        if first != "v2":
            name, rest = "/".join(parts[:1]), "/".join(parts[1:])
            while name not in self.repos and rest:
                more, _, rest = rest.partition("/")
                name += "/" + more
            return self.repos.get(name), first, rest
        for kind in ("manifests", "blobs", "tags"):
            if kind in parts[1:]:
                at = parts.index(kind, 1)
                return self.repos.get("/".join(parts[:at])), kind, "/".join(parts[at + 1:])
        return None, "v2", ""

    def answer(self, request, reply):
        repo, kind, rest = self.find(request.path)
        if kind == "v2":
            return self.answer_base(request, reply)
        if not repo:
            return error(reply, "404 Not Found", "NAME_UNKNOWN")
        request.number = repo.count(request)
        if repo.hook and repo.hook(request, reply):
            return None
        if kind == "token":
            return self.gate.answer(repo, request, reply)
        if kind == "cdn":
            return self.send_blob(repo, rest, request, reply)
        if not self.gate.allowed(repo, request, reply):
            return None
        if kind == "tags":
            return reply.whole("200 OK", json.dumps(
                {"name": repo.name, "tags": sorted(repo.tags)}).encode())
        if kind == "manifests":
            return self.answer_manifest(repo, rest, request, reply)
        if rest.startswith("uploads/"):
            return self.pushes.answer(repo, rest[len("uploads/"):], request, reply)
        return self.answer_blob(repo, rest, request, reply)

    def answer_base(self, request, reply):
        """/v2/: that the registry is there."""
        if request.path == "/v2/" and self.base_challenge and not request.authorization:
            Tokens.refuse(reply, self.base_challenge)
        elif request.path == "/v2/":
            reply.whole("200 OK", b"{}", Docker_Distribution_Api_Version="registry/2.0")
        else:
            error(reply, "404 Not Found", "NAME_UNKNOWN")

    def answer_evil(self, request, reply):
        repo, _, _ = self.find(request.path)
        if repo and repo.evil:
            repo.evil(request, reply)
            return
        reply.whole("401 Unauthorized", b"", WWW_Authenticate=[
            'Basic realm="everything"',
            'Bearer realm="%s",service="evil",scope="repository:x:pull"' %
            self.evil.url("/evil/%s/token" % (repo.name if repo else "x"), host="localhost")])

    # ---- pull --------------------------------------------------------------------------------

    @staticmethod
    def answer_manifest(repo, reference, request, reply):
        if request.method == "PUT":
            return Pushes.put_manifest(repo, reference, request, reply)
        found = repo.manifests.get(repo.tags.get(reference, reference))
        if not found:
            return error(reply, "404 Not Found", "MANIFEST_UNKNOWN")
        return reply.whole("200 OK", found[1], Content_Type=found[0],
                           Docker_Content_Digest=repo.tags.get(reference, reference))

    def answer_blob(self, repo, digest, request, reply):
        if digest in repo.blobs and repo.blob_location and request.method == "GET":
            return reply.whole(repo.redirect_status, b"",
                               Location=repo.blob_location(repo, digest))
        return self.send_blob(repo, digest, request, reply)

    @staticmethod
    def send_blob(repo, digest, request, reply):
        if digest not in repo.blobs:
            return error(reply, "404 Not Found", "BLOB_UNKNOWN")
        reply.rate = repo.rate
        return reply.serve(repo.blobs[digest], Content_Type="application/octet-stream",
                           Docker_Content_Digest=digest, ETag='"%s"' % digest)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("certificate")
    parser.add_argument("key")
    parser.add_argument("--layout", nargs=2, action="append", default=[])
    parser.add_argument("--auth")
    parser.add_argument("--login", nargs=2, default=("user", "secret"))
    parser.add_argument("--rate", type=int)
    parser.add_argument("--log")
    options = parser.parse_args()
    mock = Mock((options.certificate, options.key), log=options.log)
    for folder, name in options.layout:
        repo = mock.repos.get(name) or mock.add(
            name, auth=options.auth, login=options.login, rate=options.rate)
        repo.take_layout(folder)
        if options.auth == "basic":
            mock.base_challenge = 'Basic realm="the mock"'
        elif options.auth:
            mock.base_challenge = 'Bearer realm="%s",service="mock"' % mock.registry.url(
                "/token/" + name)
    print(json.dumps(mock.ports()), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
