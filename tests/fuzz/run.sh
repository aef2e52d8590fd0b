#!/bin/sh
# Fuzzes: run.sh TARGET... (after `make fuzz`, in the build folder), each for FUZZ_SECONDS (300). What is
# new goes to fuzz/found/TARGET; what fails to fuzz/failed/TARGET-*, and makes this fail.
set -eu
srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
seconds=${FUZZ_SECONDS:-300}
failed=0

export ASAN_OPTIONS="${ASAN_OPTIONS:-allocator_may_return_null=1}"
for target in "$@"; do
	name=${target##*/}
	mkdir -p "fuzz/found/$name" fuzz/failed
	if "fuzz/tests/fuzz/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
		-malloc_limit_mb=1024 -max_len=16384 -print_final_stats=1 -use_value_profile=1 \
		-artifact_prefix="fuzz/failed/$name-" "fuzz/found/$name" \
		"$srcdir/tests/fuzz/corpus/$name" >"fuzz/$name.log" 2>&1; then
		result=well
	else
		result=FAILED
		failed=1
	fi
	printf '%-10s %s: %s executions, %s\n' "$name" "$result" \
		"$(sed -n 's/^stat::number_of_executed_units: *//p' "fuzz/$name.log")" \
		"$(sed -n 's/.*\(cov: [0-9]* ft: [0-9]* corp: [0-9]*\).*/\1/p' "fuzz/$name.log" | tail -1)"
	if [ $result = FAILED ]; then
		sed -n '/ERROR\|does not hold\|runtime error/,$p' "fuzz/$name.log" | head -40
	fi
done
exit $failed
