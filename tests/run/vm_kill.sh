#!/bin/bash
# Whatever ends at whatever moment of a VM's run: duet (KILL, TERM, INT), QEMU, a worker of the build
# before it, both while a state is being saved. Within two seconds no process is left, the next command leaves no tmp, the next run works.
#
# PID 1 of a guest cannot be killed from inside; its end is that of QEMU.
#
#	vm_kill.sh [KILLS]	60, with DUET_SOAK 1000; the seed is printed, and taken from DUET_SEED
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
kills=${1:-${DUET_SOAK:+1000}}
kills=${kills:-60}
RUN_EVERY=${DUET_SOAK:+1}	# so often the next run is a whole one; else it is the next to be killed
RUN_EVERY=${RUN_EVERY:-4}
SAVE_EVERY=20	# so often there is no saved state yet
LEFT_TRIES=40	# of 50 ms
seed=${DUET_SEED:-$RANDOM}
RANDOM=$seed
echo "DUET_SEED=$seed"
vm_kernel
small_root
pack "$SMALL" "$W/root.tar.zst"
P=$W/project
store=$W/store
mkdir -p "$P"

# spec STEPS: `from` alone, or more
spec() {
	cat >"$P/duet.yaml" <<-END
		duet: 1
		name: kill
		image:
		  from: {archive: $W/root.tar.zst}
		$1
		on: [vm]
		target:
		  vm: {kernel: $KERNEL, memory: 128M, accel: tcg}
	END
}

run() {
	"$DUET" run --store "$store" -f "$P/duet.yaml" "$@"
}

# This test's processes whose program is $1.
pids_of() {
	find /proc/[0-9]*/exe -lname "$W/bin/$1" 2>/dev/null | cut -d/ -f3
}

# Sets `bad` to what is wrong after a kill.
look_after() {
	bad=
	for _ in $(seq $LEFT_TRIES); do
		left=$(pids_of '*')
		[ -n "$left" ] || break
		sleep 0.05
	done
	[ -z "$left" ] || bad="left after two seconds: $(ps -o pid=,ppid=,args= -p "${left//$'\n'/,}")"
	"$DUET" images --store "$store" >"$W/out" 2>&1 || bad="$bad; images: $(cat "$W/out")"
	[ -z "$(ls -A "$store/v1/tmp")" ] || bad="$bad; tmp holds $(ls -A "$store/v1/tmp")"
	[ $((number % RUN_EVERY)) = 0 ] || [ "$what" != "${what#state}" ] || return
	out=$(echo in | run -q -- cat 2>&1)
	[ "$out" = in ] || bad="$bad; the next run gave \`$out\`"
}

# Exit codes that a kill may leave: of what was killed, or of a run that had ended before.
codes_of() {
	case $1 in
	duet-KILL | state-KILL) echo 137 0 ;;
	duet-TERM) echo 143 0 ;;
	duet-INT) echo 130 0 ;;
	qemu-KILL | worker-KILL) echo 125 0 ;;
	esac
}

one_kill() {
	what=$1 after=$2
	case $what in
	worker-KILL)
		echo "$number" >"$P/new"
		head -c 3000000 /dev/urandom >>"$P/new"
		spec "  steps: [{copy: ./new, to: /new}]" ;;
	state-KILL)
		spec ''
		rm -rf "$store"/v1/states/* ;;
	*) spec '' ;;
	esac
	# not by `run`: the process to kill is duet, no shell around it
	"$DUET" run --store "$store" -f "$P/duet.yaml" -- sleep 0.7 </dev/null >"$W/out" 2>"$W/err" &
	pid=$!
	sleep "$after"
	case $what in
	duet-* | state-*) targets=$pid ;;
	qemu-*) targets=$(pids_of 'qemu*') ;;
	worker-*) targets=$(pids_of duet-worker) ;;
	esac
	# shellcheck disable=SC2086 # one word each
	[ -z "$targets" ] || kill "-${what#*-}" $targets 2>/dev/null
	wait $pid 2>/dev/null
	code=$?
	look_after
	case " $(codes_of "$what") " in
	*" $code "*) ;;
	*) bad="$bad; exit code $code" ;;
	esac
	if [ $code = 125 ] && [ "$(grep -c 'error\[' "$W/err")" != 1 ]; then
		bad="$bad; not one error"
	fi
	[ -z "$bad" ] || bad="$bad
$(cat "$W/err")"
	[ $code = 0 ] || struck=$((struck + 1))
}

spec ''
run -- true </dev/null 2>"$W/err" || {
	cat "$W/err"
	exit 1
}
kinds=(duet-KILL qemu-KILL duet-TERM qemu-KILL duet-INT duet-KILL worker-KILL)
struck=0
row F11 check+soak 'duet, QEMU and workers get signals at random moments of a guest'
for number in $(seq "$kills"); do
	kind=${kinds[RANDOM % ${#kinds[@]}]}
	ms=$((RANDOM % 1000))
	# what a worker does here takes no longer
	[ $kind != worker-KILL ] || ms=$((ms % 200))
	if [ $((number % SAVE_EVERY)) = 0 ]; then
		kind=state-KILL
		ms=$((RANDOM % 3500))
	fi
	one_kill $kind "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
	if [ -n "$bad" ]; then
		not_ok "kill $number, $kind after $ms ms: $bad"
		[ $failed -lt 10 ] || finish
	else
		ok "kill $number, $kind after $ms ms: $code"
	fi
done
echo "$struck of $kills kills struck"
control none 'half of them have to strike: it is counted'
[ $struck -gt $((kills / 3)) ] || not_ok 'too few kills struck: this proves nothing'
is_sound end root "$store"
no_leftovers end "$store"
finish
