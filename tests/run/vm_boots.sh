#!/bin/bash
# Boots in a row, cold and from a saved state, each with a channel that works; and what must not be the
# same in two guests that were restored from one state: boot id, random bytes, machine id, clock.
#
#	vm_boots.sh [BOOTS]	of each kind; 20, with DUET_SOAK 1000
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
boots=${1:-${DUET_SOAK:+1000}}
boots=${boots:-20}
RESTORES=5	# that are compared with each other
small_tools="$small_tools date od"
vm_kernel
small_root
pack "$SMALL" "$W/root.tar.zst"
P=$W/project
store=$W/store
mkdir -p "$P"

# spec SNAPSHOT
spec() {
	cat >"$P/duet.yaml" <<-END
		duet: 1
		name: boots
		image:
		  from: {archive: $W/root.tar.zst}
		on: [vm]
		target:
		  vm: {kernel: $KERNEL, memory: 128M, accel: tcg, snapshot: $1}
	END
}

run() {
	"$DUET" run --store "$store" -f "$P/duet.yaml" "$@"
}

# in_a_row HOW
in_a_row() {
	began=$(date +%s)
	for number in $(seq "$boots"); do
		head -c 1024 /dev/urandom >"$W/bytes"
		run -- cat <"$W/bytes" >"$W/echoed" 2>"$W/err"
		code=$?
		if [ $code = 0 ] && cmp -s "$W/bytes" "$W/echoed"; then
			ok "$1: $number"
		else
			not_ok "$1: $number: exit code $code, $(wc -c <"$W/echoed") bytes: $(cat "$W/err")"
		fi
	done
	echo "$boots $1 in $(($(date +%s) - began)) s"
}

state_sums() {
	sha256sum "$store"/v1/states/*/*
}

apart() {
	for number in $(seq $RESTORES); do
		before=$(date +%s%N)
		run -- sh -c 'date +%s%N; cat /proc/sys/kernel/random/boot_id
			head -c 16 /dev/urandom | od -An -v -tx1; cat /etc/machine-id' </dev/null >"$W/seen"
		after=$(date +%s%N)
		{
			read -r clock
			cat >"$W/apart.$number"
		} <"$W/seen"
		# the guest looked at its clock between the two
		if [ "$clock" -ge $((before - 1000000000)) ] && [ "$clock" -le $((after + 1000000000)) ]; then
			ok "restore $number: the clock is right"
		else
			not_ok "restore $number: the clock says $clock between $before and $after"
		fi
	done
	for line in 1 2 3; do
		values=$(for number in $(seq $RESTORES); do sed -n "${line}p" "$W/apart.$number"; done)
		is "restores: line $line of each is another" "$(echo "$values" | grep . | sort -u | wc -l)" \
			$RESTORES
	done
}

spec off
run -- true </dev/null 2>"$W/err" || {
	cat "$W/err"
	exit 1
}
row V11 check+soak 'the channel of a guest: each boot says hello, bytes come back whole; a hostile peer (test_agent)'
in_a_row 'cold boots'
is 'cold boots save nothing' "$(ls "$store/v1/states" 2>/dev/null)" ''
spec auto
run -- true </dev/null
sums=$(state_sums)
in_a_row 'restores'
apart
row V6 check 'no guest changes what the next one starts from'
is 'the saved state is as it was' "$(state_sums)" "$sums"
control_mutant vm-base-writable
row V11 check+soak "${row_what[V11]}"
control_mutant agent-frame-size
no_leftovers end "$store"
is_sound end root "$store"
finish
