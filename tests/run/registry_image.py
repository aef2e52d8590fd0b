"""Images for the registry of the tests: repositories in memory, filled from bytes or OCI layouts."""
import collections
import gzip
import hashlib
import json
import os
import threading
import zlib

OCI = "application/vnd.oci.image."
MANIFEST = OCI + "manifest.v1+json"
INDEX = OCI + "index.v1+json"
CONFIG = OCI + "config.v1+json"
LAYER_GZIP = OCI + "layer.v1.tar+gzip"
NAME_OF_TAG = "org.opencontainers.image.ref.name"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media_type, data, **more):
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def as_json(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Repo:
    """One repository, and how it is to be reached.

    auth            None, "basic", "bearer"
    login           (user, secret) that are right; with `public` a bearer token to pull needs none
    identity        an identity (refresh) token that is right
    post            status that the token server gives to POST, None: it answers it
    field           how the token server calls its token: "token", "access_token" or "both"
    lifetime_s      after which a token is refused; `expires_in` is what is said about it
    challenge       instead of the challenge that would be sent; a string or a list of them
    realm           instead of /token/NAME of the listener that was asked
    narrow          the scope of the first challenge is too small; the second says insufficient_scope
    hook            hook(request, reply), before all else: true when it has answered
    evil            evil(request, reply): what the evil listener does for this repository
    blob_location   blob_location(repo, digest): where a GET for a blob is sent
    rate            bytes a second of a blob's body, None: no bound
    mount           status of an upload that asks for a mount
    chunk_min       OCI-Chunk-Min-Length
    relative        uploads are at relative Locations
    upload_location upload_location(repo, path): another place for them
    refuse_chunks   so many chunks are answered 416 after half of each was taken
    """

    def __init__(self, name, **options):
        self.name = name
        self.auth = self.identity = self.post = self.challenge = self.realm = None
        self.hook = self.evil = self.blob_location = self.rate = None
        self.login = ("user", "secret")
        self.public = True
        self.field = "token"
        self.lifetime_s, self.expires_in = 300, 300
        self.narrow = self.relative = False
        self.redirect_status = "307 Temporary Redirect"
        self.mount, self.chunk_min, self.refuse_chunks = 201, None, 0
        self.upload_location = None
        for option, value in options.items():
            assert hasattr(self, option), option
            setattr(self, option, value)
        self.blobs, self.manifests, self.tags = {}, {}, {}
        self.uploads = {}
        self.counts = collections.Counter()
        self.lock = threading.Lock()

    def count(self, request):
        """How many requests for this path there were, with this one."""
        with self.lock:
            self.counts[request.path] += 1
            return self.counts[request.path]

    def add_blob(self, data):
        self.blobs[digest_of(data)] = data
        return digest_of(data)

    def add_manifest(self, document, media_type=MANIFEST, tag=None):
        data = document if isinstance(document, bytes) else as_json(document)
        self.manifests[digest_of(data)] = (media_type, data)
        if tag:
            self.tags[tag] = digest_of(data)
        return digest_of(data)

    def add_image(self, layers, tag="latest", config=None):
        """`layers`: blobs, gzip or not even that. The manifest's digest."""
        config = as_json({
            "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
            "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(plain(one)) for one in layers]}})
        for one in [config] + layers:
            self.add_blob(one)
        return self.add_manifest({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, config),
            "layers": [descriptor(LAYER_GZIP, one) for one in layers]}, tag=tag)

    def take_layout(self, folder):
        """Every image of an OCI layout, under its tags."""
        def blob(digest):
            with open(os.path.join(folder, "blobs", *digest.split(":")), "rb") as file:
                return file.read()

        def take(entry, tag):
            data = blob(entry["digest"])
            document = json.loads(data)
            self.add_manifest(data, entry["mediaType"], tag)
            for one in document.get("manifests", []):
                take(one, None)
            for one in [document["config"]] + document["layers"] if "layers" in document else []:
                self.add_blob(blob(one["digest"]))

        with open(os.path.join(folder, "index.json"), encoding="utf-8") as file:
            index = json.load(file)
        for entry in index["manifests"]:
            take(entry, entry.get("annotations", {}).get(NAME_OF_TAG, "latest"))


def plain(data):
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return data
