#!/bin/bash
# Signals between duet, what it starts and its caller. Everything that duet starts has a process group of its
# own, so that a signal to duet's group (a terminal's, a CI's cancel) reaches the job once and by duet alone, and
# what a program sends to its own group does not reach the caller. And nothing of them keeps what the
# administrator unmounts.
# shellcheck source=tests/run/lib.sh
if [ "$(id -u)" = 0 ] && [ -z "${SIGNALS_ALONE-}" ]; then
	# others that copy the mount namespace would keep what is unmounted here
	SIGNALS_ALONE=1 exec unshare -m --propagation private bash "$0" "$@"
fi
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
small_root
pack "$SMALL" "$W/root.tar"
runners=container
if [ "$(uname -m)" = x86_64 ] && [ -z "$(missing qemu-system-x86_64)" ]; then
	vm_kernel
	runners='container vm'
fi
mkdir -p "$W/disk"
clean_up_more() {
	! mountpoint -q "$W/disk" || umount -l "$W/disk"
}

# spec [TARGET-LINES]
spec() {
	{
		printf 'duet: 1\nname: signals\nimage:\n  from: {archive: %s}\ntarget:\n' "$W/root.tar"
		printf '  vm: {memory: 128M, accel: tcg%s}\n' "${KERNEL+, kernel: $KERNEL}"
		[ $# = 0 ] || printf '  %s\n' "$@"
	} >"$P/duet.yaml"
}

# the job: says each signal that it gets, and ends with 7 at the second
# shellcheck disable=SC2016 # for the shell inside
job='n=0; for s in INT TERM HUP; do trap "echo $s; n=\$((n + 1))" $s; done
	echo ready; while [ $n -lt 2 ]; do sleep 0.1; done; exit 7'

# starts RUNNER: the job in a group of duet's own; its pid, which is its group's, is $duet
starts() {
	: >"$W/out"
	install -m 666 /dev/null "$W/pid"
	# shellcheck disable=SC2016 # for the shell inside
	as "$who" setsid sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$W/pid" "$DUET" run --store "$store" \
		-f "$P/duet.yaml" --on "$1" -- sh -c "$job" >"$W/out" 2>"$W/err" </dev/null &
	started=$!
	until grep -q ready "$W/out"; do
		kill -0 $started 2>/dev/null || {
			not_ok "$who: $1: it starts: $(cat "$W/err")"
			return 1
		}
		sleep 0.05
	done
	duet=$(cat "$W/pid")
}

# group_members GROUP: the pids in it
group_members() {
	ps -e -o pid=,pgid= | awk -v group="$1" '$2 == group { print $1 }'
}

# soon_says TEXT: the job has said so
soon_says() {
	until [ "$(tail -n 1 "$W/out")" = "$1" ]; do
		kill -0 $started 2>/dev/null || return 1
		sleep 0.05
	done
}

signals() {
	for runner in $runners; do
		starts "$runner" || continue
		is "$who: $runner: duet is alone in its group" "$(group_members "$duet")" "$duet"
		kill -INT -- "-$duet"
		soon_says INT
		kill -TERM -- "-$duet"
		wait $started
		is "$who: $runner: the job's own end" $? 7
		is "$who: $runner: each signal, once" "$(tr '\n' ' ' <"$W/out")" 'ready INT TERM '
		is "$who: $runner: and nothing is said" "$(grep -c error "$W/err")" 0
	done
}

# The same by a terminal's own key; duet is in the foreground.
terminal() {
	for runner in $runners; do
		for tty in '' -t; do
			# shellcheck disable=SC2086 # none or one
			as "$who" $PYTHON "$SRC/tests/run/signals.py" "$DUET" run $tty --store "$store" \
				-f "$P/duet.yaml" --on "$runner" -- sh -c "$job" >"$W/out" 2>&1
			is "$who: $runner: a terminal's INT, twice${tty:+, $tty}" \
				"$(grep -a '^ready$\|^INT$\|^end ' "$W/out" | tr '\n' ' ')" 'ready INT INT end 7 '
		done
	done
}

unmounts() {
	for what in $runners network; do
		runner=$what
		spec
		if [ "$what" = network ]; then
			[ -z "$(missing pasta)" ] && as "$who" sh -c '[ -c /dev/net/tun ] && : <>/dev/net/tun' 2>/dev/null || continue
			runner=container
			spec 'network: nat'
		fi
		mount -t tmpfs "disk-$what" "$W/disk"
		if starts "$runner"; then
			is "$who: $what: what is unmounted meanwhile" "$(unmounted "$W/disk")" gone
			kill -INT "$duet"
			soon_says INT
			kill -INT "$duet"
			wait $started
		fi
		! mountpoint -q "$W/disk" || umount -l "$W/disk"
	done
	spec
}

for who in $(all_users); do
	user_folders "$who" || continue
	spec
	row C33 check 'signals reach the job by duet alone, and no program of duet reaches the caller'
	signals
	terminal
	control_mutant jail-session
	if [ "$(id -u)" = 0 ]; then
		row C36 check 'what is unmounted while duet runs is gone'
		unmounts
		mount -t tmpfs control "$W/disk"
		rm -f "$W/namespace" "$W/end"
		mkfifo "$W/end"
		unshare -m sh -c 'echo here >"$1"; read -r _ <"$2"' sh "$W/namespace" "$W/end" &
		wait_for "$W/namespace"
		[ "$(unmounted "$W/disk")" = alive ]
		control_if $? 'a namespace of its own keeps what is unmounted'
		echo >"$W/end"
	fi
	row
	no_leftovers "$who" "$store"
done
finish
