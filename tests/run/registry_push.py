"""The registry of the tests, where things are pushed: uploads in one piece or in chunks, mounts."""
import json
import re
import secrets

from registry_image import digest_of


class Upload:
    def __init__(self):
        self.data = b""
        self.state = None       # of the one Location that is good for the next request

    def move(self):
        self.state = secrets.token_hex(8)
        return self.state


def refuse(reply, status, code):
    reply.whole(status, json.dumps({"errors": [{"code": code, "message": code}]}).encode(),
                Content_Type="application/json")


class Pushes:
    def __init__(self, mock):
        self.mock = mock

    def answer(self, repo, name, request, reply):
        if request.method == "POST" and not name:
            self.begin(repo, request, reply)
            return
        upload = repo.uploads.get(name)
        if not upload:
            refuse(reply, "404 Not Found", "BLOB_UPLOAD_UNKNOWN")
        elif request.query.get("_state") != [upload.state]:
            # a Location that was made up, or not the last one
            refuse(reply, "400 Bad Request", "BLOB_UPLOAD_INVALID")
        elif request.method == "PATCH":
            self.chunk(repo, name, upload, request, reply)
        elif request.method == "PUT":
            self.end(repo, name, upload, request, reply)
        elif request.method == "GET":
            self.tell(repo, name, upload, reply, "204 No Content")
        elif request.method == "DELETE":
            del repo.uploads[name]
            reply.head("204 No Content")
        else:
            refuse(reply, "405 Method Not Allowed", "UNSUPPORTED")

    def begin(self, repo, request, reply):
        mount = request.query.get("mount", [None])[0]
        source = self.mock.repos.get(request.query.get("from", [None])[0])
        if mount and repo.mount == 201 and source and mount in source.blobs:
            repo.blobs[mount] = source.blobs[mount]
            reply.whole("201 Created", b"", Docker_Content_Digest=mount,
                        Location="/v2/%s/blobs/%s" % (repo.name, mount))
            return
        name = secrets.token_hex(8)
        repo.uploads[name] = Upload()
        self.tell(repo, name, repo.uploads[name], reply, "202 Accepted",
                  OCI_Chunk_Min_Length=repo.chunk_min)

    @staticmethod
    def tell(repo, name, upload, reply, status, **fields):
        path = "/v2/%s/blobs/uploads/%s?_state=%s&x=%%2F" % (repo.name, name, upload.move())
        if repo.upload_location:
            path = repo.upload_location(repo, path)
        elif not repo.relative:
            path = reply.request.listener.url(path, host=host_of(reply.request))
        last = max(len(upload.data) - 1, 0)
        fields = {"Location": path, "Range": "0-%d" % last, "Docker_Upload_UUID": name, **fields}
        if status.startswith("204"):
            reply.head(status, **fields)
        else:
            reply.whole(status, b"", **fields)

    def chunk(self, repo, name, upload, request, reply):
        match = re.fullmatch(r"(\d+)-(\d+)", request.headers.get("content-range", ""))
        begin = int(match.group(1)) if match else len(upload.data)
        if begin != len(upload.data) or match and \
                int(match.group(2)) - begin + 1 != len(request.body):
            self.tell(repo, name, upload, reply, "416 Range Not Satisfiable")
            return
        if repo.refuse_chunks > 0:
            repo.refuse_chunks -= 1
            upload.data += request.body[:len(request.body) // 2]
            self.tell(repo, name, upload, reply, "416 Range Not Satisfiable")
            return
        upload.data += request.body
        self.tell(repo, name, upload, reply, "202 Accepted")

    @staticmethod
    def end(repo, name, upload, request, reply):
        data = upload.data + request.body
        digest = request.query.get("digest", [""])[0]
        if digest_of(data) != digest:
            refuse(reply, "400 Bad Request", "DIGEST_INVALID")
            return
        del repo.uploads[name]
        repo.blobs[digest] = data
        reply.whole("201 Created", b"", Docker_Content_Digest=digest,
                    Location="/v2/%s/blobs/%s" % (repo.name, digest))

    @staticmethod
    def put_manifest(repo, reference, request, reply):
        document = json.loads(request.body)
        media_type = request.headers.get("content-type", "")
        digest = digest_of(request.body)
        if document.get("mediaType", media_type) != media_type or \
                ":" in reference and reference != digest:
            refuse(reply, "400 Bad Request", "MANIFEST_INVALID")
            return
        needed = [one["digest"] for one in document.get("layers", []) +
                  [document["config"]] * ("config" in document)]
        children = [one["digest"] for one in document.get("manifests", [])]
        if not set(needed) <= set(repo.blobs) or not set(children) <= set(repo.manifests):
            refuse(reply, "400 Bad Request", "MANIFEST_BLOB_UNKNOWN")
            return
        repo.add_manifest(request.body, media_type, None if ":" in reference else reference)
        reply.whole("201 Created", b"", Docker_Content_Digest=digest,
                    Location="/v2/%s/manifests/%s" % (repo.name, digest))


def host_of(request):
    """The name by which the listener was asked."""
    return request.headers.get("host", "127.0.0.1").rpartition(":")[0] or "127.0.0.1"
