#!/bin/sh
# The JSON Schema must be a valid draft-07 schema, take every good spec of tests/golden/spec, and
# refuse those bad ones whose fault is a key or the kind of a value.
set -eu
srcdir=${srcdir:-.}
for module in jsonschema yaml; do
	python3 -c "import $module" 2>/dev/null || {
		echo "python3-$module is missing"
		exit 77
	}
done
schema=$(mktemp)
trap 'rm -f "$schema"' EXIT
./tests/golden/print_schema >"$schema"
python3 - "$schema" "$srcdir/tests/golden/spec" <<'PYTHON'
import glob, json, os, re, sys
import jsonschema, yaml


class Core(yaml.SafeLoader):
    """YAML 1.2's core schema, as editors read it: no "on" or "no", no 8080:80 in base 60."""


Core.yaml_implicit_resolvers = {}
for tag, pattern, first in [
    ("bool", "true|false", "tf"),
    ("null", "null|~|", ["n", "~", ""]),
    ("int", "[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?[0-9]+\.[0-9]*", "-+0123456789"),
]:
    Core.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile("^(?:%s)$" % pattern), first)
Core.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))

with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
good = bad = 0
faults = []
for path in sorted(glob.glob(os.path.join(sys.argv[2], "*.yaml"))):
    stem = path[: -len(".yaml")]
    is_good = os.path.exists(stem + ".json")
    if not is_good:
        with open(stem + ".expect") as file:
            expect = file.read()
        if "[spec.unknown-key]" not in expect and "[spec.type]" not in expect:
            continue
    with open(path, newline="") as file:
        errors = list(validator.iter_errors(yaml.load(file, Core)))
    if is_good and errors:
        faults.append("%s: %s" % (path, errors[0].message))
    if not is_good and not errors:
        faults.append("%s: taken by the schema" % path)
    good += is_good
    bad += not is_good
print("%d good and %d bad specs" % (good, bad))
print("\n".join(faults))
sys.exit(1 if faults or good < 5 or bad < 30 else 0)
PYTHON
