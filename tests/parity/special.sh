# shellcheck shell=bash disable=SC2154,SC2016 # sourced by parity.sh, which sets what is used here
# Rows that take more than a line: each is a function that runs one runner ($1) and prints what came
# of it. `special` runs them all.

# both NAME WANTED FUNCTION
both() {
	case $1 in
	*"$only"*) ;;
	*) return ;;
	esac
	wrong=
	for one_runner in $runners; do
		got=$($3 "$one_runner" 2>"$W/err.$one_runner")
		compare "$one_runner" "$got" "$2"
		compare "$one_runner: errors" "$(cat "$W/err.$one_runner")" ''
	done
	verdict "$1" "$wrong" ''
}

digest_of() {
	sum=$(sha256sum "$@")
	echo "${sum%% *}"
}

both_ways() {
	on "$1" -- cat <"$W/bytes" | digest_of
	echo "${PIPESTATUS[0]}"
}

stdin_digest() {
	head -c 5000000 "$W/bytes" | on "$1" -- sha256sum | cut -c1-64
}

does_not_read() {
	on "$1" -- true <"$W/bytes"
	echo $?
	on "$1" -- head -c 5 <"$W/bytes" | digest_of
	# a pipe that stays open and says nothing: this end of it is one that can write
	rm -f "$W/fifo"
	mkfifo -m 666 "$W/fifo"
	on "$1" -- echo over <>"$W/fifo"
	echo $?
}

closed_stdin() {
	on "$1" -- sh -c 'cat; echo $?' <&-
}

reader_leaves() {
	on "$1" -- yes </dev/null | head -n 1
	echo "${PIPESTATUS[0]}"
}

slow_reader() {
	on "$1" -- sh -c 'head -c 50000000 /dev/zero | tr "\0" x; echo end >&2' </dev/null 2>"$W/end" |
		{
			head -c 1000000 >"$W/first"
			sleep 1
			cat "$W/first" - | digest_of
		}
	cat "$W/end"
}

# duet itself, whatever `as` put before it
duet_below() {
	pgrep -P "$1" -x duet || echo "$1"
}

wait_for() {
	for _ in $(seq 200); do
		grep -q "$1" "$2" && return
		sleep 0.05
	done
	echo "\`$1\` did not come"
}

# The job says which signals it was sent, in order; the last ends it.
signals_sent() {
	on "$1" -- sh -c 'exec 2>/dev/null; for s in TERM INT USR1 USR2 HUP; do trap "echo $s" $s; done
		trap "echo QUIT; exit 9" QUIT
		echo ready; while :; do sleep 0.02; done' </dev/null >"$W/said" &
	pid=$!
	wait_for ready "$W/said"
	for name in TERM INT USR1 USR2 HUP QUIT; do
		kill "-$name" "$(duet_below $pid)"
		wait_for "$name" "$W/said"
	done
	wait $pid
	echo $?
	cat "$W/said"
}

# A signal that the job has no trap for.
signal_ends() {
	on "$1" -- sh -c 'echo ready; exec sleep 60' </dev/null >"$W/said" &
	pid=$!
	wait_for ready "$W/said"
	kill -USR2 "$(duet_below $pid)"
	wait $pid
	echo $?
}

# The third TERM ends it, whatever the job does.
insists() {
	on "$1" -- sh -c 'trap "" TERM INT; echo ready; while :; do sleep 1; done' </dev/null >"$W/said" &
	pid=$!
	wait_for ready "$W/said"
	for _ in 1 2 3; do
		kill -TERM "$(duet_below $pid)"
		sleep 0.2
	done
	wait $pid
	echo $?
}

time_out() {
	began=$(date +%s)
	on "$1" -- sh -c 'trap "" TERM; sleep 60 & sleep 60' </dev/null
	echo $?
	took=$(($(date +%s) - began))
	[ $took -lt 20 ] || echo "after $took s"
}

odd_words=('' ' ' 'two  spaces' "it's" '"quoted"' '$HOME `id` \n' 'grün 日本' $'\a\e[31m\x7f\x01' $'line\nline' -- - '*' 'a=b')

words() {
	on "$1" -- perl -e 'print scalar(@ARGV), "\n"; print unpack("H*", $_), "\n" for @ARGV' -- \
		"${odd_words[@]}" </dev/null
}

# what perl takes for the end of its own options is not in @ARGV
wanted_words() {
	echo ${#odd_words[@]}
	for word in "${odd_words[@]}"; do
		printf '%s' "$word" | od -An -v -tx1 | tr -d ' \n'
		echo
	done
}

many_words() {
	# shellcheck disable=SC2046 # many words
	on "$1" -- sh -c 'echo $# ${#1}; shift 2998; echo "$1 $2"' sh "$(printf %042000d 7)" \
		$(seq -w 9001 2 14999) </dev/null
}

# A terminal: size, resize, isatty, echo, ^C; see terminal.py.
terminal() {
	as "$who" $PYTHON "$SRC/tests/parity/terminal.py" "$DUET" run -q --store "$store" \
		-f "$P/duet.yaml" --on "$1" -t --
}

special() {
	spec debian ''
	case $who in
	root) head -c 67108864 /dev/urandom >"$W/bytes" ;;
	*) head -c 5000000 /dev/urandom >"$W/bytes" ;;
	esac
	chmod 644 "$W/bytes"
	sum=$(digest_of "$W/bytes")
	both 'binary through stdin and stdout' "$sum
0" both_ways
	both 'digest of stdin' "$(head -c 5000000 "$W/bytes" | digest_of)" stdin_digest
	[ -n "${DUET_SOAK-}" ] || [ "$who" = root ] || [ "$who" = self ] || return
	both 'a job that does not read its stdin' "0
$(head -c 5 "$W/bytes" | digest_of)
over
0" does_not_read
	both 'closed stdin' 0 closed_stdin
	both 'a reader that leaves' 'y
141' reader_leaves
	[ "$who" != root ] ||
		both '50 MB to a slow reader' "$(head -c 50000000 /dev/zero | tr '\0' x | digest_of)
end" slow_reader
	both 'signals' '9
ready
TERM
INT
USR1
USR2
HUP
QUIT' signals_sent
	both 'a signal without a trap' 140 signal_ends
	both 'who insists ends the job' 143 insists
	both 'words of every kind' "$(wanted_words)" words
	both '60 kB of words' '3001 42000
14995 14997' many_words
	both 'a terminal' 'True True True
xterm-test
33 77
echo: typed
44 88
^C: caught
code 6' terminal
	spec debian '  timeout: 500ms'
	both 'time-out' 124 time_out
	spec debian ''
}
