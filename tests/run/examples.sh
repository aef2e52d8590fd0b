#!/bin/bash
# Every example runs, and says what it is for.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh"
debian_root
export DEBIAN_ROOT=$ROOT

out=$("$DUET" run --store "$W/store" -C "$SRC/examples/hello" 2>/dev/null </dev/null)
is 'hello: exit code' $? 0
has 'hello: greets' "$out" "hello from Debian $(tar -xOzf "$ROOT" ./etc/debian_version), Linux $(uname -r), as root on hello"
if command -v qemu-system-x86_64 >/dev/null; then
	out=$("$DUET" run --on vm --store "$W/store" -C "$SRC/examples/hello" 2>"$W/log" </dev/null)
	is 'hello on a VM: exit code' $? 0
	has 'hello on a VM: greets' "$out" "hello from Debian $(tar -xOzf "$ROOT" ./etc/debian_version), Linux "
	case $out in
	*"Linux $(uname -r),"*) not_ok "hello on a VM: it has the host's kernel" ;;
	*) ok 'hello on a VM: another kernel' ;;
	esac
else
	echo 'hello on a VM: left out, QEMU is not installed'
fi
has 'no network but loopback' "$out" 'network: lo'
finish
