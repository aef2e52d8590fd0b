#!/bin/bash
# A Debian mirror that is hostile: a package of its own is started as root while the root is made, and
# tries every way out of the jail of Debian's tools (hostile_package.c), as root, as a user with subuids
# and as one without. What the jail is, seen from outside; that it ends with duet; that nothing outlives
# its step; packages whose bytes or names are not what was signed. Control: the same in a plain chroot.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
need mmdebstrap gpg gpgv dpkg-deb
PROBE=$BUILD/tests/run/hostile_package
[ -x "$PROBE" ] || skip "$PROBE is not built"
TRIES_MIN=65	# there are a few more
CONTROL_MIN=35	# of root; fewer would mean that the tries are no longer made well
SECRET=key-$$-$RANDOM
export GNUPGHOME=$W/gpg OWN_TOKEN=$SECRET
no_proxies

clean_up_more() {
	exec 8>&-
	[ -z "${server-}" ] || kill "$server" 2>/dev/null
	gpgconf --kill all 2>/dev/null
}

mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-generate-key test@example.org rsa2048 sign never 2>"$W/gpg.log" ||
	skip "gpg makes no key: $(cat "$W/gpg.log")"
gpg --export >"$W/own.gpg"

# what there is to go for, until descriptor 8 is closed
targets=$W/targets
mkdir -m 755 "$targets"
: >"$W/came"
mkfifo "$W/hold"
$PYTHON "$SRC/tests/run/hostile_targets.py" "$targets" $$ $((0x64000000 + $$)) "$W/came" <"$W/hold" \
	>"$W/port" 2>"$W/targets.log" &
exec 8>"$W/hold"
wait_for "$W/port" || skip "no listeners: $(cat "$W/targets.log")"
port=$(cat "$W/port")

# the archives by HTTP, too
mkdir "$W/archives"
(cd "$W/archives" && exec $PYTHON -u -m http.server --bind 127.0.0.1 0 >"$W/http" 2>&1 8>&-) &
server=$!
wait_for "$W/http" || skip 'no HTTP server'
http=http://127.0.0.1:$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$W/http")

sign() {
	gpg --batch --quiet --yes --clearsign -o "$1/InRelease" "$1/Release" 2>"$W/gpg.log" ||
		not_ok "gpg signs nothing: $(cat "$W/gpg.log")"
}

# archive MODE [FILENAME]: $archive, with one package; a probe for $who in it
archive() {
	archive=$W/archives/$who-$1
	tree=$W/tree-$who
	rm -rf "$archive" "$tree"
	mkdir -p "$archive/pool" "$tree/DEBIAN" "$tree/usr/bin" "$tree/dev"
	cp "$PROBE" "$tree/usr/bin/dpkg"
	ln -s usr/bin "$tree/bin"
	echo "$1 $targets $port $$ $((0x64000000 + $$)) $(as "$who" id -u) $(uname -n) $SECRET" >"$tree/probe"
	printf '%s\n' 'Package: own' 'Version: 1' 'Architecture: amd64' 'Essential: yes' \
		'Priority: required' 'Maintainer: Nobody <nobody@example.org>' 'Description: own' \
		>"$tree/DEBIAN/control"
	dpkg-deb --root-owner-group -Zgzip -b "$tree" "$archive/pool/own_1_amd64.deb" >"$W/deb.log" 2>&1 ||
		not_ok "dpkg-deb: $(cat "$W/deb.log")"
	$PYTHON "$SRC/tests/run/hostile_archive.py" "$archive" own ${2+"$2"}
	sign "$archive/dists/own"
	chmod -R a+rX "$archive"
}

# spec MIRROR
spec() {
	cp "$W/own.gpg" "$P/"
	printf '%s\n' 'duet: 1' 'name: own' \
		"image: {from: {debian: own, variant: essential, mirror: \"$1\", keyring: ./own.gpg}}" \
		>"$P/duet.yaml"
}

# A shell that is told when it gets a signal, and duet in a group with it and with nobody else.
cat >"$W/group.sh" <<'END2'
trap 'echo HUP >>"$1"' HUP
signals=$1
shift
"$@"
code=$?
[ ! -s "$signals" ] || exit 99
exit $code
END2

# build: exit code in $code, its words in $W/err
build() {
	rm -f "$W/signals"
	install -m 666 /dev/null "$W/signals"
	as "$who" setsid -w bash "$W/group.sh" "$W/signals" "$DUET" build -v --store "$store" -C "$P" \
		>"$W/out" 2>"$W/err" </dev/null
	code=$?
}

# the words of the probe: duet shows each as a line of its own
words() {
	sed -n 's/^.*\(escaped [a-z_0-9]*\|tried [0-9]*\|signalled\|the chroot holds\)$/\1/p' "$W/err"
}

# trying NAME: nothing got out, and all was tried
trying() {
	spec "$2"
	: >"$W/came"
	build
	is "$who: $1: it fails" "$code" 1
	expected=
	# with a single id root inside is the caller: that is said, and all else holds
	[ "$who" != one ] || expected='escaped caller_id'
	is "$who: $1: nothing gets out" "$(words | grep escaped)" "$expected"
	tried=$(words | sed -n 's/^tried //p')
	if [ "${tried:-0}" -ge $TRIES_MIN ]; then
		ok "$tried tried"
	else
		not_ok "$who: $1: tried ${tried:-nothing}: $(tail -n 20 "$W/err")"
	fi
	is "$who: $1: nobody outside is signalled" "$(cat "$W/signals")" ''
	is "$who: $1: nothing came to the listeners" "$(cat "$W/came")" ''
	is "$who: $1: the secret is in no word" "$(grep -c "$SECRET" "$W/err")" 0
	no_leftovers "$who: $1" "$store"
}

# Programs of the jail: those below this test's duet, in a PID namespace of their own.
jailed() {
	for status in /proc/[0-9]*/status; do
		awk -v OFS=' ' '/^PPid:/ { up = $2 } /^NSpid:/ { n = NF } /^Pid:/ { p = $2 }
			END { if (p) print p, up, n }' "$status" 2>/dev/null
	done | awk -v own="$(own_processes | cut -d / -f 3 | tr '\n' ' ')" '
		BEGIN { split(own, a, " "); for (i in a) below[a[i]] = 1 }
		{ up[$1] = $2; deep[$1] = $3 }
		END {
			for (pid in up) {
				for (at = pid; at in up && !(at in below); at = up[at])
					;
				if (at in below && deep[pid] > deep[1])
					print pid
			}
		}'
}

mounts_wanted='/
/dev/full
/dev/null
/dev/random
/dev/tty
/dev/urandom
/dev/zero
/etc/alternatives
/mirror
/proc
/proc/bus
/proc/fs
/proc/irq
/proc/sys
/target
/target/dev
/target/dev/full
/target/dev/null
/target/dev/random
/target/dev/tty
/target/dev/urandom
/target/dev/zero
/tmp
/usr
/usr/local
/usr/src'
writable_wanted='/dev/full
/dev/null
/dev/random
/dev/tty
/dev/urandom
/dev/zero
/proc
/target
/target/dev
/target/dev/full
/target/dev/null
/target/dev/random
/target/dev/tty
/target/dev/urandom
/target/dev/zero
/tmp'

# seen_process PID: what the kernel says of a program in the jail
seen_process() {
	lines=$(tr '\t' ' ' <"/proc/$1/status")
	name="$who: $(tr '\0' ' ' <"/proc/$1/cmdline" | cut -c -40)"
	for line in 'CapEff: 00000000800400fb' 'CapPrm: 00000000800400fb' 'CapBnd: 00000000800400fb' \
		'CapInh: 0000000000000000' 'CapAmb: 0000000000000000' 'Seccomp: 2'; do
		has "$name: status" "$lines" "$line"
	done
	# root of the jail is one of the map's ids; the caller is nobody there
	if [ "$who" != one ]; then
		case " $(grep '^[UG]id:' "/proc/$1/status" | tr '\t\n' '  ')" in
		*" $(as "$who" id -u) "*) not_ok "$name: it is the caller: $(grep '^[UG]id:' "/proc/$1/status")" ;;
		esac
	fi
	for space in user mnt pid net ipc uts cgroup; do
		[ "$(readlink "/proc/$1/ns/$space")" != "$(readlink "/proc/self/ns/$space")" ] ||
			not_ok "$name: it shares the host's $space namespace"
	done
	has "$name: memory" "$(tr -s ' ' <"/proc/$1/limits")" 'Max address space 4294967296 4294967296'
	is "$name: mounts" "$(awk '{ print $5 }' "/proc/$1/mountinfo" | grep -v '^/lib' | sort)" \
		"$mounts_wanted"
	is "$name: writable mounts" "$(awk '$6 !~ /^ro/ { print $5 }' "/proc/$1/mountinfo" | sort)" \
		"$writable_wanted"
	is "$name: mounts that take setuid or devices" \
		"$(awk '$6 !~ /nosuid/ && $5 !~ "/dev/" { print $5 }' "/proc/$1/mountinfo" |
		grep -vx /target)" ''
}

# What is seen of it from outside, and that it ends with duet.
watching() {
	archive wait
	spec "file://$archive"
	: >"$W/err"
	as "$who" setsid "$DUET" build -v --store "$store" -C "$P" >"$W/out" 2>"$W/err" </dev/null &
	starter=$!
	for _ in $(seq 600); do
		pids=$(jailed)
		first=${pids%%
*}
		[ -z "$first" ] || ! [ -e "/proc/$first/root/target/waiting" ] || break
		kill -0 $starter 2>/dev/null || break
		sleep 0.1
	done
	[ -e "/proc/$first/root/target/waiting" ] || not_ok "$who: the probe does not wait: $(tail "$W/err")"
	pids=$(jailed)
	[ "$(echo "$pids" | wc -w)" -ge 3 ] || not_ok "$who: programs in the jail: $pids: $(tail "$W/err")"
	for pid in $pids; do
		seen_process "$pid"
	done
	for pid in $(own_processes | cut -d / -f 3); do
		case " $(echo "$pids" | tr '\n' ' ') " in
		*" $pid "*) ;;
		*) kill -KILL "$pid" 2>/dev/null ;;
		esac
	done
	wait $starter 2>/dev/null
	# shellcheck disable=SC2086 # words on purpose
	soon_none "$who: a killed duet leaves nothing in the jail" still $pids
	# shellcheck disable=SC2086 # words on purpose
	for pid in $(still $pids); do
		kill -KILL "$pid"
	done
}

# still PID...: those that run
still() {
	for pid in "$@"; do
		awk '/^State:/ && $2 != "Z" { found = 1 } END { exit !found }' "/proc/$pid/status" 2>/dev/null &&
			echo "$pid"
	done
}

# What a program leaves behind is gone before its root is packed.
staying() {
	archive stay
	spec "file://$archive"
	build
	is "$who: a package that does nothing: $(tail -n 3 "$W/err")" "$code" 0
	as "$who" "$DUET" export --store "$store" -C "$P" --format tar "$W/home-$who/own.tar" \
		>"$W/out" 2>"$W/err" || not_ok "$who: export: $(cat "$W/err")"
	found=$(tar -tf "$W/home-$who/own.tar")
	has "$who: the root is packed" "$found" usr/bin/dpkg
	is "$who: with nothing of the host, and nothing written late" \
		"$(echo "$found" | grep -Ex '(\./)?(late|etc/hostname|etc/resolv\.conf)')" ''
}

# refused NAME CAUSE: and the probe did not run
refused() {
	build
	is "$who: $1: exit code" "$code" 1
	has "$who: $1: the cause" "$(cat "$W/err")" "$2"
	is "$who: $1: nothing ran" "$(words)" ''
	no_leftovers "$who: $1" "$store"
}

unsigned() {
	archive in
	# other bytes of the same length
	printf X | dd of="$archive/pool/own_1_amd64.deb" bs=1 seek=200 conv=notrunc status=none
	for url in "file://$archive" "$http/${archive##*/}"; do
		spec "$url"
		refused "a package with other bytes, ${url%%:*}" 'error[fetch.digest]'
	done
	archive in ../../own_1_amd64.deb
	spec "file://$archive"
	refused 'a file above the mirror' 'error[debian'
	archive in
	echo 'Label: more' >>"$archive/dists/own/Release"
	sed -i 's/^Date: .*/Date: Thu, 01 Jan 2026 00:00:00 UTC/' "$archive/dists/own/InRelease"
	spec "file://$archive"
	refused 'a list that was changed' 'error[fetch.signature]'
}

# The same program as root in a plain chroot: most of it gets through.
control_of() {
	archive out
	rm -rf "$W/plain"
	dpkg-deb -x "$archive/pool/own_1_amd64.deb" "$W/plain"
	unshare -mu chroot "$W/plain" /usr/bin/dpkg >"$W/out" 2>&1 </dev/null
	out=$(grep -c escaped "$W/out")
	[ "$out" -ge $CONTROL_MIN ]
	control_if $? "chroot: $out of $(sed -n 's/^tried //p' "$W/out") get out"
	is 'the listeners of the control' "$(grep -x 'tcp\|abstract\|path' "$W/came" | sort -u | tr '\n' ' ')" \
		'abstract path tcp '
}

row B14 check "a package of the spec's own mirror attacks the host"
users=${DUET_USERS-$(all_users)}
for who in $users; do
	user_folders "$who" || continue
	mkdir -p "$W/home-$who"
	[ "$who" = root ] || [ "$who" = self ] || chown "duet-$who-$$" "$P"
	# the caller's own
	install -m 600 /dev/null "$targets/secret"
	ln -sfn "$store" "$targets/store"
	[ "$who" = root ] || [ "$who" = self ] || chown "duet-$who-$$" "$targets/secret" "$targets"
	mkdir -p "$targets/mnt"
	archive in
	trying 'a mirror in a folder' "file://$archive"
	trying 'a mirror by HTTP' "$http/${archive##*/}"
	watching
	staying
	unsigned
	is_sound "$who" "$who" "$store"
done
if [ "$(id -u)" = 0 ]; then
	who=root
	chown root "$targets/secret"
	control_of
else
	control none 'the control needs root'
fi
finish
