#!/bin/bash
# duet push: what a registry has afterwards, for skopeo, umoci and podman, and for a second pull; that
# layers keep their identity, go once, and are mounted from a repository that has them.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
# shellcheck source=tests/run/registry_lib.sh
. "${srcdir:-.}/tests/run/registry_lib.sh" || exit 99

need docker-registry skopeo umoci curl
small_root
registry_start open
registry_allow
mkdir -p "$W/p"

# the paths that the registry was asked for with METHOD since the last call, sorted
asked() {
	sleep 0.2
	sed -n "s/.*http.request.method=$1 .*http.request.uri=\"\?\([^ \"]*\).*/\1/p" "$REGISTRY_LOG" |
		sed 's/?.*//; s/[0-9a-f-]\{36\}$/UPLOAD/' | sort
	: >"$REGISTRY_LOG"
}

umoci init --layout "$W/oci"
umoci new --image "$W/oci:v1"
umoci insert --image "$W/oci:v1" "$SMALL" /
umoci config --image "$W/oci:v1" --config.cmd /bin/sh --config.env FROM=umoci
skopeo copy -q --dest-tls-verify=false "oci:$W/oci:v1" "docker://$REGISTRY/base/root:v1"

cat >"$W/p/duet.yaml" <<END
duet: 1
name: pushed
image:
  from: $REGISTRY/base/root:v1
  steps:
    - run: echo made >/made; umask 077; mkdir /dir; echo x >/dir/x
  config: {environment: {ADDED: "yes"}, labels: {who: duet}, command: [/bin/cat, /made]}
END
id=$("$DUET" build --store "$W/store" -C "$W/p" 2>"$W/err")
is 'built: exit code' $? 0
: >"$REGISTRY_LOG"
digest=$("$DUET" push --store "$W/store" -C "$W/p" "$REGISTRY/team/app:1" 2>"$W/err")
is 'pushed: exit code' $? 0
puts=$(asked PUT)
has 'the base layer was mounted, not sent: two uploads (a layer, the config)' \
	"$(echo "$puts" | grep -c UPLOAD)" 2
curl -s -o "$W/raw" -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
	"http://$REGISTRY/v2/team/app/manifests/1"
is 'the digest is that of the manifest that the registry has' "$digest" \
	"sha256:$(sha256sum <"$W/raw" | cut -d' ' -f1)"
is 'its config is the image that was built' \
	"$($PYTHON <"$W/raw" -c 'import json, sys; print(json.load(sys.stdin)["config"]["digest"])')" "$id"
is 'the base layer is the one that umoci made' \
	"$($PYTHON <"$W/raw" -c 'import json, sys; print(json.load(sys.stdin)["layers"][0]["digest"])')" \
	"$(skopeo inspect --raw "oci:$W/oci:v1" | $PYTHON -c 'import json, sys
print(json.load(sys.stdin)["layers"][0]["digest"])')"

"$DUET" push --store "$W/store" -C "$W/p" "$REGISTRY/team/app:1" >"$W/again" 2>"$W/err"
is 'again: the same digest' "$(cat "$W/again")" "$digest"
is 'again: nothing but the manifest is sent' "$(asked PUT)" /v2/team/app/manifests/1
is 'again: no layer is told of' "$(grep -c 'push layer' "$W/err")" 0

is 'skopeo reads it' "$(skopeo inspect --tls-verify=false "docker://$REGISTRY/team/app:1" |
	$PYTHON -c 'import json, sys; i = json.load(sys.stdin); print(i["Labels"]["who"], *i["Env"])')" \
	'duet FROM=umoci ADDED=yes'
skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/team/app:1" "oci:$W/back:1" 2>"$W/err"
is 'skopeo copies it, every digest compared' $? 0

other=$("$DUET" pull --store "$W/other" "$REGISTRY/team/app:1" 2>"$W/err")
is 'a second pull elsewhere: the same id' "$other" "$id"
is 'and it runs' "$("$DUET" run --store "$W/other" -C "$W/p" 2>/dev/null)" made

# by name, and on: what was pulled is pushed with its own config
digest=$("$DUET" push --store "$W/other" "$REGISTRY/team/app:1" "$REGISTRY/copy/app:2" 2>"$W/err")
is 'a pulled image by its name: exit code' $? 0
is 'its config stays' "$(curl -s -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
	"http://$REGISTRY/v2/copy/app/manifests/2" |
	$PYTHON -c 'import json, sys; print(json.load(sys.stdin)["config"]["digest"])')" "$id"

# every digest is right, but the config names other layers than there are
$PYTHON - "http://$REGISTRY" "$W/raw" <<-'END' >"$W/liar" || exit 99
	import hashlib, json, sys, urllib.request
	base, manifest = sys.argv[1] + "/v2/team/app", json.load(open(sys.argv[2]))
	def ask(method, url, data=None, kind="application/octet-stream"):
	    request = urllib.request.Request(url, data, {"Content-Type": kind}, method=method)
	    return urllib.request.urlopen(request)
	config = json.load(ask("GET", base + "/blobs/" + manifest["config"]["digest"]))
	config["rootfs"]["diff_ids"][-1] = "sha256:" + 64 * "5"
	text = json.dumps(config).encode()
	digest = "sha256:" + hashlib.sha256(text).hexdigest()
	place = ask("POST", base + "/blobs/uploads/", b"").headers["Location"]
	ask("PUT", place + "&digest=" + digest, text)
	manifest["config"].update(digest=digest, size=len(text))
	ask("PUT", base + "/manifests/liar", json.dumps(manifest).encode(), manifest["mediaType"])
END
for runner in container vm all; do
	"$DUET" pull --on $runner --store "$W/liar-$runner" "$REGISTRY/team/app:liar" >"$W/out" 2>"$W/err"
	is "another diff-id, --on $runner: exit code" $? 1
	has "another diff-id, --on $runner" "$(cat "$W/err")" 'error[fetch.digest]: '
	is "another diff-id, --on $runner: no image, and no layer by that name" \
		"$(find "$W/liar-$runner/v1/images" "$W/liar-$runner"/v1/*/ -name '555555*' 2>/dev/null; cat "$W/out"
		ls "$W/liar-$runner/v1/images" 2>/dev/null)" ''
	no_leftovers "another diff-id, --on $runner" "$W/liar-$runner"
done

# what was exported, and a layout, as what an image begins with, and no more: the same id, also after gc
"$DUET" export --store "$W/store" -C "$W/p" --format docker-archive "$W/app.tar" 2>"$W/err"
mkdir "$W/q"
for from in "docker_archive: $W/app.tar" "layout: $W/back, tag: '1'"; do
	for name in one two; do
		printf 'duet: 1\nname: %s\nimage: {from: {%s}}\n' "$name" "$from" >"$W/q/duet.yaml"
		is "from {${from%%:*}} as $name" "$("$DUET" build --store "$W/third" -C "$W/q" 2>"$W/err")" "$id"
		"$DUET" gc --store "$W/third" >/dev/null 2>&1
	done
	is "from {${from%%:*}}: it runs" "$("$DUET" run --store "$W/third" -C "$W/q" 2>/dev/null)" made
done

# a mirror that has nothing is told of and passed by; one that has all leaves the registry in peace
origin=$REGISTRY origin_log=$REGISTRY_LOG
registry_start mirror
mirrors() {
	config "registries: {'$origin': {plain_http: true, mirrors: ['$REGISTRY']}, '$REGISTRY': {plain_http: true}}"
}
mirrors
is 'a mirror without it: the id' "$("$DUET" pull --store "$W/mirrored" "$origin/team/app:1" 2>"$W/err")" "$id"
has 'a mirror without it: that is told' "$(cat "$W/err")" "duet: warning: mirror $REGISTRY: "
skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$origin/team/app:1" \
	"docker://$REGISTRY/team/app:1"
: >"$origin_log"
is 'a mirror with it: the id' "$("$DUET" pull --store "$W/mirrored2" "$origin/team/app:1" 2>"$W/err")" "$id"
is 'a mirror with it: nothing is told' "$(grep -c warning "$W/err")" 0
is 'a mirror with it: the registry is not asked' "$(grep -c 'GET /v2/team' "$origin_log")" 0
REGISTRY=$origin
registry_allow

"$DUET" push --store "$W/store" nobody "$REGISTRY/team/app:1" >/dev/null 2>"$W/err"
is 'no such image: exit code' $? 2
has 'no such image' "$(cat "$W/err")" 'there is no image'
"$DUET" push --store "$W/store" -C "$W/p" "$REGISTRY/team/app@$id" >/dev/null 2>"$W/err"
is 'to a digest: exit code' $? 2
"$DUET" push --store "$W/store" -C "$W/p" "127.0.0.1:1/team/app:1" >/dev/null 2>"$W/err"
is 'nobody there: exit code' $? 1
has 'nobody there' "$(cat "$W/err")" 'error[fetch.failed]: push pushed to 127.0.0.1:1/team/app:1'
no_leftovers store "$W/store"
no_leftovers other "$W/other"
finish
