#!/bin/bash
# What duet exports: by the OCI schemas, and read by skopeo, umoci and podman; the same bytes each time.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99

need umoci skopeo
cp "$BUILD/tests/run/oci_probe" "$W/bin/" || skip 'oci_probe is not built'
cd "$W" || exit 1
mkdir -p project/site project/root/etc tmp
export TMPDIR=$W/tmp XDG_RUNTIME_DIR=$W/tmp DUET_STORE=$W/store
skopeo() {
	command skopeo --insecure-policy --tmpdir "$W/tmp" "$@"
}
echo root >project/root/etc/name
echo hello >project/site/index.html
ln project/site/index.html project/site/same.html
ln -s index.html project/site/link
cat >project/duet.yaml <<'END'
duet: 1
name: web
image:
  from: scratch
  steps:
    - copy: ./root
      to: /
    - copy: ./site
      to: /srv
      owner: 33:33
  config:
    environment: {A: b}
    user: "33"
    workdir: /srv
    entrypoint: [/bin/sh]
    command: [-c, "true"]
    labels: {org.x: "y z"}
END
on=
"$DUET" build -q -C project --on vm >build.log 2>&1 || on=none
[ -z "$on" ] || "$DUET" build -q -C project >build.log 2>&1 || {
	cat build.log
	not_ok 'build'
	finish
}

# ---- one tar, two formats -----------------------------------------------------------------------
is 'export' "$("$DUET" export -q -C project "$W/web.tar" 2>&1)" ''
is 'export by name' "$("$DUET" export -q --format oci web "$W/again.tar" 2>&1)" ''
is 'export for all' "$("$DUET" export -q --format docker-archive web "$W/plain.tar" 2>&1)" ''
is 'the same bytes' "$(sha256sum <web.tar)" "$(sha256sum <again.tar)"
is 'nothing beside it' "$(find . -maxdepth 1 -name '.*~')" ''
is 'names in order' "$(tar -tf web.tar)" "$(tar -tf web.tar | LC_ALL=C sort)"
has 'numeric owners, one time' "$(tar --numeric-owner --utc -tvf web.tar | grep -c ' 0/0 .* 1970-01-01 00:00')" \
	"$(tar -tf web.tar | wc -l)"
mkdir layout
tar -xf web.tar -C layout
is 'blobs are what they are called' \
	"$(cd layout/blobs/sha256 && sha256sum -- * | awk '$1 != $2')" ''
digest() {
	"$PYTHON" -c 'import json, sys
print(eval(sys.argv[2], {"d": json.load(open(sys.argv[1]))})[7:])' "$1" "$2"
}
manifest=layout/blobs/sha256/$(digest layout/index.json 'd["manifests"][0]["digest"]')
config=layout/blobs/sha256/$(digest "$manifest" 'd["config"]["digest"]')
# schema NAME SCHEMA FILE
schema() {
	"$PYTHON" "$SRC/tests/run/oci_schema.py" "$2" "$3" >schema.log 2>&1
	case $? in
	0) ok "$1" ;;
	77) echo "$1: left out: there are no schemas" ;;
	*) not_ok "$1: $(cat schema.log)" ;;
	esac
}
schema 'schema of the index' image-index-schema.json layout/index.json
schema 'schema of the manifest' image-manifest-schema.json "$manifest"
schema 'schema of the config' config-schema.json "$config"
schema 'schema of the layout' image-layout-schema.json layout/oci-layout
# the check bites
sed 's/"size": [0-9]*/"size": "x"/' "$manifest" >bad.json
if "$PYTHON" "$SRC/tests/run/oci_schema.py" image-manifest-schema.json bad.json >/dev/null 2>&1; then
	not_ok 'the schema lets a size pass that is a text'
fi

# ---- others read it -----------------------------------------------------------------------------
wanted=$("$DUET" images --json | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["images"][0]["id"])')
is 'the config is the image' "sha256:$(basename "$config")" "$wanted"
mkdir plain
tar -xf plain.tar -C plain
is 'plain blobs are what they are called' \
	"$(cd plain/blobs/sha256 && sha256sum -- * | awk '$1 != $2')" ''
schema 'schema of the plain manifest' image-manifest-schema.json \
	"plain/blobs/sha256/$(digest plain/index.json 'd["manifests"][0]["digest"]')"
for from in oci-archive:web.tar docker-archive:web.tar oci:layout:latest docker-archive:plain.tar \
	oci:plain:latest; do
	rm -rf out
	skopeo copy -q "$from" dir:out 2>skopeo.log || not_ok "skopeo copy $from: $(cat skopeo.log)"
	is "skopeo copy $from: the config" "$(digest out/manifest.json 'd["config"]["digest"]')" \
		"${wanted#sha256:}"
done
has 'skopeo inspect' "$(skopeo inspect oci-archive:web.tar)" '"org.x": "y z"'
# umoci of Debian 12 knows no zstd
umoci unpack --image plain:latest bundle >umoci.log 2>&1 || not_ok "umoci: $(cat umoci.log)"
if [ "$(id -u)" = 0 ]; then
	is 'umoci: content' "$(cat bundle/rootfs/srv/index.html bundle/rootfs/etc/name)" "hello
root"
	is 'umoci: owner' "$(stat -c %u:%g bundle/rootfs/srv/index.html)" 33:33
	has 'umoci: process' "$(cat bundle/config.json)" '"A=b"'
fi
if command -v podman >/dev/null; then
	podman() {
		command podman --root "$W/containers" --runroot "$W/tmp/run" --storage-driver vfs \
			--tmpdir "$W/tmp/libpod" "$@"
	}
	for file in web.tar plain.tar; do
		podman load -q -i $file >podman.log 2>&1 || not_ok "podman load: $(cat podman.log)"
		is "podman: the image of $file" "$(podman image inspect --format '{{.Id}}' localhost/web:latest)" \
			"${wanted#sha256:}"
	done
	is 'podman: its user' "$(podman image inspect --format '{{.Config.User}}' localhost/web)" 33
	for format in docker-archive oci-archive; do
		podman save -q --format $format -o saved-$format.tar localhost/web:latest 2>podman.log ||
			not_ok "podman save: $(cat podman.log)"
	done
	has 'podman save: read' "$("$W/bin/oci_probe" archive saved-docker-archive.tar web:latest 2>/dev/null)" \
		"config $wanted"
	has 'podman save: an OCI archive is none' \
		"$("$W/bin/oci_probe" archive saved-oci-archive.tar '' 2>&1)" 'manifest.json'
	mkdir saved
	tar -xf saved-oci-archive.tar -C saved
	has 'podman save: a whole reference as tag' \
		"$("$W/bin/oci_probe" layout saved/index.json latest 2>&1)" 'leads to '
	rm -rf "$W/containers" 2>/dev/null || command podman unshare rm -rf "$W/containers"
fi
has 'duet reads it, too' "$("$W/bin/oci_probe" archive web.tar latest 2>/dev/null)" "config $wanted"

# ---- the root -----------------------------------------------------------------------------------
is 'export tar' "$("$DUET" export -q --format tar web "$W/root.tar" 2>&1)" ''
is 'export tar again' "$("$DUET" export -q --format tar web "$W/root2.tar" 2>&1)" ''
is 'the same tar' "$(sha256sum <root.tar)" "$(sha256sum <root2.tar)"
has 'owners' "$(tar --numeric-owner -tvf root.tar)" ' 33/33 '
has 'links' "$(tar -tvf root.tar)" 'link -> index.html'
is 'content' "$(tar -xOf root.tar srv/index.html etc/name 2>&1 || tar -xOf root.tar ./srv/index.html ./etc/name)" "root
hello"
is 'export erofs' "$("$DUET" export -q --format erofs web "$W/root.erofs" 2>&1)" ''
if command -v fsck.erofs >/dev/null; then
	is 'fsck.erofs' "$(fsck.erofs root.erofs >/dev/null 2>fsck.log; echo $?; cat fsck.log)" 0
fi

# ---- a root with all that a tar can hold --------------------------------------------------------
if [ "$(id -u)" = 0 ] && command -v setfattr setcap >/dev/null; then
	mkdir -p nasty/root/d
	(
		cd nasty/root || exit 1
		echo a >d/a
		ln d/a d/b
		ln d/a z
		ln -s ../x l
		echo long >"$(printf 'n%.0s' {1..180})"
		cp "$(type -P true)" su
		chmod 4755 su
		setcap cap_net_raw+ep su
		setfattr -n user.k -v v d/a
		chown -h 1000:7000 d/a l
		touch -d '2001-02-03 04:05:06.7 UTC' d/a
		chmod 1777 d
	)
	printf 'duet: 1\nname: nasty\nimage:\n  from: {directory: ./root}\n' >nasty/duet.yaml
	is 'nasty: build' "$("$DUET" build -q -C nasty 2>&1 >/dev/null)" ''
	is 'nasty: export' "$("$DUET" export -q -C nasty --format tar nasty.tar 2>&1)" ''
	mkdir nasty/out
	tar -C nasty/out --xattrs --xattrs-include='*' --numeric-owner -xpf nasty/nasty.tar
	is 'nasty: the same tree' "$("$PYTHON" "$SRC/tests/run/tree_list.py" nasty/out)" \
		"$("$PYTHON" "$SRC/tests/run/tree_list.py" nasty/root)"
fi

# ---- layers that the store has no blob of, or one that OCI does not know ---------------------------
mkdir -p local/root/bin
echo local >local/root/bin/file
tar -C local/root -cf local/plain.tar .
gzip -nk local/plain.tar
xz -k local/plain.tar
zstd -q local/plain.tar
plain_id=sha256:$(sha256sum <local/plain.tar | cut -d ' ' -f 1)
for kind in plain.tar plain.tar.gz plain.tar.xz plain.tar.zst; do
	printf 'duet: 1\nname: local\nimage:\n  from: {archive: ./%s}\n' $kind >local/duet.yaml
	id=$("$DUET" build -q -C local 2>&1)
	is "$kind: the store has no copy" "$(find store/v1/blobs -name "$(sha256sum <local/$kind | cut -d ' ' -f 1)")" ''
	for format in oci docker-archive erofs; do
		is "$kind: export $format" "$("$DUET" export -q --format $format local "$W/local/out.$format" 2>&1; echo $?)" 0
	done
	rm -rf out
	skopeo copy -q oci-archive:local/out.oci dir:out 2>skopeo.log || not_ok "$kind: skopeo: $(cat skopeo.log)"
	is "$kind: it is the image" "sha256:$(digest out/manifest.json 'd["config"]["digest"]')" "$id"
	is "$kind: its layer is that tar" "$(skopeo inspect --config docker-archive:local/out.docker-archive |
		"$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["rootfs"]["diff_ids"][0])')" "$plain_id"
	case $kind in
	plain.tar) type=tar ;;
	*.gz) type=tar+gzip ;;
	*) type=tar+zstd ;;
	esac
	has "$kind: its media type" "$(cat out/manifest.json)" "image.layer.v1.$type\""
	is "$kind: content" "$(tar -xOf out/"$(digest out/manifest.json 'd["layers"][0]["digest"]')" ./bin/file)" local
	before=$(sha256sum <local/out.oci)
	sleep 2.1
	"$DUET" gc -q --all >/dev/null 2>&1
	"$DUET" build -q -C local >/dev/null 2>&1
	is "$kind: export after gc" "$("$DUET" export -q local "$W/local/out.oci" 2>&1; echo $?)" 0
	is "$kind: the same bytes" "$(sha256sum <local/out.oci)" "$before"
	# a step that puts all of it at / is that layer, too
	printf 'duet: 1\nname: step\nimage: {from: scratch, steps: [{archive: ./%s, to: /}]}\n' $kind >local/step.yaml
	sleep 2.1
	"$DUET" gc -q --all >/dev/null 2>&1
	"$DUET" build -q -C local -f step.yaml >/dev/null 2>&1
	is "$kind, as a step: export" "$("$DUET" export -q step "$W/local/step.oci" 2>&1; echo $?)" 0
	is "$kind, as a step: its layer is that tar" "$(skopeo inspect --config oci-archive:local/step.oci |
		"$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["rootfs"]["diff_ids"])')" "['$plain_id']"
done
# a step that leaves everything where it is, is that archive, too
echo step >local/root/bin/file
tar -C local/root -cf local/step.tar .
printf 'duet: 1\nname: local\nimage:\n  from: {archive: ./plain.tar.gz}\n  steps: [{archive: ./step.tar}]\n' \
	>local/step.yaml
"$DUET" build -q -C local -f step.yaml >/dev/null 2>&1
is 'an archive as a step: export' "$("$DUET" export -q local "$W/local/step.oci" 2>&1; echo $?)" 0
"$DUET" gc -q --all >/dev/null 2>&1
"$DUET" build -q -C local >/dev/null 2>&1
mv local/plain.tar.zst local/moved
has 'an archive that is gone' "$("$DUET" export -q local "$W/local/out.oci" 2>&1)" \
	"error[host.system]: export: open $W/local/plain.tar.zst: No such file or directory"
cp local/plain.tar local/plain.tar.zst
told=$("$DUET" export -q local "$W/local/out.oci" 2>&1)
has 'an archive that is another one' "$told" \
	"error[fetch.digest]: export: $W/local/plain.tar.zst: these are other bytes than were named"
has 'and what to do' "$told" 'put it back as it was'
is 'what was exported stays' "$(sha256sum <local/out.oci)" "$before"
mv local/moved local/plain.tar.zst
is 'and put back' "$("$DUET" export -q local "$W/local/out.oci" 2>&1)" ''
# a blob that has rotted, of which another form is made
printf 'duet: 1\nname: rotten\nimage:\n  from: {docker_archive: ./local.tar}\n' >local/rotten.yaml
echo sound >local/root/bin/file
tar -C local/root -cf local/plain.tar .
printf 'duet: 1\nname: local\nimage:\n  from: {archive: ./plain.tar}\n' >local/duet.yaml
"$DUET" build -q -C local >/dev/null 2>&1
"$DUET" export -q --format docker-archive local "$W/local/local.tar"
"$DUET" build -q -C local -f rotten.yaml --on container >/dev/null 2>&1
rotten=$(find store/v1/blobs -type f -exec grep -l sound {} +)
chmod u+w "$rotten"
sed -i 's/sound/found/' "$rotten"
told=$("$DUET" export -q --format tar rotten "$W/local/rotten.tar" 2>&1)
has 'a rotten blob: export' "$told" 'error[fetch.digest]'
has 'a rotten blob: the mend' "$told" 'duet store check'
[ -e local/rotten.tar ] && not_ok 'a rotten blob: it was exported' || ok
has 'a rotten blob: it is found' "$("$DUET" store check 2>&1)" 'digest differs'
"$DUET" build -q -C local -f rotten.yaml --on container >/dev/null 2>&1
is 'a rotten blob: made again' "$("$DUET" export -q --format tar rotten "$W/local/rotten.tar" 2>&1; echo $?)" 0
rotten=$(find store/v1/blobs -type f -exec grep -l sound {} +)
rm -f "$rotten"
"$DUET" build -q -C local -f rotten.yaml --on container >/dev/null 2>&1
is 'a lost blob: made again' "$("$DUET" export -q rotten "$W/local/rotten.oci" 2>&1; echo $?)" 0
"$DUET" build -q -C project >/dev/null 2>&1

# ---- what it is called --------------------------------------------------------------------------
mkdir two
cp -r project/root two/
printf '%s\n' 'duet: 1' 'name: two' 'images: {part: {from: {directory: root}}}' \
	'image: {from: scratch, steps: [{copy: /etc/name, from: part, to: /name}]}' >two/duet.yaml
"$DUET" build -q -C two ${on:+--on vm} >build.log 2>&1 || not_ok "two: $(cat build.log)"
"$DUET" export -q two/part part.tar || not_ok 'export an image beside'
has 'an image of a spec is on localhost' "$(tar -xOf part.tar manifest.json)" '"localhost/two/part:latest"'

# another project of the same name is not given away by mistake
cp -r two other
echo more >other/root/etc/name
"$DUET" build -q -C other ${on:+--on vm} >build.log 2>&1 || not_ok "other: $(cat build.log)"
got=$("$DUET" export -q -C two other.tar 2>&1)
is 'built last from another spec: exit code' $? 2
has 'built last from another spec' "$got" "export: the image \`two\` of the store was built from $W/other/duet.yaml"
[ ! -e other.tar ] || not_ok 'built last from another spec: written all the same'
has 'built last from another spec: pushed' "$("$DUET" push -C two 127.0.0.1:1/two:1 2>&1)" 'was built from'
is 'by its name it is' "$("$DUET" export -q two other.tar 2>&1)" ''
cp two/root/etc/name other/root/etc/name
for project in other two; do
	"$DUET" build -q -C $project ${on:+--on vm} >build.log 2>&1
	is "the same image of two specs: $project built it last" \
		"$("$DUET" export -q -C $project other.tar 2>&1)" ''
done
is 'whose it is' "$("$DUET" inspect two | sed -n 's/^spec *//p')" "$W/two/duet.yaml"

# ---- what is no file ----------------------------------------------------------------------------
mkfifo pipe
for format in oci:web.tar docker-archive:plain.tar tar:root.tar; do
	timeout 20 cat pipe >got.tar &
	is "${format%:*} into a pipe" "$("$DUET" export -q --format "${format%:*}" web pipe 2>&1)" ''
	wait $!
	is "${format%:*} into a pipe: the same bytes" "$(sha256sum <got.tar)" \
		"$(sha256sum <"${format#*:}")"
	is "${format%:*} to standard output" \
		"$("$DUET" export -q --format "${format%:*}" web - | sha256sum)" \
		"$(sha256sum <"${format#*:}")"
done
is 'the pipe is one still' "$(stat -c %F pipe)" fifo
[ ! -e ./- ] || not_ok 'a file is called -'
ln -s linked.tar link.tar
: >linked.tar
is 'through a link' "$("$DUET" export -q web link.tar 2>&1)" ''
is 'through a link: the link stays' "$(readlink link.tar)" linked.tar
is 'through a link: the same bytes' "$(sha256sum <linked.tar)" "$(sha256sum <web.tar)"
timeout 20 cat pipe >got.tar &
has 'an EROFS image into a pipe' "$("$DUET" export -q --format erofs web pipe 2>&1)" \
	'an EROFS image is not written in one go'
wait $!
has 'a folder' "$("$DUET" export -q web tmp 2>&1)" 'tmp: Is a directory'
[ "$("$DUET" export -q web - 2>&1 >/dev/full)" = "" ] && not_ok 'a full device'

# ---- whoever runs duet --------------------------------------------------------------------------
for who in $(all_users); do
	case $who in
	root | self) continue ;;
	esac
	make_user "$who" || continue
	mkdir "$W/by-$who"
	chown "duet-$who-$$" "$W/by-$who"
	as "$who" env DUET_STORE="$W/by-$who/store" "$DUET" build -q -C project >user.log 2>&1 ||
		not_ok "$who: build: $(cat user.log)"
	for kind in oci:web.tar docker-archive:plain.tar tar:root.tar erofs:root.erofs; do
		is "$who: export ${kind%:*}" "$(as "$who" env DUET_STORE="$W/by-$who/store" "$DUET" \
			export -q --format "${kind%:*}" web "$W/by-$who/out" 2>&1)" ''
		is "$who: ${kind%:*}: the same bytes as root's" "$(sha256sum <"by-$who/out")" \
			"$(sha256sum <"${kind#*:}")"
	done
done

# ---- what fails ---------------------------------------------------------------------------------
has 'no such image' "$("$DUET" export nothing x.tar 2>&1)" 'there is no image `nothing`'
mkdir full
head -c 3000000 /dev/urandom >project/root/big
for size in 1500k 5m; do # too small for the layer's blob, and for its tree or disk beside it
	got=$(unshare -m sh -c 'mount -t tmpfs -o size=$1 tmpfs full && exec "$0" build -q -C project --store "$PWD/full/s"' \
		"$DUET" $size 2>&1) && continue
	case $got in
	*'mount: '* | *unshare*) break ;;
	esac
	has "a full disk, $size" "$got" 'No space left on device'
	has "a full disk, $size: the mend" "$got" 'duet gc'
done
has 'no such format' "$("$DUET" export --format zip web x.tar 2>&1)" 'docker-archive'
has 'no such folder' "$("$DUET" export web nowhere/x.tar 2>&1)" 'nowhere/x.tar'
chmod -R u+w store/v1/blobs
find store/v1/blobs -type f -size +0 -exec truncate -s 1 {} +
has 'a torn blob' "$("$DUET" export web web.tar 2>&1)" 'build the image again'
is 'what was there stays' "$(sha256sum <web.tar)" "$(sha256sum <again.tar)"
is 'nothing is left' "$(find . -maxdepth 1 -name '.*~')" ''
finish
