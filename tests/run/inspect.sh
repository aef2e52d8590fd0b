#!/bin/bash
# What duet tells of an image of the store; and the config.json of a bundle, by the schema, and started.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99

small_root
cd "$W" || exit 1
mkdir -p project tmp
export DUET_STORE=$W/store
mv "$SMALL" project/root
mkdir -p project/root/dev project/root/proc project/root/sys project/root/srv
printf 'root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:web:/srv:/bin/sh\n' >project/root/etc/passwd
printf 'root:x:0:\nweb:x:44:\nextra:x:55:web\n' >project/root/etc/group
cat >project/duet.yaml <<'END_SPEC'
duet: 1
name: web
image:
  from: {directory: ./root}
  config:
    environment: {A: "b\e[1m"}
    user: web
    workdir: /srv
    entrypoint: [/bin/sh]
    command: [-c, 'id -u; id -G; echo "$HOME $A"; pwd; umask; echo x >/proc/sys/kernel/hostname; exit 7']
    labels: {org.x: "y z"}
END_SPEC
id=$("$DUET" build -q -C project 2>build.log) || {
	cat build.log
	not_ok 'build'
	finish
}
# value FILE EXPRESSION: of the JSON in FILE, which is d
value() {
	"$PYTHON" -c 'import json, sys
print(eval(sys.argv[2], {"d": json.load(open(sys.argv[1]))}))' "$1" "$2"
}

# ---- as text and as JSON ------------------------------------------------------------------------
text=$("$DUET" inspect -C project 2>&1)
has 'the name' "$text" 'name         web'
has 'the id' "$text" "id           $id"
has 'a word a line' "$text" 'command      -c
command      id -u;'
has 'escaped' "$text" 'environment  A=b\x1b[1m'
has 'the forms' "$text" 'as blob, tree
'
is 'by name' "$("$DUET" inspect web 2>&1)" "$text"
"$DUET" inspect --json web >web.json
is 'JSON: the id' "$(value web.json 'd["id"]')" "$id"
is 'JSON: the process' "$(value web.json 'd["process"]["entrypoint"], d["process"]["user"], d["process"]["labels"]')" \
	"(['/bin/sh'], 'web', {'org.x': 'y z'})"
is 'JSON: the config' "$(value web.json 'd["config"]["config"]["Env"][0]')" "$(printf 'A=b\033[1m')"
is 'JSON: a layer' \
	"$(value web.json '[[l["diff_id"] for l in d["layers"]] == d["config"]["rootfs"]["diff_ids"], d["layers"][0]["forms"]]')" \
	"[True, ['blob', 'tree']]"
blob=$(value web.json 'd["layers"][0]["blob"][7:]')
is 'JSON: bytes of the blob' "$(value web.json 'd["layers"][0]["blob_bytes"]')" \
	"$(stat -c %s "store/v1/blobs/sha256/${blob:0:2}/$blob")"

# ---- the config of a bundle ---------------------------------------------------------------------
"$DUET" inspect --format oci-runtime web >config.json 2>config.log
is 'oci-runtime' "$(cat config.log)" ''
is 'its user' "$(value config.json 'd["process"]["user"]')" \
	"{'uid': 33, 'gid': 44, 'umask': 18, 'additionalGids': [55]}"
is 'its rights' "$(value config.json '[d["process"]["capabilities"]["effective"], len(d["process"]["capabilities"]["bounding"]), d["process"]["noNewPrivileges"]]')" \
	'[[], 7, True]'
is 'its guest' "$(value config.json '[d["vm"]["kernel"]["path"], d["vm"]["image"]]')" \
	"['vmlinux', {'path': 'root.erofs', 'format': 'raw'}]"
has 'what is masked' "$(value config.json 'd["linux"]["maskedPaths"]')" '/proc/kcore'
is 'no path of the host' "$(grep -c "$W" config.json)" 0
"$PYTHON" "$SRC/tests/run/oci_schema.py" runtime-spec/config-schema.json config.json >schema.log 2>&1
case $? in
0)
	ok 'the schema'
	# the check bites
	for wrong in 's/"format": "raw"/"format": "erofs"/' 's/"uid": 33/"uid": "web"/' \
		's/"type": "pid"/"type": "pids"/'; do
		sed "$wrong" config.json >bad.json
		"$PYTHON" "$SRC/tests/run/oci_schema.py" runtime-spec/config-schema.json bad.json \
			>/dev/null 2>&1 && not_ok "the schema lets pass: $wrong"
	done ;;
77) echo 'left out: there are no schemas of runtime-spec' ;;
*) not_ok "the schema: $(cat schema.log)" ;;
esac

# ---- runtimes start it --------------------------------------------------------------------------
wanted="33
44 55
/srv $(printf 'b\033[1m')
/srv
0022
7"
mkdir -p bundle/rootfs
cp config.json bundle/
"$DUET" export -q --format tar web root.tar || not_ok 'export'
if [ "$(id -u)" = 0 ]; then
	tar -C bundle/rootfs --numeric-owner -xpf root.tar
	for runtime in runc crun; do
		command -v $runtime >/dev/null || continue
		got=$($runtime --root "$W/tmp/$runtime" run -b bundle "duet-test-$$" 2>run.log; echo $?)
		case $(cat run.log) in
		*'cgroups in hybrid mode not supported'*)
			echo "$runtime: left out: it knows no hybrid cgroups"
			continue ;;
		esac
		is "$runtime: the job" "$got" "$wanted"
		has "$runtime: /proc/sys is read-only" "$(cat run.log)" '/proc/sys/kernel/hostname'
	done
fi
is 'duet: the same job' "$("$DUET" run -q -C project 2>/dev/null; echo $?)" "$wanted"

# ---- run without a spec ------------------------------------------------------------------------
is 'run --image' "$("$DUET" run -q --image web 2>/dev/null; echo $?)" "$wanted"
is 'run --image: a command goes behind the entrypoint' \
	"$("$DUET" run -q --image web -- -c 'echo "$0"; exit 3' x 2>&1; echo $?)" 'x
3'
has 'run --image: explained' "$("$DUET" run --image web --explain 2>&1)" '/proc/kcore'
has 'run --image: none, and no registry' \
	"$("$DUET" run -q --image 127.0.0.1:1/web -- true 2>&1; echo $?)" '
125'
has 'run --image: no reference' "$("$DUET" run --image 'W b' 2>&1; echo $?)" 'there is no image `W b`'
has 'run --image: with a spec' "$("$DUET" run -f x.yaml --image web 2>&1; echo $?)" 'neither -f nor'
is 'no lock is written' "$(find . -maxdepth 1 -name '*.lock')" ''

# ---- an image with disks alone, and one that says nothing ---------------------------------------
is 'in a store of disks: build' "$("$DUET" export -q --store "$W/store" --format erofs web x.erofs 2>&1)" ''
has 'both forms' "$("$DUET" inspect web)" 'as blob, tree, erofs'
chmod -R u+w store/v1/trees && rm -rf store/v1/trees
has 'a disk alone' "$("$DUET" inspect web)" 'as blob, erofs'
"$DUET" inspect --format oci-runtime web >disk.json 2>&1
is 'the user out of a disk' "$(cat disk.json)" "$(cat config.json)"
printf 'duet: 1\nname: mute\nimage:\n  from: {directory: ./root}\n' >project/mute.yaml
"$DUET" build -q -C project -f mute.yaml >/dev/null 2>build.log || not_ok "mute: $(cat build.log)"
has 'mute: a note' "$("$DUET" inspect --format oci-runtime mute 2>&1 >mute.json)" '/bin/sh'
is 'mute: a shell' "$(value mute.json 'd["process"]["args"], d["process"]["capabilities"]["effective"][0]')" \
	"(['/bin/sh'], 'CAP_CHOWN')"

# ---- what fails ---------------------------------------------------------------------------------
has 'no such image' "$("$DUET" inspect nothing 2>&1)" 'there is no image `nothing`'
has 'no such image, escaped' "$("$DUET" inspect "$(printf 'a\033b')" 2>&1)" 'a\x1bb'
has 'no such format' "$("$DUET" inspect --format oci web 2>&1)" 'oci-runtime'
sed -i 's/user: web/user: nobody-here/' project/duet.yaml
"$DUET" build -q -C project >/dev/null 2>build.log
has 'no such user' "$("$DUET" inspect --format oci-runtime web 2>&1)" 'nobody-here'
finish
