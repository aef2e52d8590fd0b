#!/bin/bash
# Every example runs, and says what it is for.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh"
debian_root
export DEBIAN_ROOT=$ROOT

out=$("$DUET" run --store "$W/store" -C "$SRC/examples/hello" 2>/dev/null </dev/null)
is 'hello: exit code' $? 0
has 'hello: greets' "$out" "hello from Debian $(tar -xOzf "$ROOT" ./etc/debian_version), Linux $(uname -r), as root on hello"
has 'hello: no network but loopback' "$out" 'network: lo'
finish
