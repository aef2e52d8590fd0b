#!/bin/bash
# shellcheck disable=SC2015 # ok always succeeds
# A registry as Debian has it, on 127.0.0.1: what duet's worker pulls from it and pushes to it, against
# what skopeo made of the same. Once open to all, once with passwords, once with TLS.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
# shellcheck source=tests/run/registry_lib.sh
. "${srcdir:-.}/tests/run/registry_lib.sh" || exit 99

need docker-registry skopeo umoci htpasswd curl
PROBE=$BUILD/tests/run/registry_probe
export DUET_LIBEXEC=$W/bin
# probe ARG...: with its output in $OUT, errors too, and its exit code in $CODE
probe() {
	OUT=$(timeout 60 "$PROBE" --plain-http "$@" 2>&1)
	CODE=$?
}

digest_of_file() {
	echo "sha256:$(sha256sum <"$1" | cut -d' ' -f1)"
}

# descriptors FILE: "DIGEST SIZE" of a manifest's config and layers
descriptors() {
	$PYTHON -c 'import json, sys
m = json.load(open(sys.argv[1]))
for d in [m["config"]] + m["layers"]: print(d["digest"], d["size"])' "$1"
}

# ---- images --------------------------------------------------------------------------------------
mkdir -p "$W/files/etc"
head -c 3000000 /dev/urandom >"$W/files/big"
echo hello >"$W/files/etc/hello"
umoci init --layout "$W/layout" && umoci new --image "$W/layout:v1" &&
	umoci insert --image "$W/layout:v1" "$W/files" /data &&
	umoci insert --image "$W/layout:v1" "$W/files/etc" /more || {
	echo 'umoci makes no image'
	exit 99
}

registry_start open
open=$REGISTRY
for format in oci v2s2; do
	skopeo copy -q --format $format --dest-tls-verify=false "oci:$W/layout:v1" \
		"docker://$open/team/web:$format" || exit 99
done

# ---- pulling -------------------------------------------------------------------------------------
oci_type=application/vnd.oci.image.manifest.v1+json
docker_type=application/vnd.docker.distribution.manifest.v2+json
for format in oci v2s2; do
	skopeo inspect --raw --tls-verify=false "docker://$open/team/web:$format" >"$W/wanted.json"
	wanted=$(digest_of_file "$W/wanted.json")
	type=$oci_type
	[ $format = oci ] || type=$docker_type
	probe "$open" team/web manifest $format "$W/$format.json"
	is "$format: manifest by tag" "$CODE $OUT" \
		"0 manifest $wanted $(stat -c %s "$W/wanted.json") $type"
	cmp -s "$W/$format.json" "$W/wanted.json" && ok same || not_ok "$format: other bytes than skopeo has"
	rm -f "$W/again.json"
	probe "$open" team/web manifest "$wanted" "$W/again.json"
	is "$format: manifest by digest" "$CODE" 0

	# all blobs at the same time, one of them with a reader beside it
	set -- tee
	while read -r digest size; do
		set -- "$@" "$digest" "$size" "$W/$format-${digest#sha256:}"
		[ $# != 4 ] || set -- "$@" "$W/$format.copy"
		set -- "$@" blob
	done < <(descriptors "$W/$format.json")
	set -- "${@:1:$#-1}"
	probe "$open" team/web "$@"
	is "$format: blobs" "$CODE" 0
	while read -r digest _; do
		is "$format: $digest" "$(digest_of_file "$W/$format-${digest#sha256:}")" "$digest"
		has "$format: it is told" "$OUT" "blob $digest "
	done < <(descriptors "$W/$format.json")
	is "$format: what came through the pipe" "$(digest_of_file "$W/$format.copy")" "$2"
done

# what is there already is not asked for again, but the pipe gets it too
read -r digest size < <(descriptors "$W/oci.json" | sed -n 2p)
file=$W/oci-${digest#sha256:}
for keep in 0 1 1000000 "$size"; do
	head -c "$keep" "$file" >"$W/part"
	probe "$open" team/web tee "$digest" "$size" "$W/part" "$W/copy"
	is "taken up at $keep" "$CODE $(digest_of_file "$W/part") $(digest_of_file "$W/copy")" \
		"0 $digest $digest"
	sent=$(grep "GET /v2/team/web/blobs/$digest" "$W/registry-open/log" | grep -v level= | tail -n 1 |
		awk '{ print $10 }')
	[ "$keep" = "$size" ] || is "bytes that were sent from $keep" "$sent" $((size - keep))
done
# a reader that goes away after its first bytes takes nothing with it
rm -f "$W/part"
probe "$open" team/web tee "$digest" "$size" "$W/part" /dev/full blob "$digest" "$size" "$W/part2"
is 'a reader that goes away' "$CODE $(digest_of_file "$W/part") $(digest_of_file "$W/part2")" \
	"0 $digest $digest"
# rubbish in the file: it is found, and all of it is fetched
head -c 1000000 /dev/zero >"$W/part"
probe "$open" team/web blob "$digest" "$size" "$W/part"
is 'a file with other bytes' "$CODE $(digest_of_file "$W/part")" "0 $digest"

probe "$open" team/web manifest nosuch "$W/none"
has 'no such tag' "$CODE $OUT" '1 error[fetch.failed]: '
has 'no such tag: says so' "$OUT" 'there is no such image (404); the registry says: MANIFEST_UNKNOWN'
probe "$open" team/none manifest latest "$W/none"
has 'no such repository' "$CODE $OUT" '1 error[fetch.failed]: '
probe "$open" team/web manifest-of oci "$digest" "$W/none"
has 'another digest than expected' "$CODE $OUT" '1 error[fetch.digest]: '
probe "$open" team/web blob "$digest" $((size - 1)) "$W/none"
has 'a blob that is too long' "$CODE $OUT" '1 error[fetch.digest]: '
probe "$open" team/web blob "$digest" $((size + 1)) "$W/none2"
has 'a blob that is too short' "$CODE $OUT" '1 error[fetch.digest]: '
OUT=$(timeout 60 "$PROBE" --quick "$open" team/web manifest oci "$W/none" 2>&1)
has 'https, where there is none, is not http' "$? $OUT" 'error[fetch.failed]: '
is 'nothing without TLS was asked for' "$(grep -c 'team/web/manifests/oci.*duet.*none' \
	"$W/registry-open/log")" 0

# ---- pushing -------------------------------------------------------------------------------------
head -c 70000000 /dev/urandom >"$W/large"
: >"$W/empty"
probe --push "$open" copies/web put-blob "$W/large" put-blob "$W/empty" put-blob "$W/large"
is 'a large blob in pieces, an empty one' "$CODE" 0
is 'pieces' "$(grep -v level= "$W/registry-open/log" | grep -c '"PATCH /v2/copies/web/')" 1
is 'what is there is not sent again' \
	"$(grep -v level= "$W/registry-open/log" | grep -c '"PUT /v2/copies/web/')" 2
for file in large empty; do
	rm -f "$W/back"
	probe "$open" copies/web blob "$(digest_of_file "$W/$file")" "$(stat -c %s "$W/$file")" "$W/back"
	cmp -s "$W/back" "$W/$file" && ok back || not_ok "$file does not come back as it was: $OUT"
done

set --
while read -r digest _; do
	set -- "$@" mount-blob "$W/oci-${digest#sha256:}" team/web
done < <(descriptors "$W/oci.json")
probe --push "$open" copies/web "$@" put-manifest v1 $oci_type "$W/oci.json"
is 'an image, its blobs mounted' "$CODE" 0
is 'none was sent' "$(grep -v level= "$W/registry-open/log" | grep -c '"PUT /v2/copies/web/blobs')" 2
is 'skopeo sees the same manifest' \
	"$(skopeo inspect --raw --tls-verify=false "docker://$open/copies/web:v1" | sha256sum)" \
	"$(sha256sum <"$W/oci.json")"
skopeo copy -q --src-tls-verify=false "docker://$open/copies/web:v1" "oci:$W/back-layout:v1" &&
	ok 'skopeo takes all of it' || not_ok 'skopeo does not take all of it'
probe "$open" copies/web put-blob "$W/empty"
has 'no pushing without --push' "$CODE $OUT" '1 error[worker.failed]'
digest=$(descriptors "$W/oci.json" | cut -d' ' -f1 | tail -n 1)
sed "s/$digest/sha256:$(printf '%064d' 0)/" "$W/oci.json" >"$W/bad.json"
probe --push "$open" copies/web put-manifest v2 $oci_type "$W/bad.json"
has 'a manifest that the registry refuses' "$CODE $OUT" '1 error[fetch.failed]'
has 'why it refuses it' "$OUT" 'the registry says: MANIFEST_BLOB_UNKNOWN'

# ---- passwords -----------------------------------------------------------------------------------
registry_start closed 'auth=alice:s3cret:with colon'
with_login() {
	probe --user alice --secret 's3cret:with colon' "$@"
}
with_login --push "$REGISTRY" team/web put-blob "$W/empty"
is 'pushed with a password' "$CODE" 0
while read -r digest _; do
	with_login --push "$REGISTRY" team/web put-blob "$W/oci-${digest#sha256:}"
	is "pushed with a password: $digest" "$CODE" 0
done < <(descriptors "$W/oci.json")
with_login --push "$REGISTRY" team/web put-manifest v1 $oci_type "$W/oci.json"
is 'a manifest with a password' "$CODE" 0
rm -f "$W/back.json"
with_login "$REGISTRY" team/web manifest v1 "$W/back.json"
is 'pulled with a password' "$CODE $(digest_of_file "$W/back.json")" "0 $(digest_of_file "$W/oci.json")"
probe "$REGISTRY" team/web manifest v1 "$W/none"
has 'nobody gets nothing' "$CODE $OUT" '1 error[auth.refused]: '
has 'nobody: the mend' "$OUT" "mend: duet login $REGISTRY"
probe --user alice --secret wrong "$REGISTRY" team/web manifest v1 "$W/none"
has 'a wrong password' "$CODE $OUT" '1 error[auth.refused]: '
probe --user mallory --secret wrong --push "$REGISTRY" team/web put-blob "$W/large"
has 'a wrong user pushes nothing' "$CODE $OUT" '1 error[auth.refused]: '
is 'secrets are in no message' "$(grep -c 's3cret' <<<"$OUT")" 0

# ---- TLS -----------------------------------------------------------------------------------------
certificate other
registry_start secure tls
skopeo copy -q --dest-tls-verify=false "oci:$W/layout:v1" "docker://$REGISTRY/team/web:v1" || exit 99
: >"$REGISTRY_LOG"
# over_tls CERTIFICATE: what it is that the worker believes in
over_tls() {
	rm -f "$W/back.json"
	OUT=$(SSL_CERT_FILE=$1 timeout 60 "$PROBE" --quick "$REGISTRY" team/web manifest v1 "$W/back.json" 2>&1)
	CODE=$?
}
over_tls "$W/other.crt"
has 'a certificate of somebody else' "$CODE $OUT" '1 error[fetch.failed]: '
is 'a certificate of somebody else: nothing is written or asked' \
	"$([ ! -s "$W/back.json" ] || cat "$W/back.json"; grep -c 'GET /v2/team/web' "$REGISTRY_LOG")" 0
over_tls "$W/registry.crt"
is 'over TLS' "$CODE $(digest_of_file "$W/back.json")" "0 $(digest_of_file "$W/oci.json")"

# ---- memory --------------------------------------------------------------------------------------
peak=$(
	(
		timeout 60 "$PROBE" --plain-http "$open" copies/web \
			tee "$(digest_of_file "$W/large")" 70000000 "$W/m1" "$W/m1.copy" \
			tee "$(digest_of_file "$W/large")" 70000000 "$W/m2" "$W/m2.copy" \
			blob "$(digest_of_file "$W/large")" 70000000 "$W/m3" >/dev/null &
		most=0
		while kill -0 $! 2>/dev/null; do
			now=$(find /proc/[0-9]*/exe -lname "$W/bin/duet-worker" 2>/dev/null |
				sed 's,exe$,status,' | xargs -r sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' 2>/dev/null |
				sort -n | tail -n 1)
			[ "${now:-0}" -le "$most" ] || most=$now
		done
		echo $most
	)
)
[ "$peak" -gt 0 ] && [ "$peak" -lt 65536 ] && ok memory || not_ok "the worker took $peak KiB"
is 'no process is left' "$(find /proc/[0-9]*/exe -lname "$W/bin/*" 2>/dev/null)" ''
finish
