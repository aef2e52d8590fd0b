#!/bin/bash
# A guest, and a QEMU lost to it, that floods duet: each frame of the agent, the console, QEMU's own words
# and QMP, before the job starts, while it runs and after it. duet's memory stays what it is, and INT, TERM
# and the job's time-out are answered meanwhile. The guest is flood_qemu.c; no kernel is booted.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
[ "$(uname -m)" = x86_64 ] || skip 'the VM runner is for x86-64'
need mke2fs
small_root
pack "$SMALL" "$W/root.tar"
export DUET_QEMU=$W/bin/flood_qemu PYTHONDONTWRITEBYTECODE=1
MEMORY_KIB=$((48 << 10)) # duet's own and that of what it starts is 10 MiB
FLOOD_MIB=128            # a WELCOME is as long as a HELLO: all of them waiting would be seen
MOMENT_MS=5000           # the answer takes some milliseconds, a loaded host longer
who=root
[ "$(id -u)" = 0 ] || who=self
P=$W/project
store=$W/store
mkdir -p "$P" "$store"
whole=VIRTIO_PCI=y,VIRTIO_CONSOLE=y,VIRTIO_BLK=y,EROFS_FS=y,OVERLAY_FS=y,EXT4_FS=y
$PYTHON "$SRC/tests/run/kernel_make.py" kernel "$W/vmlinuz" 6.1.0 "config=$whole" || exit 99

# spec SNAPSHOT [TARGET-LINES]
spec() {
	{
		printf 'duet: 1\nname: flood\nimage:\n  from: {archive: %s}\n' "$W/root.tar"
		printf 'on: [vm]\ntarget:\n  vm: {kernel: %s, memory: 64M, accel: tcg, snapshot: %s}\n' \
			"$W/vmlinuz" "$1"
		shift
		[ $# = 0 ] || printf '  %s\n' "$@"
	} >"$P/duet.yaml"
}

# orders WHAT PHASE MIB: the QEMU that does it
orders() {
	LC_ALL=C sed "s/flood-orders:\.\{24\}/$(printf 'flood-orders:%-24s' "$*")/" \
		"$BUILD/tests/run/flood_qemu" >"$DUET_QEMU.new"
	chmod 755 "$DUET_QEMU.new"
	mv "$DUET_QEMU.new" "$DUET_QEMU"
}

# flooded SIGNAL WHAT PHASE MIB: $code, $took (ms), $memory (KiB) of a run
flooded() {
	with=$1
	shift
	orders "$@"
	read -r code took memory <<<"$(as "$who" "$PYTHON" "$SRC/tests/run/flood.py" "$with" "$DUET" run \
		--store "$store" -f "$P/duet.yaml" -- true 2>"$W/err")"
}

small() {
	if [ "${memory:-$MEMORY_KIB}" -lt $MEMORY_KIB ]; then
		ok "$1: $memory KiB"
	else
		not_ok "$1: duet took $memory KiB: $(cat "$W/err")"
	fi
}

# at_once SIGNAL CODE WHAT PHASE
at_once() {
	name="$3, $4: $1"
	flooded "$1" "$3" "$4" 0
	is "$name: exit code" "$code $(cat "$W/err")" "$2 "
	if [ "$took" -lt $MOMENT_MS ]; then
		ok "$name: $took ms"
	else
		not_ok "$name: answered after $took ms"
	fi
	small "$name"
	# a state half made is removed by the next command
	as "$who" "$DUET" images --store "$store" >"$W/out" 2>&1
	no_leftovers "$name" "$store"
}

row V18 check "a guest floods duet's memory, or keeps it from hearing INT and the time-out"
control none "no other tool speaks these frames; each bound is missed by a unit test: mutants welcome-queued, control-full, console-turn,
qmp-turn, qmp-kept of tests/mutants"
spec off
flooded none eof end 1
is 'the first run' "$code $(grep -v '^duet: note' "$W/err" | grep error)" '7 '

# all that a guest can send before it ends
for what in hello console words qmp; do
	flooded none $what boot $FLOOD_MIB
	is "$what: QEMU ends" "$code $(grep -c 'error\[vm' "$W/err")" '125 1'
	small "$what, before the job"
done
for what in hello data eof credit output console words qmp; do
	flooded none $what run $FLOOD_MIB
	is "$what: QEMU ends while the job runs" "$code" 125
	small "$what, while the job runs"
	flooded none $what end $FLOOD_MIB
	is "$what: after the job" "$code" 7
	small "$what, after the job"
done

# INT and TERM: at once before the job, the third of them while it runs
for what in hello console words qmp; do
	at_once INT 130 $what boot
done
for what in hello data eof credit console words qmp; do
	at_once INT 130 $what run
done
at_once TERM 143 hello run
at_once TERM 143 console run

# while a guest is awaited whose state is to be saved; its HELLO would end that, and then QMP is waited for
spec auto
for what in console words qmp; do
	at_once INT 130 $what boot
done
at_once TERM 143 console boot

# an emulated guest has four times the time
spec off 'timeout: 1s'
for what in hello console words qmp; do
	flooded none $what run 0
	is "$what: the time-out" "$code" 124
	if [ "$took" -lt $((4000 + MOMENT_MS)) ]; then
		ok "$what: the time-out: $took ms"
	else
		not_ok "$what: the time-out came after $took ms"
	fi
	small "$what: the time-out"
done
no_leftovers 'the time-out' "$store"
finish
