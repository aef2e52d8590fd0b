#!/bin/bash
# Text that others made (names in archives, specs, labels, programs, servers' answers) reaches a
# terminal escaped: no ESC, no CR, no C1, nothing that reorders or hides. The job's own streams pass.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
small_root
P=$W/project
store=$W/store
mkdir -p "$P" "$store"
# OSC 52 writes the clipboard; CR, CSI as C1, right-to-left override, word joiner, a line feed
evil=$(printf 'e\033]52;c;eA==\007\r\302\233\342\200\256\342\201\240\nx')
# the same in a name without what a line of YAML cannot hold: as YAML's own escapes
quoted='e\x1b]52;c;eA==\x07\r\x9b\u202e\u2060x'
# a single byte of C1, which is no UTF-8
stray=$(printf 'e\233m')
quotes=0
row R18 check 'text of others does not move the terminal'

# shown NAME WANTED ARGUMENTS...: duet says it, and nothing else gets through; WANTED: some of its codes,
# or `any`
shown() {
	name=$1 wanted=$2
	shift 2
	watched "$DUET" "$@" >"$W/out" 2>"$W/err" </dev/null
	code=$?
	[ "$wanted" = any ] || [ "$code" = "$wanted" ] ||
		not_ok "$name: exit code $code: $(cat -v "$W/err")"
	[ $code -lt 126 ] || [ $code = 127 ] || not_ok "$name: exit code $code"
	is "$name" "$($PYTHON "$SRC/tests/run/terminal_bytes.py" "$W/out" "$W/err")" ''
	! grep -q 'x1b' "$W/out" "$W/err" || quotes=$((quotes + 1))
}

# spec LINES
spec() {
	printf '%s\n' 'duet: 1' 'name: t' "$@" >"$P/duet.yaml"
}

# of_spec NAME WANTED COMMAND...: with $P/duet.yaml
of_spec() {
	name=$1 wanted=$2 command=$3
	shift 3
	case $command in
	run | build | plan) set -- --store "$store" -f "$P/duet.yaml" "$@" ;;
	check) set -- -f "$P/duet.yaml" "$@" ;;
	esac
	shown "$name" "$wanted" "$command" "$@"
}

line() {
	shown 'a command' 2 "$evil"
	shown 'an option' 2 build "--$evil"
	shown 'an operand' 2 gc "$evil"
	shown 'an operand of run' 125 run "$evil"
	shown 'a runner' any run --on "$evil" -f "$P/duet.yaml" -- true
	shown 'a folder' 2 check -C "$evil"
	shown 'a spec' 2 check -f "$evil"
	shown 'a store' any images --store "/proc/$evil"
	shown 'a word to allow' any run --allow "mounts=/$evil,$evil" -f "$P/duet.yaml" -- true
	mkdir -p "$W/evil-config/duet"
	printf '"%s": 1\n' "$quoted" >"$W/evil-config/duet/config.yaml"
	XDG_CONFIG_HOME=$W/evil-config shown 'the configuration' any run -f "$P/duet.yaml" -- true
	shown 'a store of that name' any images --store "$W/$evil-store"
	shown 'doctor' any doctor --store "$W/$evil-store"
	shown 'doctor as JSON' any doctor --json --store "$W/$evil-store"
	shown 'a stray byte' 2 "$stray"
	shown 'a stray byte in a spec name' 2 check -f "$stray"
}

specs() {
	for text in "\"$quoted\": 1" "name: \"$quoted\"" "\"x-$quoted\": 1"; do
		printf 'duet: 1\nimage: {from: scratch}\n%s\n' "$text" >"$P/duet.yaml"
		of_spec "key or value $text" any check
	done
	for text in "workdir: \"$quoted\"" "hostname: \"$quoted\"" "user: \"$quoted\"" \
		"timeout: \"$quoted\"" "mounts: [\"$quoted:/x\"]" "mounts: [\"/$quoted:/$quoted\"]" \
		"mounts: [{tmpfs: \"/$quoted\", size: \"$quoted\"}]" "environment: {\"$quoted\": x}" \
		"environment: {A: \"\${$quoted}\"}" "env_file: \"./$quoted\"" "network: \"$quoted\"" \
		"container: {capabilities: {add: [\"$quoted\"]}}" "container: {seccomp: \"$quoted\"}" \
		"vm: {kernel: \"./$quoted\"}"; do
		spec 'image: {from: scratch}' 'target:' "  $text"
		of_spec "check $text" any check
		of_spec "plan $text" any plan
		of_spec "explain $text" any run --explain -- "$evil"
		case $text in
		mounts* | container*) of_spec "allowed $text" any run --explain \
			--allow mounts,seccomp,capabilities -- "$evil" ;;
		esac
	done
	for text in "from: {archive: \"./$quoted\"}" "from: {archive: \"https://$quoted/x\"}" \
		"from: {directory: \"./$quoted\"}" "from: {debian: \"$quoted\"}" "from: \"$quoted\"" \
		"from: {archive: ./x, sha256: \"$quoted\"}" "from: {\"$quoted\": x}"; do
		spec 'image:' "  $text"
		of_spec "build $text" any build
	done
	for text in "copy: \"./$quoted\", to: /x" "copy: ./duet.yaml, to: \"/$quoted\"" \
		"copy: ./duet.yaml, to: /x, owner: \"$quoted\"" "archive: \"./$quoted\"" "\"$quoted\": x"; do
		spec 'image:' '  from: scratch' "  steps: [{$text}]"
		of_spec "build $text" any build
		of_spec "plan $text" any plan
	done
	spec 'image:' '  from: scratch' "  config: {labels: {x: \"$quoted\"}, environment: {A: \"$quoted\"}}"
	of_spec 'labels' 0 plan
	of_spec 'labels as JSON' 0 plan --json
	is 'labels as JSON: still JSON' "$($PYTHON -c 'import json, sys; print(len(json.load(sys.stdin)))' \
		<"$W/out" | grep -c '^[1-9]')" 1
	mkdir -p "$W/$evil"
	printf 'duet: 1\nname: x\nimage: {from: BAD}\n' >"$W/$evil/duet.yaml"
	shown 'a folder of a spec' 2 check -C "$W/$evil"
	printf 'duet: 1\nname: x\nimage: {from: {archive: ./none}}\n' >"$W/$evil/duet.yaml"
	shown 'a folder of a spec that is built' 1 build --store "$store" -C "$W/$evil"
	shown 'a folder of a good spec' any check -f "$W/$evil/duet.yaml"
}

# archives NAME-IN-ARCHIVE: good and bad entries of that name
archives() {
	$PYTHON - "$SRC/tests/run" "$P" "$1" <<'END'
import os, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import tarfile, io
name = os.fsencode(sys.argv[3])
def write(path, *entries):
    with tarfile.open(os.path.join(sys.argv[2], path), "w", format=tarfile.GNU_FORMAT,
                      encoding="utf-8", errors="surrogateescape") as tar:
        for entry, kind, link in entries:
            info = tarfile.TarInfo(os.fsdecode(entry))
            info.type, info.linkname = kind, os.fsdecode(link)
            info.size = 4 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"data"))
F, D, H, S, C = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE
write("up.tar", (b"../" + name, F, b""))
write("link.tar", (name, H, b"none/" + name))
write("loop.tar", (name, S, name), (name + b"/x", F, b""))
write("below.tar", (name, F, b""), (name + b"/x", F, b""))
write("whiteout.tar", (b".wh." + name + b"/x", F, b""))
write("long.tar", (name * 40, F, b""))
write("device.tar", (name, C, b""))
write("good.tar", (name, F, b""))
END
	for file in up link loop below whiteout long device good; do
		spec 'image:' '  from: scratch' "  steps: [{archive: ./$file.tar}]"
		of_spec "archive $file" any build -v
		spec 'image:' '  from: scratch' "  steps: [{archive: ./$file.tar, to: \"/$quoted\"}]"
		of_spec "archive $file to a place" any build -v
	done
	# a name in the store that is damaged
	spec 'image:' '  from: scratch' '  steps: [{archive: ./good.tar}]'
	of_spec 'a good archive' 0 build
	find "$store/v1/trees" -type f -size 4c -exec sh -c 'printf DATA >"$1"' sh {} \;
	shown 'store check' 1 store check --store "$store" --json
	of_spec 'built again' 0 build
	find "$store/v1/trees" -type f -size 4c -exec sh -c 'printf DATA >"$1"' sh {} \;
	shown 'store check' 1 store check --store "$store"
	shown 'images' 0 images --store "$store"
	mkdir -p "$P/site/$1"
	touch "$P/site/$1/.wh.$1"
	spec 'image:' '  from: scratch' '  steps: [{copy: ./site, to: /}]'
	of_spec 'copy of a name that no layer can say' 1 build
	rm -r "$P/site"
}

jobs() {
	cp -a "$SMALL" "$W/root"
	printf '%s:x:0:0::/:/bin/sh\n' "$(printf '%s' "$evil" | tr -d '\n')" >>"$W/root/etc/passwd"
	printf 'bad%s:x\n' "$(printf '%s' "$evil" | tr -d '\n')" >>"$W/root/etc/passwd"
	pack "$SMALL" "$P/root.tar"
	pack "$W/root" "$P/passwd.tar"
	spec 'image:' '  from: {archive: ./root.tar}'
	of_spec 'a program that is not there' 127 run -- "$evil"
	of_spec 'a program that is none' any run -- "/etc/$evil"
	of_spec 'explain' 0 run --explain -- "$evil"
	spec 'image:' '  from: {archive: ./root.tar}' 'target:' "  workdir: \"/etc/passwd/$quoted\""
	of_spec 'a workdir that cannot be' 125 run -- true
	spec 'image:' '  from: {archive: ./root.tar}' 'target:' "  mounts: [{tmpfs: \"/etc/passwd/$quoted\"}]"
	of_spec 'a mount with a name that is none' 125 run -- true
	of_spec 'a mount with a name that is none, explained' 125 run --explain -- true
	spec 'image:' '  from: {archive: ./root.tar}' 'target:' '  mounts: [{tmpfs: /etc/passwd/below}]'
	of_spec 'a mount that cannot be' 125 run -- "$evil"
	of_spec 'a mount that cannot be, explained' 0 run --explain -- "$evil"
	spec 'image:' '  from: {archive: ./root.tar}' 'target:' "  mounts: [\"/nowhere/$quoted:/x\"]"
	of_spec 'a source of a mount that is not allowed' 125 run -- true
	of_spec 'a source of a mount that is not there' 125 run --allow mounts -- true
	spec 'image:' '  from: {archive: ./passwd.tar}' 'target:' '  user: nobody-here'
	of_spec 'passwd' 125 run -- true
	spec 'image:' '  from: {archive: ./root.tar}'
	"$DUET" run -q --store "$store" -f "$P/duet.yaml" -- sh -c 'printf %s "$1"' sh "$evil" \
		</dev/null >"$W/out" 2>"$W/err"
	is "the job's own bytes pass" "$(cat "$W/out")" "$evil"
}

servers() {
	command -v openssl >/dev/null || {
		echo 'openssl is not installed: no https'
		return
	}
	certificate server
	$PYTHON "$SRC/tests/run/terminal_bytes.py" serve "$W/server.crt" "$W/server.key" \
		"$(printf '%s' "$evil" | tr -d '\r\n')" >"$W/port" 2>"$W/served.log" &
	server=$!
	wait_for "$W/port"
	# at the same time: some are tried again, with pauses
	number=0 pids=
	for path in missing location scheme encoding length login line body "$quoted"; do
		number=$((number + 1))
		spec 'image:' "  from: {archive: \"https://127.0.0.1:$(cat "$W/port")/$path\", sha256: $(printf '%064d' 0)}"
		mv "$P/duet.yaml" "$P/server-$number.yaml"
		SSL_CERT_FILE=$W/server.crt watched "$DUET" build -v --store "$W/server-$number" \
			-f "$P/server-$number.yaml" >"$W/out.$number" 2>"$W/err.$number" </dev/null &
		pids="$pids $!"
	done
	# shellcheck disable=SC2086 # words
	wait $pids
	for number in $(seq $number); do
		has "a server: $number: it is refused" "$(cat "$W/err.$number")" 'error['
		is "a server: $number" "$($PYTHON "$SRC/tests/run/terminal_bytes.py" "$W/out.$number" \
			"$W/err.$number")" ''
		! grep -q 'x1b' "$W/err.$number" || quotes=$((quotes + 1))
	done
	kill $server
	wait $server 2>/dev/null
}

guests() {
	"$BUILD/tests/unit/runners/test_console" >"$W/out" 2>&1
	is "a guest's console and its panic" $? 0
}

watch_start || echo 'no mount namespace with an overlay: what is written outside is not seen'
for part in line specs jobs servers guests; do
	$part
done
archives "$evil"
archives "$stray"
[ $quotes -ge 30 ] && ok "$quotes messages quote it" || not_ok "only $quotes messages quote it"
row INTACT check 'the host is intact: nothing outside of store, project and runtime folders'
is 'nothing is written outside' "$(outside)" ''
control none 'the control is in hostile.sh'
row R18 check "${row_what[R18]}"
touch "$W/$evil-file"
find "$W" -maxdepth 1 -name '*-file' >"$W/out"
! $PYTHON "$SRC/tests/run/terminal_bytes.py" "$W/out" >/dev/null
control_if $? 'find -print: as it is'
finish
