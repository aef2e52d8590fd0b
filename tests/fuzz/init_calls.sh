#!/bin/sh
# init_calls.sh OBJECT: the fuzz target of duet-init has all of duet-init in it, which mounts, kills
# everybody and restarts the machine. Its object may call nothing but what is listed here.
set -eu
object=$1
harmless='fuzz_[a-z]*|mem[a-z]*|str[a-z]*|stpcpy|sig(add|empty)set|s(n|)printf|sscanf|abort'
built_in='__errno_location|__isoc99_sscanf|_*longjmp(_chk)?|_*setjmp|__(asan|ubsan|sanitizer)_.*'
guards='__stack_chk_fail|__[a-z]*_chk|_GLOBAL_OFFSET_TABLE_|__(start|stop)___sancov_[a-z]*|__sancov_.*'

calls=$(nm -u "$object" | awk '{ print $NF }' | grep -vxE "$harmless|$built_in|$guards" || true)
[ -z "$calls" ] || {
	echo "$object calls the system:" >&2
	echo "$calls" >&2
	exit 1
}
