#!/bin/sh
# Sizes: 500 lines a file, of the tests too; 80 a function of the programs. Exceptions are named here,
# with the reason.
set -eu
cd "${srcdir:-$(dirname "$0")/../..}"
bad=0

for file in $(find cmd core builders runners tests -name '*.[ch]' -o -path 'tests/*.sh' -o -path 'tests/*.py' | sort); do
	lines=$(wc -l <"$file")
	if [ "$lines" -gt 500 ]; then
		echo "$file: $lines lines; make it a folder" >&2
		bad=1
	fi
done

# a function is what stands between a line "{" and a line "}"
find cmd core builders runners -name '*.c' | sort | xargs awk '
	FNR == 1 { open = 0 }
	/^{$/ { open = FNR }
	/^}$/ && open {
		if (FNR - open + 1 > 80) {
			printf "%s:%d: a function of %d lines; name its stages\n", FILENAME, open, FNR - open + 1
			bad = 1
		}
		open = 0
	}
	END { exit bad }' >&2 || bad=1
exit $bad
