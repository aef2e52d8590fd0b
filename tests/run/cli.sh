#!/bin/bash
# The command line: usage errors, exit codes, one shape of message.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99

# refuses CODE TEXT ARGUMENTS...: exit code, and the message on standard error alone
refuses() {
	wanted=$1 text=$2
	shift 2
	out=$("$DUET" "$@" 2>"$W/err" </dev/null)
	is "duet $*: exit code" $? "$wanted"
	is "duet $*: nothing on standard output" "$out" ''
	has "duet $*: message" "$(cat "$W/err")" "$text"
}

cd "$W" || exit 99
refuses 2 'did you mean `duet build`?' biuld
refuses 2 'duet: error[usage]: `duet check` has no option `--nope`' check --nope
refuses 2 'option `-f` lacks its argument' check -f
refuses 2 '`duet gc` takes no operand `x`' gc x
refuses 2 'error[spec.missing]: no duet.yaml in this folder' check
refuses 2 'duet store check' store
refuses 125 'duet run -- ls' run ls
refuses 125 'error[spec.missing]' run -- ls
refuses 2 'error[usage]: change to /nowhere: No such file' check -C /nowhere
printf 'duet: 1\nimage: {from: scratch}\n' >duet.yaml
refuses 125 'neither the spec nor the image says what to run' run --store "$W/store"
refuses 125 'there is no such runner' run --store "$W/store" --on ship -- true
refuses 125 'standard input is not a terminal' run --store "$W/store" -t -- true
refuses 1 'make store /proc/no' build --store /proc/no
is 'check says so' "$("$DUET" check 2>&1)" 'duet: note: duet.yaml is a valid spec'
is 'check -q does not' "$("$DUET" check -q 2>&1)" ''
has 'version' "$("$DUET" --version)" 'duet '
has 'overview' "$("$DUET" --help)" 'build the image of a spec'
"$DUET" >/dev/null 2>&1
is 'no command' $? 2
has 'help of a command' "$("$DUET" run --help)" '--explain'
"$DUET" schema | /usr/bin/python3 -c 'import json, sys; json.load(sys.stdin)'
is 'the schema is JSON' $? 0
"$DUET" doctor --json --store "$W/store" | /usr/bin/python3 -c 'import json, sys; json.load(sys.stdin)'
is 'doctor --json is JSON' $? 0
if [ -e /dev/full ]; then
	"$DUET" schema >/dev/full 2>"$W/err"
	is 'a full standard output' $? 1
fi
finish
