#!/bin/bash
# Allocations that fail, in duet and in each kind of worker (no_memory.py): every one of reading a spec and
# of planning, some of what builds, pulls and runs. With DUET_SOAK every one of all of them.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
which=some seconds=1500
[ -z "${DUET_SOAK-}" ] || which=all seconds=7200
tools=$BUILD/tests/run
for program in duet_dynamic no_memory no_memory_start; do
	[ -x "$tools/$program" ] || skip "$tools/$program is not built"
done
grep -q __asan_init "$BUILD/duet-worker" && skip 'the sanitizer has allocations of its own'

need_python_ssl
no_proxies
small_root
pack "$SMALL" "$W/root.tar.zst"
mkdir -p "$W/memory"
certificate good
cp "$W/good.crt" "$W/good.key" "$W/memory/"
export SSL_CERT_FILE=$W/good.crt
mv "$W/bin/duet-worker" "$W/bin/duet-worker.true"
cp "$tools/no_memory_start" "$W/bin/duet-worker"
cp "$tools/duet_dynamic" "$W/bin/duet"
cp "$tools/no_memory" "$W/no_memory.so"
mv "$W/root.tar.zst" "$W/memory/"
chmod 755 "$W/bin"/*

row F4 check+soak 'allocations that fail, one after the other, in duet and in its workers'
PYTHONDONTWRITEBYTECODE=1 timeout $seconds /usr/bin/python3 "$SRC/tests/run/no_memory.py" \
	"$DUET" "$W/no_memory.so" "$W/memory" $which >"$W/out" 2>"$W/err" || cat "$W/err"
report "$W/out" 'all points were tried'
control_mutant memory-of-texts
no_leftovers 'at the end' "$W/memory/store"
finish
