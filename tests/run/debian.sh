#!/bin/bash
# A Debian suite as a source: as root, as a user with subuids and as one without; the same bytes each
# time and for root and users alike; packages are fetched once, also when the network breaks off; what
# cannot be made is refused with its cause. DUET_SOAK=1: trixie too, on both runners.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
command -v mmdebstrap >/dev/null || skip 'mmdebstrap is not installed'
command -v gpgv >/dev/null || skip 'gpgv is not installed'
upstream=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\?\([a-z]*:[^ ]*\) bookworm main.*/\2/p' \
	/etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
[ -n "$upstream" ] || skip "apt's sources name no mirror"
curl -fsS -o /dev/null "$upstream/dists/bookworm/InRelease" 2>/dev/null || skip 'the mirror is not reached'
P=$W/project
mkdir -p "$P"
chmod 755 "$P"

clean_up_more() {
	[ -z "${server-}" ] || kill "$server" 2>/dev/null
}

# the mirror on loopback, as $mirror
$PYTHON "$SRC/tests/run/mirror.py" "$upstream" "$W/asked" "$W/cut" >"$W/port" 2>"$W/mirror.log" &
server=$!
for _ in $(seq 100); do
	[ -s "$W/port" ] && break
	sleep 0.1
done
mirror=http://127.0.0.1:$(cat "$W/port")/debian

# spec NAME FROM
spec() {
	printf '%s\n' 'duet: 1' "name: $1" "image: {from: {$2}}" >"$P/duet.yaml"
}

fetched() {
	grep -c '\.deb$' "$W/asked"
}

store=$W/store-root
[ "$(id -u)" = 0 ] || store=$W/store-self

# the network breaks off in the middle: what had come is not fetched again
echo 20 >"$W/cut"
spec small "debian: bookworm, mirror: \"$mirror\""
"$DUET" build --store "$store" -C "$P" >"$W/out" 2>"$W/err"
is 'a network that breaks off: exit code' $? 1
has 'a network that breaks off: said so' "$(cat "$W/err")" 'duet.yaml:3:15: error[fetch.failed]'
is 'a network that breaks off: nothing is left' "$(ls -A "$store/v1/tmp")" ''
rm "$W/cut"
: >"$W/asked"
first=$("$DUET" build --store "$store" -C "$P" 2>"$W/err")
is 'the next try' $? 0
all=$("$DUET" run --store "$store" -C "$P" -- sh -c 'dpkg-query -f "x\n" -W | grep -c x' </dev/null 2>/dev/null)
[ "${all:-0}" -gt 50 ] && ok 'it is a Debian root' || not_ok "it has $all packages"
if [ "$(id -u)" != 0 ]; then
	again=$("$DUET" build --store "$W/store-second" -C "$P" 2>"$W/err")
	is 'the same bytes another time' "$again" "$first"
fi
came=$(fetched)
[ $came -lt "${all:-0}" ] && ok "what had come is not fetched again: $came of $all" ||
	not_ok "$came of $all packages were fetched again"
has 'it runs' "$("$DUET" run --store "$store" -C "$P" -- cat /etc/debian_version </dev/null 2>"$W/err")" 12.

# another root of the suite: only what is new
: >"$W/asked"
spec more "debian: bookworm, mirror: \"$mirror\", packages: [hello]"
"$DUET" build --store "$store" -C "$P" >/dev/null 2>"$W/err"
is 'with a package: exit code' $? 0
is 'with a package: only that is fetched' "$(fetched)" 1
has 'with a package: it is there' \
	"$("$DUET" run --store "$store" -C "$P" -- hello </dev/null 2>"$W/err")" 'Hello, world!'
if command -v qemu-system-x86_64 >/dev/null; then
	: >"$W/asked"
	has 'the same image as a VM' \
		"$("$DUET" run --on vm --store "$store" -C "$P" -- hello </dev/null 2>"$W/err")" 'Hello, world!'
	is 'nothing was made anew for it' "$(fetched)" 0
else
	echo 'as a VM: left out, QEMU is not installed'
fi
# each root has its list, of what is installed in it
is 'the packages are listed with their digests' \
	"$(grep -lE '^[0-9a-f]{64}  hello_[^ ]*\.deb$' "$store"/v1/blobs/sha256/*/* | wc -l)" 1
# shellcheck disable=SC2046 # words on purpose
is 'and all of them' \
	"$(grep -hcE '^[0-9a-f]{64}  [^ ]*\.deb$' $(grep -lE '^[0-9a-f]{64}  base-files_' "$store"/v1/blobs/sha256/*/*) |
	sort -n | tr '\n' ' ')" "$all $((all + 1)) "
is_sound root root "$store"
no_leftovers root "$store"

# other users: the same image, but for those without ids
if [ "$(id -u)" = 0 ]; then
	spec small "debian: bookworm, mirror: \"$mirror\""
	for who in many one; do
		make_user "$who" || continue
		chown "duet-$who-$$" "$P"
		mine=$(as "$who" "$DUET" build --store "$W/home-$who/store" -C "$P" 2>"$W/err")
		is "$who: exit code" $? 0
		if [ "$who" = many ]; then
			is "$who: the same bytes as root" "$mine" "$first"
		else
			has "$who: owners are lost, and that is said" "$(cat "$W/err")" single-uid
		fi
		has "$who: it runs" "$(as "$who" "$DUET" run --store "$W/home-$who/store" -C "$P" -- \
			cat /etc/debian_version </dev/null 2>>"$W/err")" 12.
		no_leftovers "$who" "$W/home-$who/store"
	done
fi

# refused NAME FROM WHAT
refused() {
	spec bad "$2"
	"$DUET" build --store "$store" -C "$P" >"$W/out" 2>"$W/err"
	is "$1: exit code" $? 1
	has "$1: the cause" "$(cat "$W/err")" "$3"
	is "$1: nothing is left" "$(ls -A "$store/v1/tmp")" ''
}

refused 'no such suite' "debian: bookwurm, mirror: \"$mirror\"" 'error[fetch.failed]'
refused 'no such package' "debian: bookworm, mirror: \"$mirror\", packages: [no-such-package]" \
	'Unable to locate package no-such-package'
: >"$P/keys.gpg"
refused 'keys that signed nothing' "debian: bookworm, mirror: \"$mirror\", keyring: ./keys.gpg" \
	'error[fetch.signature]'
refused 'nobody is there' 'debian: bookworm, mirror: "http://127.0.0.1:1/debian"' 'error[fetch.failed]'

if [ -n "${DUET_SOAK-}" ]; then
	spec trixie "debian: trixie, mirror: \"$mirror\""
	for runner in container vm; do
		has "trixie on $runner" "$("$DUET" run --on $runner --store "$store" -C "$P" -- \
			cat /etc/debian_version </dev/null 2>"$W/err")" 13.
	done
fi
finish
