"""Is a document what image-spec's JSON Schema says? oci_schema.py SCHEMA FILE; exits 77 without schemas.
SCHEMA with "runtime-spec/" before it is one of runtime-spec's."""
import json
import os
import sys

try:
    from jsonschema import Draft4Validator, RefResolver
except ImportError:
    sys.exit(77)

SPEC, SCHEMA = os.path.split(sys.argv[1])
FOLDER = "/usr/share/gocode/src/github.com/opencontainers/%s/schema" % (SPEC or "image-spec")
if not os.path.isdir(FOLDER):
    sys.exit(77)


def load(name):
    with open(os.path.join(FOLDER, name)) as file:
        return json.load(file)


# they name each other by file, and their ids by addresses: nothing is fetched
store = {}
for name in os.listdir(FOLDER):
    if name.endswith(".json"):
        schema = load(name)
        store[name] = schema
        store["https://opencontainers.org/schema/" + name] = schema
        store["https://opencontainers.org/schema/image/" + name] = schema
        store["https://opencontainers.org/schema/descriptor/" + name] = schema
        store["https://opencontainers.org/schema/image/descriptor/" + name] = schema
        if "id" in schema:
            store[schema["id"]] = schema


class Local(RefResolver):
    def resolve_remote(self, uri):
        return store[os.path.basename(uri.split("#")[0])]


main = load(SCHEMA)
with open(sys.argv[2]) as file:
    document = json.load(file)
errors = list(Draft4Validator(main, resolver=Local.from_schema(main, store=store)).iter_errors(document))
for error in errors:
    print("%s: %s" % ("/".join(map(str, error.path)), error.message))
sys.exit(bool(errors))
