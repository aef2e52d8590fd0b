#!/bin/bash
# What of a spec reaches outside its project takes the user's word: each kind is refused with its
# place and the word that would do, and runs with that word, from the line and from the file.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
small_root
P=$W/project
mkdir -p "$P/inside" "$W/outside/deep" "$W/home"
echo found | tee "$P/inside/file" "$W/outside/file" "$W/outside/deep/file" >/dev/null
ln -s "$W/outside" "$P/link"
ln -s inside "$P/good-link"
pack "$SMALL" "$P/root.tar.gz"
export HOME=$W/home XDG_CONFIG_HOME=

# spec TARGET-LINES
spec() {
	printf '%s\n' 'duet: 1' 'name: allow' "image: {from: {archive: ./root.tar.gz}}" 'target:' \
		"$@" >"$P/duet.yaml"
}

# run OPTIONS... -- COMMAND...: its output and code in $out and $code, errors in $W/err
run() {
	out=$("$DUET" run --store "$W/store" -C "$P" "$@" 2>"$W/err" </dev/null)
	code=$?
}

# refused NAME PLACE TEXT WORD
refused() {
	is "$1: refused" "$code" 125
	has "$1: place and cause" "$(cat "$W/err")" \
		"duet.yaml:$2: error[allow.missing]: reaches outside the project: $3"
	has "$1: the word that would do" "$(cat "$W/err")" "--allow '$4'"
}

spec '  mounts: ["./inside:/m:ro"]'
run -- cat /m/file
is 'a folder of the project needs nobody' "$out $code" 'found 0'
spec '  mounts: ["./good-link:/m:ro"]'
run -- cat /m/file
is 'a link that stays inside neither' "$out $code" 'found 0'

spec "  mounts: [\"$W/outside:/m:ro\"]"
run -- cat /m/file
refused 'a folder outside' 5:12 "mount $W/outside at /m, read-only" "mounts=$W/outside"
spec '  mounts: [{bind: ../outside, to: /m}]'
run -- cat /m/file
refused 'by ..' 5:12 "mount $P/../outside at /m, writable" "mounts=$P/../outside"
spec '  mounts: ["./link:/m:ro"]'
run -- cat /m/file
refused 'by a link in the project' 5:12 "mount $P/link at /m, read-only" "mounts=$P/link"
for word in "mounts=$W/outside" mounts all "seccomp,mounts=$W"; do
	run --allow "$word" -- cat /m/file
	is "by a link, --allow $word" "$out $code" 'found 0'
done
run --allow "mounts=$W/outside/deep" -- cat /m/file
is 'less was allowed than it takes' "$code" 125
run --allow "mounts=$W/out" -- cat /m/file
is 'a prefix of a name is no folder' "$code" 125
run --explain -- true
is 'to explain takes no word' "$code" 0

spec '  container: {capabilities: {add: [NET_RAW, SYS_PTRACE]}}'
run -- true
refused capabilities 5:35 'capabilities CAP_NET_RAW CAP_SYS_PTRACE' \
	'capabilities=CAP_NET_RAW+CAP_SYS_PTRACE'
run --allow capabilities=NET_RAW -- true
is 'one of two capabilities' "$code" 125
run --allow capabilities=net_raw+CAP_SYS_PTRACE -- true
is 'both capabilities' "$code" 0
run --allow capabilities=NET_RAW --allow capabilities=SYS_PTRACE -- true
is 'both, one after the other' "$code" 0

spec '  container: {seccomp: unconfined}'
run -- true
refused 'no filter' 5:24 'no filter of system calls' seccomp
run --allow seccomp -- true
is 'no filter, allowed' "$code" 0
mkdir -p "$HOME/.config/duet"
echo 'allow: [mounts=/srv, seccomp]' >"$HOME/.config/duet/config.yaml"
run -- true
is 'no filter, by the file' "$code" 0
XDG_CONFIG_HOME=$W/xdg run -- true
is 'no filter, by another file that is not there' "$code" 125
echo 'alow: [seccomp]' >"$HOME/.config/duet/config.yaml"
run -- true
has 'an unknown key of the file' "$(cat "$W/err")" 'config.yaml:1:1: error[spec.unknown-key]'
echo 'allow: [everything]' >"$HOME/.config/duet/config.yaml"
run -- true
has 'an unknown word of the file' "$(cat "$W/err")" 'config.yaml:1:9: error[usage]: allow: `everything`'
rm "$HOME/.config/duet/config.yaml"
run --allow mount=/srv -- true
has 'an unknown word of the line' "$(cat "$W/err")" 'allow: `mount=/srv` is nothing that can be allowed'

# who signs a suite has scripts run; the refusal comes before anybody is asked for a list
: >"$P/own.gpg"
printf '%s\n' 'duet: 1' 'name: allow' \
	'image: {from: {debian: own, mirror: "http://127.0.0.1:1/debian", keyring: ./own.gpg}}' >"$P/duet.yaml"
for command in build 'run -- true' lock; do
	# shellcheck disable=SC2086 # words on purpose
	set -- $command
	"$DUET" "$1" --store "$W/store" -C "$P" "${@:2}" </dev/null >"$W/out" 2>"$W/err"
	has "a mirror, $1: refused" "$(cat "$W/err")" \
		'error[allow.missing]: reaches outside the project: packages from http://127.0.0.1:1/debian signed by'
	has "a mirror, $1: the word that would do" "$(cat "$W/err")" "--allow 'mirrors'"
done
"$DUET" build --store "$W/store" -C "$P" --allow mirrors >"$W/out" 2>"$W/err"
has 'a mirror, allowed: it is asked' "$(cat "$W/err")" 'error[fetch.failed]'
spec '  container: {seccomp: unconfined}'

plan=$("$DUET" plan --store "$W/store" -C "$P")
has 'the plan lists it' "$plan" 'reaches outside the project:
  no filter of system calls'
finish
