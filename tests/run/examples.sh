#!/bin/bash
# Every example runs, and says what it is for.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
command -v mmdebstrap >/dev/null || skip 'mmdebstrap is not installed'
runners=container
if command -v qemu-system-x86_64 >/dev/null; then
	runners='container vm'
else
	echo 'on a VM: left out, QEMU is not installed'
fi

# example NAME TEXT: it runs on each side, and says TEXT
example() {
	for runner in $runners; do
		out=$("$DUET" run --on $runner --store "$W/store" -C "$SRC/examples/$1" 2>"$W/err" </dev/null)
		is "$1 on $runner: exit code" $? 0
		has "$1 on $runner: what it says" "$out" "$2"
	done
}

for example in "$SRC"/examples/*/; do
	"$DUET" check -q -C "$example" || not_ok "$example: not a valid spec"
done
example hello 'hello from Debian 12.'
case $runners in
*vm) case $out in
	*"Linux $(uname -r),"*) not_ok "hello on a VM: it has the host's kernel" ;;
	*) ok 'hello on a VM: another kernel' ;;
	esac ;;
esac
has 'no network but loopback' "$out" 'network: lo'
example static 'one file, no distribution around it'
if [ -n "${DUET_SOAK-}" ]; then
	example nginx 'The same page, behind two kinds of wall.'
	example c-project 'primes: checked, with'
fi
finish
