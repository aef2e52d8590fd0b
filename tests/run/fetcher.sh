#!/bin/bash
# The fetcher's jail, from outside while it waits for an answer and from inside by code in its place
# (fetcher_probe.c); and that names, proxies, IPv6 and a certificate of one's own work in it. As root in a
# network and mount namespace of the test's own, with its own /etc.
if [ "$(id -u)" = 0 ] && [ -z "${FETCHER_OWN-}" ] && unshare -mn ip link set lo up 2>/dev/null; then
	FETCHER_OWN=yes exec unshare -mn --propagation private bash "$0" "$@"
fi
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
PROBE=$BUILD/tests/run/fetcher_probe
STRANGER=1879113728 # IDMAP_STRANGER
server=
[ -x "$PROBE" ] || skip "$PROBE is not built"
need_python_ssl
need openssl setpriv

clean_up_more() {
	exec 7>&- 8>&-
	[ -z "$server" ] || kill "$server" 2>/dev/null
	[ -z "${FETCHER_OWN-}" ] || umount "$W/disk" /etc 2>/dev/null
}

no_proxies
certificate good 'IP:127.0.0.1,IP:::1,DNS:registry.test,DNS:six.test,DNS:a.named.test'
certificate other
chmod 644 "$W/good.crt"
if [ -n "${FETCHER_OWN-}" ]; then
	ip link set lo up
	cp -a /etc "$W/etc"
	mount --bind "$W/etc" /etc
	printf '127.0.0.1 registry.test proxy.test\n::1 six.test\n' >>/etc/hosts
	echo 'hosts: mymachines resolve [!UNAVAIL=return] mdns4_minimal [NOTFOUND=return] dns' \
		>/etc/nsswitch.conf
	mkdir "$W/resolved"
	echo 'nameserver 127.0.0.1' >"$W/resolved/stub.conf"
	ln -sf "$W/resolved/stub.conf" /etc/resolv.conf
	mkdir "$W/disk"
fi
: >"$W/held"
mkfifo "$W/go"
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$SRC/tests/run/fetcher_server.py" "$W/good.crt" "$W/good.key" \
	"$W/held" <"$W/go" >"$W/ports" 2>"$W/server.log" &
server=$!
exec 7>"$W/go"
wait_for "$W/ports" || skip "no server: $(cat "$W/server.log")"

port() {
	sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$W/ports"
}

# wait_held WORD: until the server keeps such a request back
wait_held() {
	for _ in $(seq 200); do
		! grep -q "^$1" "$W/held" || return 0
		sleep 0.05
	done
	not_ok "$who: no request came: $(cat "$W/err")"
	return 1
}

# worker KIND: its pid
worker() {
	find /proc/[0-9]*/exe -lname "$W/bin/duet-worker" 2>/dev/null | while read -r exe; do
		if [ "$(tr '\0' ' ' <"${exe%exe}cmdline")" = "duet-worker $1 " ]; then
			exe=${exe%/exe}
			echo "${exe#/proc/}"
		fi
	done
}

# ids of WHO in the jail: "UID GID"
stranger() {
	case $who in
	root) echo "$STRANGER $STRANGER" ;;
	many)
		last=$(awk -F : -v name="duet-many-$$" '$1 == name { print $2 + $3 - 1 }' /etc/subuid)
		echo "$last $last" ;;
	*) echo "$(as "$who" id -u) $(as "$who" id -g)" ;;
	esac
}

# seen KIND: what the kernel says of the waiting worker
seen() {
	waiting=$(worker "$1")
	[ -n "$waiting" ] || {
		not_ok "$who: $1: no worker waits"
		return
	}
	lines=$(tr '\t' ' ' <"/proc/$waiting/status")
	read -r uid gid < <(stranger)
	for line in "Uid: $uid $uid $uid $uid" "Gid: $gid $gid $gid $gid" 'CapEff: 0000000000000000' \
		'CapPrm: 0000000000000000' 'CapInh: 0000000000000000' 'CapBnd: 0000000000000000' \
		'CapAmb: 0000000000000000' 'NoNewPrivs: 1' 'Seccomp: 2' 'Groups:  '; do
		has "$who: $1: status" "$lines " "$line"
	done
	is "$who: $1: ids of its namespace" "$(awk '{ print $1, $2, $3 }' "/proc/$waiting/uid_map")" "0 $uid 1"
	is "$who: $1: mounts" "$(awk '{ sub(",relatime", "", $6); print $5, $6, $9 }' "/proc/$waiting/mountinfo")" \
		'/ ro,nosuid,nodev,noexec tmpfs'
	is "$who: $1: files" "$(find "/proc/$waiting/root/" -mindepth 1 -printf '%P %m\n' | LC_ALL=C sort)" \
		"$(files_wanted)"
	is "$who: $1: what is there" "$(cd "/proc/$waiting/root/etc" && cat hosts resolv.conf nsswitch.conf \
		ssl/certs/ca-certificates.crt)" \
		"$(cat /etc/hosts /etc/resolv.conf; echo 'hosts: files dns'; cat "$W/good.crt")"
	for fd in "/proc/$waiting/fd"/*; do
		case ${fd##*/}:$(readlink "$fd") in
		[012]:/dev/null | 3:socket:* | *:anon_inode:*) ;;
		[012]:*) not_ok "$who: $1: $(ls -l "$fd")" ;;
		*:"$(readlink /proc/self/fd/8)") not_ok "$who: $1: the caller's socket: $fd" ;;
		*) [ ! -d "$fd" ] || not_ok "$who: $1: a folder: $(ls -l "$fd")" ;;
		esac
	done
}

files_wanted() {
	{
		printf '%s 555\n' etc etc/ssl etc/ssl/certs
		printf '%s 444\n' etc/nsswitch.conf etc/ssl/certs/ca-certificates.crt
		for file in etc/gai.conf etc/host.conf etc/hosts etc/resolv.conf; do
			[ ! -e "/$file" ] || echo "$file 444"
		done
	} | LC_ALL=C sort
}

# waits ADDRESS...: a pull as WHO that is kept back, with a folder and a socket left open by the caller
waits() {
	: >"$W/held"
	[ -z "${FETCHER_OWN-}" ] || mount -t tmpfs "disk-$who" "$W/disk"
	exec 8<>"/dev/tcp/127.0.0.1/$(port held)"
	SSL_CERT_FILE=$W/good.crt as "$who" $groups "$DUET" pull --store "$store" \
		"127.0.0.1:$(port registry)/held:latest" >"$W/out" 2>"$W/err" <&8 9</ &
	pull=$!
	if wait_held registry; then
		seen registry
		[ -z "${FETCHER_OWN-}" ] || is "$who: what is unmounted meanwhile" \
			"$(unmounted "$W/disk")" gone
	fi
	echo go >&7
	wait $pull
	is "$who: the pull ends" "$? $(cat "$W/err")" "0 $(cat "$W/err")"
	exec 8>&-
}

# The other operation with a network: a file of a mirror.
waits_for_file() {
	: >"$W/held"
	exec 8<>"/dev/tcp/127.0.0.1/$(port held)"
	printf 'duet: 1\nname: web\nimage:\n  from: {debian: bookworm}\n' >"$P/duet.yaml"
	SSL_CERT_FILE=$W/good.crt DUET_DEBIAN_MIRROR=http://127.0.0.1:$(port held)/debian as "$who" $groups \
		"$DUET" build --store "$store" -f "$P/duet.yaml" >"$W/out" 2>"$W/err" <&8 9</ &
	build=$!
	if wait_held plain; then
		seen fetch
	fi
	find /proc/[0-9]*/exe -lname "$DUET" 2>/dev/null | while read -r exe; do
		exe=${exe%/exe}
		kill "${exe#/proc/}" 2>/dev/null
	done
	wait $build 2>/dev/null
	exec 8>&-
}

# ---- from inside ---------------------------------------------------------------------------------

targets() {
	T=$W/targets-$who
	as "$who" mkdir -p "$T" 2>/dev/null || {
		mkdir "$T"
		chown "duet-$who-$$" "$T"
	}
	echo secret >"$T/secret"
	case $who in
	many | one) chown "duet-$who-$$" "$T/secret" ;;
	esac
	chmod 600 "$T/secret"
	rm -f "$W/listens"
	as "$who" /usr/bin/python3 -c '
import socket, sys
at = [sys.argv[1] + "/socket", "\0" + sys.argv[1]]
kept = [socket.socket(socket.AF_UNIX) for one in at]
for one, name in zip(kept, at):
    one.bind(name)
    one.listen(64)
print("listens", flush=True)
sys.stdin.read()' "$T" >"$W/listens" <"$W/targets-go" &
	exec 6>"$W/targets-go"
	wait_for "$W/listens"
}

code_inside() {
	[ -p "$W/targets-go" ] || mkfifo "$W/targets-go"
	mkdir -p "$W/fake"
	cp "$PROBE" "$W/fake/duet-worker"
	cp "$BUILD/duet-init" "$W/fake/"
	targets
	out='' count=0
	for name in $("$PROBE" list); do
		count=$((count + 1))
		text=$(DUET_LIBEXEC=$W/fake no_proxy=$T as "$who" $groups "$DUET" pull --store "$store" \
			"127.0.0.1:1/try/$name" 2>&1 <"$T" 9</)
		case $text in
		*"try $name: blocked"* | *'was killed by signal 31'*) ok "$name" ;;
		*) not_ok "$who: $name: $text" ;;
		esac
		! as "$who" "$W/fake/duet-worker" out "$name" "$T" >/dev/null 2>&1 </ || out="$out $name"
	done
	is "$who: all was tried" "$((count > 20))" 1
	exec 6>&-
	for name in secret passwd climb folder unix-file unix-abstract pair-datagram netlink fork code; do
		case " $out " in
		*" $name "*) ;;
		*) control missed "$who: outside of the jail $name does not get out" ;;
		esac
	done
	control tripped "outside of the jail these get out: $(echo "$out" | wc -w) of $count"
}

# ---- what must work ------------------------------------------------------------------------------

# pulls NAME HOST [VARIABLE=VALUE...]
pulls() {
	name=$1 host=$2
	shift 2
	rm -rf "$W/works"
	got=$(env SSL_CERT_FILE="$W/good.crt" "$@" "$DUET" pull --store "$W/works" "$host/free:latest" 2>&1) ||
		not_ok "$name: $got"
	has "$name" "$got" sha256:
}

works() {
	registry=$(port registry)
	pulls 'by localhost' "127.0.0.1:$registry"
	: >"$W/held"
	pulls 'through a proxy' "127.0.0.1:$registry" "https_proxy=http://127.0.0.1:$(port proxy)"
	has 'through a proxy' "$(cat "$W/held")" 'proxy 127.0.0.1'
	if [ -n "${FETCHER_OWN-}" ]; then
		pulls 'a name of /etc/hosts' "registry.test:$registry"
		pulls 'a proxy by its name' "127.0.0.1:$registry" \
			"https_proxy=http://proxy.test:$(port proxy)"
		[ -z "$(port six)" ] || pulls 'over IPv6' "six.test:$(port six)"
		[ -z "$(port dns)" ] || pulls 'a name of DNS' "a.named.test:$registry"
	fi
	# a file that only the caller can read
	cp "$W/good.crt" "$W/mine.crt"
	chmod 600 "$W/mine.crt"
	pulls 'certificates that only the caller can read' "127.0.0.1:$registry" "SSL_CERT_FILE=$W/mine.crt"
	for file in "$W/other.crt" "$W/none.crt" "$W"; do
		got=$(SSL_CERT_FILE=$file "$DUET" pull --store "$W/no" "127.0.0.1:$registry/free:latest" 2>&1) &&
			not_ok "pulled with $file"
		has "with $file" "$got" certificate
		[ "$file" = "$W/other.crt" ] || has "with $file" "$got" "$file"
	done
	has 'and what to do' "$got" 'SSL_CERT_FILE name a file'
	if [ -n "${FETCHER_OWN-}" ]; then
		rm -f /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
			/etc/ssl/ca-bundle.pem /etc/ssl/cert.pem
		got=$(unset SSL_CERT_FILE; "$DUET" pull --store "$W/no" "127.0.0.1:$registry/free:latest" 2>&1)
		has 'without certificates' "$got" /etc/ssl/certs/ca-certificates.crt
	fi
}

row R20 check 'a fault in what fetches: files, sockets, ids and rights of the host'
for who in $(all_users); do
	user_folders "$who" || skip 'cannot make users'
	groups=
	[ "$who" != root ] || groups='setpriv --groups 0,4,6'
	waits
	waits_for_file
	code_inside
done
if [ -n "${FETCHER_OWN-}" ]; then
	# who has the mounts in a namespace of his own keeps the file system alive
	mount -t tmpfs control "$W/disk"
	mkfifo "$W/end"
	unshare -m sh -c 'echo here >"$1"; read -r _ <"$2"' sh "$W/namespace" "$W/end" &
	wait_for "$W/namespace"
	[ "$(unmounted "$W/disk")" = alive ] || control missed 'a namespace does not keep what is unmounted'
	echo >"$W/end"
fi
row
works
no_leftovers 'at the end' "$W/works"
finish
