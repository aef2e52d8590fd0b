#!/bin/bash
# The table of threats: runs the tests that have rows of it and prints one line a row: what is tried,
# in which tier, what came of it, and the control (the same attempt on what has no such defence).
#
#	security.sh		runs them (`make check-security`)
#	security.sh table	prints what the last runs left (`make security-table`, behind `make check`)
#
# Exit code 1 when a row failed, is missing, or has a control that did not trip.
set -u
SRC=$(cd "${srcdir:-.}" && pwd)
rows=${DUET_ROWS:-$(pwd)/rows}
scripts='build_rows caches copy debian_hostile fetcher host_paths hostile hostile_host hostile_memory
hostile_run hostile_spec kill lies memory mounts no_memory power proofs races registry_auth
registry_faults setid signals surroundings terminal vm vm_boots vm_flood vm_jail vm_kill walls'
# every row that has to be there; a script that dies half-way leaves none
expected='INTACT R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 R12 R13 R14 R15 R16 R17 R18 R19 R20 T1 T2 T3 T4 T5
T6 T7 T8 T9 T10 T11 T12 T13 T14 T15 T16 T17 T18 T19 T20 T21 Y1 Y2 Y3 Y4 Y5 Y6 Y7 C1 C2 C3 C4
C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C20 C22 C23 C24 C25 C26 C27 C28 C29 C30 C31 C32
C33 C34 C35 C36 B1 B2 B3 B4 B5 B6 B7 B8 B9 B10 B11 B12 B13 B14 B15 V1 V2 V3 V4 V5 V6 V7 V8 V9
V10 V11 V12 V13 V14 V15 V16 V17 V18 V19 F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 F11'
bad=0

if [ "${1-}" != table ]; then
	rm -rf "$rows"
	for script in $scripts; do
		echo "== $script"
		srcdir=$SRC bash "$SRC/tests/run/$script.sh" || {
			code=$?
			echo "== $script: exit code $code"
			[ $code = 77 ] || bad=1
		}
	done
fi

# A row may be in several scripts: the counts are added, the worst of results and controls stays.
cat "$rows"/* 2>/dev/null | awk -F '\t' -v expected="$expected" '
	function worse_control(a, b) {
		if (a == "missed" || b == "missed")
			return "missed"
		if (a == "tripped" || b == "tripped")
			return "tripped"
		return a == "none" ? a : b
	}
	{
		if ($1 in what) {
			if (good[$1] ~ /^ok / && $3 ~ /^ok /)
				good[$1] = "ok " (substr(good[$1], 4) + substr($3, 4))
			else if ($3 !~ /^ok / && good[$1] !~ /^FAILED/)
				good[$1] = $3
			if ($4 == "tripped" && control[$1] != "tripped" || $4 == "missed")
				why[$1] = $5
			control[$1] = worse_control(control[$1], $4)
		} else {
			what[$1] = $6; tier[$1] = $2; good[$1] = $3; control[$1] = $4; why[$1] = $5
		}
	}
	END {
		format = "%-6s  %-74s  %-10s  %-14s  %s\n"
		printf format, "row", "what is tried", "tier", "result", "control"
		count = split(expected, ids, /[ \n]+/)
		for (i = 1; i <= count; i++) {
			id = ids[i]
			if (!(id in what)) {
				printf format, id, "", "", "MISSING", ""
				bad = 1
				continue
			}
			if (good[id] ~ /^FAILED/ || control[id] == "missed" || control[id] == "missing")
				bad = 1
			printf format, id, what[id], tier[id], good[id], control[id] ": " why[id]
		}
		exit bad
	}' || bad=1
exit $bad
