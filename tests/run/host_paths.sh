#!/bin/bash
# Every key of a spec that takes a path of the host, from the key table itself: outside the project it needs
# leave, however it gets there, and nothing of what is there is read before. A key without a recipe here
# is a failure: it comes with one on the day it comes.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
small_root
export HOME=$W/home XDG_CONFIG_HOME=$W/none
P=$W/project OUT=$W/outside
secret=secret-of-the-host-$$
mkdir -p "$P" "$OUT/tree" "$W/home"
pack "$SMALL" "$P/root.tar.gz"
echo "$secret" | tee "$OUT/tree/file" "$OUT/file" >/dev/null
echo "TOKEN=$secret" >"$OUT/env"
printf 'not a kernel' >"$OUT/vmlinuz-1.0"
printf 'not a keyring' >"$OUT/keys.gpg"
tar -C "$OUT/tree" -cf "$OUT/tree.tar" file
ln -s ../outside "$P/way"

# image_out FORMAT FILE: an image whose layer has the secret
image_out() {
	printf '%s\n' 'duet: 1' 'name: out' 'image: {from: {directory: ./tree}}' >"$OUT/duet.yaml"
	"$DUET" build -q --store "$W/store-out" -C "$OUT" >/dev/null &&
		"$DUET" export -q --store "$W/store-out" --format "$1" out "$2" || exit 99
}
image_out docker-archive "$OUT/docker.tar"
image_out oci "$W/oci.tar"
mkdir "$OUT/layout"
tar -C "$OUT/layout" -xf "$W/oci.tar"
rm -r "$OUT/duet.yaml" "$W/store-out" "$W/oci.tar"

# image LINES, target LINES: the spec; with target it can be run
image() {
	printf '%s\n' 'duet: 1' 'name: host-paths' 'image:' "$@" >"$P/duet.yaml"
}

target() {
	printf '%s\n' 'duet: 1' 'name: host-paths' 'image: {from: {archive: ./root.tar.gz}}' 'target:' "$@" \
		>"$P/duet.yaml"
}

# recipe OBJECT.KEY PATH: writes a spec in which that key has the path, and sets
#	command	what uses it: `build`, `run` or `vm`
#	what	the file of $OUT that the key takes, where PATH is empty: nothing is written then
#	works	where it reads it with leave: a word of what is shown or built; empty: any error but the gate's
#	final	`no` where a link in its place is taken as it is, and never followed
recipe() {
	command=build works=$secret final=yes
	case $1 in
	'from.archive archive') what='tree.tar'
		image "  from: {archive: \"$2\"}" ;;
	'from.debian keyring') what='keys.gpg' works=
		image "  from: {debian: bookworm, mirror: \"http://127.0.0.1:1\", keyring: \"$2\"}" ;;
	'from.directory directory') what='tree' final=no
		image "  from: {directory: \"$2\"}" ;;
	'from.layout layout') what='layout'
		image "  from: {layout: \"$2\"}" ;;
	'from.docker_archive docker_archive') what='docker.tar'
		image "  from: {docker_archive: \"$2\"}" ;;
	'step.archive archive') what='tree.tar'
		image '  from: scratch' '  steps:' "    - {archive: \"$2\", to: /o}" ;;
	'step.copy copy') what='file' final=no
		image '  from: scratch' '  steps:' "    - {copy: \"$2\", to: /o/}" ;;
	'secret.file file') what='file'
		image '  from: {archive: ./root.tar.gz}' '  steps:' \
			'    - {run: "cat /run/secrets/s >/o", secrets: [s]}' "secrets: {s: {file: \"$2\"}}" ;;
	'target env_file') what='env' command=run
		target "  env_file: \"$2\"" '  command: [env]' ;;
	'target mounts') what='tree' command=run
		target "  mounts: [\"$2:/m\"]" '  command: [cat, /m/file]' ;;
	'mount.bind bind') what='tree' command=run
		target "  mounts: [{bind: \"$2\", to: /m}]" '  command: [cat, /m/file]' ;;
	'vm kernel') what='vmlinuz-1.0' command=vm works=
		target "  vm: {kernel: \"$2\"}" ;;
	*)
		return 1 ;;
	esac
}

# try OPTIONS...: $code, all that is shown in $W/shown; the store is a new one
try() {
	rm -rf "$W/store"
	case $command in
	vm) set -- build --on vm "$@" ;;
	*) set -- "$command" "$@" ;;
	esac
	"$DUET" "$@" --store "$W/store" -C "$P" >"$W/shown" 2>&1 </dev/null
	code=$?
}

# What a spec must not get at, in what was shown or kept.
leaked() {
	grep -l "$secret" "$W/shown"
	grep -rl "$secret" "$W/store" 2>/dev/null
	find "$W/store/v1/blobs" -type f 2>/dev/null | while read -r blob; do
		tar -xOf "$blob" 2>/dev/null | grep -q "$secret" && echo "$blob"
	done
}

# refused NAME
refused() {
	is "$1: exit code" "$code" "$([ $command = run ] && echo 125 || echo 1)"
	has "$1: the gate, with the key's place" "$(sed 1q "$W/shown")" \
		"duet.yaml:$place: error[allow.missing]: reaches outside the project: "
	is "$1: nothing of it was read" "$(leaked)" ''
}

row Y5 check 'what reaches outside the project needs --allow'
row Y7 check 'host paths of a spec: every key of the table, by "..", /, links, and links that change'
"$BUILD/tests/golden/print_host_keys" >"$W/keys"
[ "$(wc -l <"$W/keys")" -ge 12 ] || not_ok 'the key table has fewer keys than there are recipes'
while read -r object key; do
	name="$object.$key"
	recipe "$object $key" '' || {
		not_ok "$name takes a path of the host, and has no recipe in this test"
		continue
	}
	word=paths
	case $key in
	mounts | bind) word=mounts ;;
	esac
	forms="../outside/$what $OUT/$what ./way/$what"
	[ $final = no ] || {
		ln -sfn "../outside/$what" "$P/link-$what"
		forms="$forms ./link-$what"
	}
	for form in $forms; do
		recipe "$object $key" "$form"
		# a mount is told of as a whole, and by its absolute path
		told=$form
		[ $word = paths ] || told=${form#.}
		place=$(awk -v form="$form" 'index($0, form) { print NR ":" index($0, form) - 1 }' "$P/duet.yaml")
		[ "$key" != bind ] || place=5:12
		try
		refused "$name: $form"
		try --allow "$word=$W/outsid,capabilities=CHOWN"
		refused "$name: $form: another word"
		"$DUET" plan --store "$W/store" -C "$P" >"$W/shown" 2>&1
		is "$name: $form: a plan takes no word" $? 0
		has "$name: $form: and lists it" "$(sed '1,/^reaches outside/d' "$W/shown")" "$told"
		is "$name: $form: without reading it" "$(leaked)" ''
		# a keyring takes leave for what it signs, too
		try --allow "$word=$OUT,mirrors"
		if [ -n "$works" ]; then
			is "$name: $form: with the word it works" "$code:$(leaked | head -n 1 | wc -l)" 0:1
			[ "$(leaked)" ]
			control_if $? 'with leave (--allow) the same spec reads it'
		else
			is "$name: $form: with the word it is opened" "$(grep -c 'allow.missing' "$W/shown")" 0
		fi
	done
	rm -f "$P/link-$what"
done <"$W/keys"

# ---- links that change while duet runs ------------------------------------------------------------
# A run step waits for a file in its cache; meanwhile the folder that was checked becomes a link. What comes
# behind the step opens by the name that was good before.
rm "$P/way"
mkdir -p "$P/way/sub" "$OUT/sub"
cp "$OUT/file" "$OUT/sub/file"
echo harmless | tee "$P/way/file" "$P/way/sub/file" "$P/way/other" >/dev/null
tar -C "$P/way" -cf "$P/way/tree.tar" other
waits='    - {run: "while ! [ -e /c/go ]; do sleep 0.01; done", cache: [/c]}'

# swapped NAME LINES: what is behind the step that waits is refused, and nothing of outside is in the store
swapped() {
	name=$1
	shift
	rm -rf "$W/store"
	image '  from: {archive: ./root.tar.gz}' '  steps:' "$waits" "$@"
	"$DUET" build --store "$W/store" -C "$P" >"$W/shown" 2>&1 </dev/null &
	builder=$!
	cache=
	while [ -z "$cache" ] && kill -0 $builder 2>/dev/null; do
		cache=$(find "$W/store/v1/caches" -type d -name data 2>/dev/null)
	done
	mv "$P/way" "$P/kept"
	ln -s ../outside "$P/way"
	[ -n "$cache" ] && touch "$cache/go"
	wait $builder
	code=$?
	command=build
	is "swapped: $name: exit code" $code 1
	has "swapped: $name: the gate again" "$(cat "$W/shown")" 'error[allow.missing]'
	is "swapped: $name: nothing of it was read" "$(leaked)" ''
	rm "$P/way"
	mv "$P/kept" "$P/way"
}

swapped copy '    - {copy: ./way/file, to: /o}'
swapped archive '    - {archive: ./way/tree.tar, to: /o}'
swapped 'secret file' '    - {run: "cat /run/secrets/s >/o", secrets: [s]}' 'secrets: {s: {file: ./way/file}}'
swapped 'a pattern' '    - {copy: "./way/sub/f*", to: /o/}'

# ---- what else of a project is opened --------------------------------------------------------------
image '  from: scratch'
command=build
for what in file env fifo; do
	rm -f "$P/duet.lock"
	case $what in
	fifo) mkfifo "$P/duet.lock" ;;
	*) ln -s "../outside/$what" "$P/duet.lock" ;;
	esac
	try
	is "duet.lock -> $what: exit code" "$code" 1
	has "duet.lock -> $what: the cause" "$(cat "$W/shown")" 'error[lock.differs]: read duet.lock: '
	is "duet.lock -> $what: nothing of it is shown" "$(leaked)" ''
done
rm "$P/duet.lock"
image '  from: scratch' '  steps:' '    - {copy: ., to: /o}'
ln -s ../outside/file "$P/.duetignore"
try
is '.duetignore is a link: exit code' "$code" 2
is '.duetignore is a link: nothing of it is shown' "$(leaked)" ''
rm "$P/.duetignore"

# ---- the configuration -----------------------------------------------------------------------------
mkdir -p "$W/file/duet"
export XDG_CONFIG_HOME=$W/file
recipe 'step.copy copy' ../outside/file
# by LINE CODE NAME
by() {
	echo "$1" >"$W/file/duet/config.yaml"
	try
	is "$3" "$code" "$2"
}
by "allow: {$P: paths=../outside}" 0 'one line for the project, from its folder'
by "allow: [seccomp, {$P: [paths=$OUT, seccomp]}]" 0 'in a list, with other words'
by "allow: {$W: paths=outside}" 0 'for all below a folder'
by "allow: {$P/other: paths}" 1 'another project'
by "allow: {$P: mounts}" 1 'another word'
by "allow: paths=$OUT" 0 'for every project'
by "allow: {project: paths}" 2 'a project by a relative path: exit code'
has 'a project by a relative path' "$(cat "$W/shown")" \
	'config.yaml:1:9: error[spec.value]: allow: expected the folder of a project'
# the line that the error shows is the one that does
rm "$W/file/duet/config.yaml"
try
sed -n 's/.*or `\(.*\)` in .*/\1/p' "$W/shown" >"$W/file/duet/config.yaml"
try
is 'the line of the message' "$code $(cat "$W/file/duet/config.yaml")" "0 allow: {$P: paths=$OUT/file}"
"$DUET" build --check-reproducible --store "$W/store" -C "$P" >"$W/shown" 2>&1
is 'twice, by the configuration' $? 0
rm "$W/file/duet/config.yaml"
"$DUET" build --check-reproducible --allow "paths=$OUT" --store "$W/store" -C "$P" >"$W/shown" 2>&1
is 'twice, by the option' $? 0

# ---- what is told, and not refused -----------------------------------------------------------------
image '  from: {archive: ./root.tar.gz}' '  steps:' '    - {run: "true", network: nat}' \
	'images: {base: {from: scratch, steps: [{run: "true", network: nat}]}}' 'target: {network: nat}'
is 'the network is in the plan' "$("$DUET" plan --store "$W/store" -C "$P" | sed '1,/^reaches outside/d')" \
	'  network nat of step 1 of the image base
  network nat of step 1
  network nat of the target'
finish
