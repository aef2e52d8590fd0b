#!/bin/bash
# QEMU's jail, with a program in QEMU's place that tries every way out of it (fake_qemu.c), as root, as
# a user with subuids and as a user without. The same program outside the jail is the control.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
[ "$(uname -m)" = x86_64 ] || skip 'the VM runner is for x86-64'

for program in jail_probe fake_qemu; do
	cp "$BUILD/tests/run/$program" "$W/bin/"
done
export DUET_QEMU=$W/bin/fake_qemu
WANTED_TRIES=100 # there are a few more
CONTROL_MIN=60   # of root; fewer would mean that the tries are no longer made well
with=

# probe MODE: what the fake says, in $W/out
probe() {
	as "$who" mkdir -p "$W/home-$who/targets"
	as "$who" $with "$W/bin/jail_probe" "$1" "$W/home-$who/targets" >"$W/out" 2>"$W/err" </dev/null
}

# in_jail NAME: nothing got out, and all was tried
in_jail() {
	probe in
	is "$who: $1: runs" "$? $(cat "$W/err")" '0 '
	is "$who: $1: nothing gets out" "$(grep 'GOT OUT' "$W/out")" ''
	blocked=$(grep -c ' blocked$' "$W/out")
	if [ "$blocked" -ge $WANTED_TRIES ]; then
		ok "$blocked blocked"
	else
		not_ok "$who: $1: only $blocked tries: $(tail -n 3 "$W/out")"
	fi
	# 128 + SIGSYS: the last try is a call of another ABI
	is "$who: $1: another ABI is the end" "$(tail -n 1 "$W/out")" 'exit 159'
}

out_of_jail() {
	probe out
	out=$(grep -c 'GOT OUT' "$W/out")
	if [ "$out" -ge "$1" ]; then
		control tripped "the same program outside of the jail: $out tries succeed"
	else
		control missed "$who: only $out got out: $(cat "$W/out" "$W/err")"
	fi
}

# What the kernel says of the jailed process: ids, rights, namespaces, mounts.
seen_from_outside() {
	fake=$(left | cut -d / -f 3)
	[ -n "$fake" ] || {
		not_ok "$who: no fake"
		return
	}
	lines=$(tr '\t' ' ' <"/proc/$fake/status")
	outside=$(as "$who" id -u)
	[ "$who" != root ] || outside=1879048192 # IDMAP_ROOT_BASE
	for line in "Uid: $outside $outside $outside $outside" 'CapEff: 0000000000000000' \
		'CapPrm: 0000000000000000' 'CapInh: 0000000000000000' 'CapBnd: 0000000000000000' \
		'CapAmb: 0000000000000000' 'NoNewPrivs: 1' 'Seccomp: 2' 'Groups:  '; do
		has "$who: status" "$lines " "$line"
	done
	for space in user mnt pid net ipc uts cgroup; do
		if [ "$(readlink "/proc/$fake/ns/$space")" = "$(readlink "/proc/self/ns/$space")" ]; then
			not_ok "$who: QEMU shares the host's $space namespace"
		fi
	done
	# mount points that can be written: none but the devices
	is "$who: writable mounts" "$(awk '$6 !~ /^ro/ { print $5 }' "/proc/$fake/mountinfo")" \
		"$(printf '/dev/null\n/dev/urandom')"
	is "$who: mounts that take setuid or devices" \
		"$(awk '$6 !~ /nosuid/ && $5 !~ "^/dev/" { print $5 }' "/proc/$fake/mountinfo")" ''
	is "$who: open descriptors" "$(find "/proc/$fake/fd" -type l -printf '%f\n' | sort -n | tr '\n' ' ')" \
		'0 1 2 3 4 5 6 7 8 9 10 '
}

left() {
	find /proc/[0-9]*/exe -lname "$W/bin/fake_qemu*" 2>/dev/null
}

# Whatever ends duet ends QEMU, which may wish to stay.
dies_along() {
	as "$who" mkdir -p "$W/home-$who/targets"
	: >"$W/out"
	as "$who" "$W/bin/jail_probe" wait "$W/home-$who/targets" >"$W/out" 2>&1 </dev/null &
	pid=$!
	for _ in $(seq 100); do
		grep -q waiting "$W/out" && break
		sleep 0.1
	done
	has "$who: the fake waits" "$(cat "$W/out")" waiting
	seen_from_outside
	kill -KILL "$(pgrep -P $pid -x jail_probe || echo $pid)"
	wait $pid 2>/dev/null
	for _ in $(seq 50); do
		[ -n "$(left)" ] || break
		sleep 0.1
	done
	is "$who: a killed duet leaves no QEMU" "$(left)" ''
	for pid in $(left); do
		kill -KILL "$(echo "$pid" | cut -d / -f 3)"
	done
}

users=$(all_users)
for who in $users; do
	row V12 check "a program in QEMU's place tries every way out of its jail (CVE-2024-3446)"
	case $who in
	many | one) make_user "$who" || skip "cannot make users" ;;
	*) mkdir -p "$W/home-$who" ;;
	esac
	in_jail plain
	# as where somebody has lowered the limit for good
	with='prlimit --nofile=256:256'
	in_jail 'few descriptors'
	with='setpriv --groups 0,4,6'
	[ "$who" != root ] || in_jail 'more groups'
	with=
	row V13 check "QEMU's jail as the kernel sees it: ids, rights, namespaces, mounts, descriptors"
	dies_along
	control_mutant vm-capabilities
	row V12 check "${row_what[V12]}"
	if [ "$who" = root ]; then
		out_of_jail $CONTROL_MIN
	else
		out_of_jail 25
	fi
done
finish
