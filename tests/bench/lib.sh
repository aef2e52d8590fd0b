# shellcheck shell=sh
# Sourced by the benches after tests/run/lib.sh: tables, targets, needs.
#
#	need PROGRAM...		77 when one is missing
#	show FILE		timeit's lines as a table
#	column FILE NAME N	one cell of them
#	target WHAT GOT MAX	prints the verdict; counts what is missed
#	verdict			exits 1 when a target was missed
#	make_tar		sets $tar: a Debian layer of about 450 MB, gzip (DUET_BENCH_TAR, or made once)

# shellcheck disable=SC2034 # TIMEIT is for the scripts that source this
TIMEIT=$BUILD/tests/bench/timeit
missed=0

need() {
	for program in "$@"; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
}

show() {
	awk -F '\t' 'BEGIN { printf "%-16s %10s %10s %10s %7s %9s\n", "", "least ms", "median ms",
			"p95 ms", "ratio", "peak MiB" }
		{ printf "%-16s %10.2f %10.2f %10.2f %7.2f %9.1f\n", $1, $2 / 1000, $3 / 1000,
			$4 / 1000, $5, $6 / 1024 }' "$1"
}

column() {
	awk -F '\t' -v name="$2" -v number="$3" '$1 == name { print $number }' "$1"
}

# ratio A B
ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'
}

target() {
	if [ -n "$2" ] && awk -v got="$2" -v max="$3" 'BEGIN { exit !(got <= max) }'; then
		echo "met     $1: $2, at most $3"
	else
		echo "MISSED  $1: $2, at most $3"
		missed=$((missed + 1))
	fi
}

verdict() {
	[ $missed = 0 ]
	exit
}

make_tar() {
	tar=${DUET_BENCH_TAR:-$BUILD/bench-layer.tar.gz}
	[ -s "$tar" ] && return
	need mmdebstrap
	mmdebstrap --quiet --variant=standard --include=git,python3 --format=tar bookworm - \
		2>"$W/mmdebstrap.log" | gzip >"$tar.part" || {
		cat "$W/mmdebstrap.log"
		exit 99
	}
	mv "$tar.part" "$tar"
}
