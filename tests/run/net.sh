#!/bin/bash
# network: nat, by pasta: a resolver and a way out, not to the host's loopback; for run steps and for the
# container runner; nothing stays when duet is killed. With the apt mirror where it is reached. Package
# managers that fetch: managers.sh.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
[ "$(id -u)" = 0 ] || skip 'needs root, to make users and a device'
command -v pasta >/dev/null || skip 'pasta (package passt) is not installed'
[ -c /dev/net/tun ] || skip 'there is no /dev/net/tun'
debian_root
# hosts let everybody use it; where this one does not, a namespace of the test does
mkdir "$W/net"
mknod -m 666 "$W/net/tun" c 10 200
with_tun() {
	unshare -m sh -c 'mount --make-rprivate / && mount --bind "$0/tun" /dev/net/tun &&
		mount --bind "$0/pasta" "$(command -v pasta)" &&
		{ [ ! -e "$0/avx2" ] || mount --bind "$0/avx2" "$(command -v pasta).avx2"; } && exec "$@"' \
		"$W/net" "$@"
}
# pasta is a copy of its own, too, which is told from those of others by its inode
cp -L "$(command -v pasta)" "$W/net/pasta"
[ ! -e "$(command -v pasta).avx2" ] || cp -L "$(command -v pasta).avx2" "$W/net/avx2"
pastas() {
	stat -Lc '%d:%i' /proc/[0-9]*/exe 2>/dev/null |
		grep -xF "$(stat -c '%d:%i' "$W/net/pasta" "$W/net/avx2" 2>/dev/null)"
}
with_tun true || skip 'no device can be bound here'

python3 -m http.server 0 --bind 127.0.0.1 --directory "$W/net" >"$W/port" 2>&1 &
server=$!
clean_up_more() {
	kill $server 2>/dev/null
}
for _ in $(seq 100); do
	port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$W/port")
	[ -n "$port" ] && break
	sleep 0.1
done
mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
host=$(echo "$mirror" | sed 's,^[a-z]*://\([^/:]*\).*,\1,')
[ -n "$host" ] && getent hosts "$host" >/dev/null || host=

spec() {
	printf '%s\n' 'duet: 1' 'name: netted' 'image:' "  from: {archive: $ROOT}" "$@" >"$P/duet.yaml"
}

duet() {
	case $who in
	root) with_tun "$DUET" "$@" ;;
	*) with_tun setpriv --reuid "duet-$who-$$" --regid "duet-$who-$$" --clear-groups \
		env HOME="$W/home-$who" "$DUET" "$@" ;;
	esac
}

build() {
	duet build --store "$store" -f "$P/duet.yaml" 2>"$W/err"
}

reach='for a in 127.0.0.1 $(sed -n "2,\$s/^[^\t]*\t[0-9A-F]*\t\([0-9A-F]*\).*/\1/p" /proc/net/route | sort -u | while read h; do printf "%d.%d.%d.%d\n" 0x${h:6:2} 0x${h:4:2} 0x${h:2:2} 0x${h:0:2}; done); do timeout 2 bash -c "exec 3<>/dev/tcp/$a/PORT" 2>/dev/null && echo "reached $a"; done; echo tried'
reach=$(echo "$reach" | sed "s/PORT/$port/")
echo "$reach" >"$W/reach"

steps() {
	row C23b check 'the loopback of the host from a step with a network'
	spec '  steps:' '    - run: |' "        cat /etc/resolv.conf; bash -c '$(sed "s/'/'\\\\''/g" "$W/reach")'" \
		'      network: nat'
	build >/dev/null
	is "$who: nat: exit code" $? 0
	has "$who: nat: a resolver" "$(cat "$W/err")" 'nameserver '
	has "$who: nat: the host was tried" "$(cat "$W/err")" tried
	is "$who: nat: and not reached" "$(grep reached "$W/err")" ''
	before=$(find "$store/v1/trees" -path '*/tree/etc/resolv.conf' | wc -l)
	is "$who: nat: no resolv.conf in the layer" "$before" \
		"$(tar -tf "$ROOT" | grep -cx './etc/resolv.conf')"
	row
	[ -n "$host" ] || return 0
	spec '  steps:' "    - run: getent hosts $host && timeout 10 bash -c 'exec 3<>/dev/tcp/$host/80' && echo reached" \
		'      network: nat'
	build >/dev/null
	has "$who: nat: a way out" "$(cat "$W/err")" reached
	spec '  steps:' "    - run: getent hosts $host || echo none"
	build >/dev/null
	has "$who: none: no way out" "$(cat "$W/err")" none
}

runner() {
	spec 'target: {network: nat}'
	has "$who: target.network" "$(duet run --store "$store" -f "$P/duet.yaml" -- cat /etc/resolv.conf </dev/null 2>/dev/null)" 'nameserver '
	duet run --on vm --store "$store" -f "$P/duet.yaml" -- true </dev/null 2>"$W/err"
	is "$who: nat on a VM: exit code" $? 125
	has "$who: nat on a VM: place" "$(cat "$W/err")" 'duet.yaml:5:19: error[spec.value]'
	duet run --store "$store" -f "$P/duet.yaml" -- sleep 100 </dev/null >/dev/null 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		[ -z "$(pastas)" ] || break
		sleep 0.1
	done
	is "$who: pasta is seen while it runs" "$(pastas | wc -l)" 1
	pkill -KILL -o -f "^$DUET run --store $store "
	wait $pid 2>/dev/null
	for _ in 1 2 3; do
		duet run --store "$store" -f "$P/duet.yaml" -- sleep 100 </dev/null >/dev/null 2>&1 &
		pid=$!
		sleep "0.$((RANDOM % 6 + 1))"
		# duet itself: with the shell function there is a shell around it
		pkill -KILL -o -f "^$DUET run --store $store "
		wait $pid 2>/dev/null
	done
	soon_none "$who: killed: no pasta is left" pastas
	soon_none "$who: killed: no process is left" own_processes
}

for who in $(all_users); do
	user_folders "$who" || continue
	steps
	runner
	no_leftovers "$who" "$store"
done
row=C23b
with_tun timeout 20 pasta --runas 0 --config-net bash "$W/reach" </dev/null 2>/dev/null | grep -q reached
control_if $? 'pasta as it comes: the host is reached by the address of the gateway or 127.0.0.1'
row
finish
