#!/bin/bash
# limit.sh TEST...: runs a test, and ends one that does not end. Ten times what it takes on a quiet machine is
# enough on a busy one; then the log says what hung, by its processes, and everything of it is killed.
#
# DUET_TEST_SECONDS: for all of them.
#
# It also sees what a test leaves in the places of the host where nothing of it belongs, by name; of two tests at
# a time either may be who did it.
set -u
# those that take more than a minute
case ${1##*/} in
debian_hostile.sh | fetcher.sh | hostile_run.sh | lies.sh | memory.sh | no_memory.sh | power.sh | registry_faults.sh | \
	vm.sh) limit=1800 ;;
*) limit=600 ;;
esac
limit=${DUET_TEST_SECONDS-$limit}

# all below a process, parents first
below() {
	ps -e -o pid=,ppid= | awk -v top="$1" '
		{ parent[$1] = $2; order[NR] = $1 }
		END {
			known[top] = 1
			for (more = 1; more;) {
				more = 0
				for (i = 1; i <= NR; i++)
					if (!known[order[i]] && known[parent[order[i]]]) {
						known[order[i]] = more = 1
						print order[i]
					}
			}
		}'
}

# shellcheck disable=SC2086 # words
end() {
	family="$test $(below "$test" | tr '\n' ' ')"
	[ -z "$1" ] || {
		echo "$1"
		ps -o pid,ppid,etime,stat,wchan:24,args -p "${family% }"
	}
	# a shell takes a signal once what it waits for is gone
	kill $family 2>/dev/null
	for _ in $(seq 100); do
		kill -0 $family 2>/dev/null || break
		sleep 0.1
	done
	kill -9 $family 2>/dev/null
}

# users and loop devices come and go
places() {
	find / /dev /etc -maxdepth 1 -printf '%p %y\n' 2>/dev/null | LC_ALL=C sort |
		grep -vE '^(/dev/loop|/etc/(passwd|shadow|group|gshadow|subuid|subgid|nshadow|ngroup|\.pwd|sed))'
}

before=$(places)
"$@" </dev/null &
test=$!
trap 'end ""; exit 143' TERM INT HUP
trap 'end "${program##*/} has not ended within $limit seconds:"; exit 1' USR1
program=$1
(
	trap 'kill $sleep' TERM
	sleep "$limit" &
	sleep=$!
	wait $sleep && kill -USR1 $$
) </dev/null >/dev/null 2>&1 &
clock=$!
wait $test
code=$?
kill $clock
changed=$(diff <(echo "$before") <(places))
[ -z "$changed" ] || {
	echo "${1##*/}, or a test beside it, changes the host:"
	echo "$changed"
	exit 1
}
exit $code
