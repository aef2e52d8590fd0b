#!/bin/bash
# A Debian layer of about 450 MB, gzip, to an EROFS file that is on the disk, with both digests, by the
# worker in its jail; igzip into a file as the floor, in turns; the clock stops when the file system is
# synced. The layer is warm in the page cache. Then the worker's peak memory on a layer of 300,000
# small files, and how much of the image is no content.
#
#	DUET_BENCH_TAR=FILE	a tar.gz to measure with, instead of making one
#	DUET_BENCH_LAYER_ROUNDS=N	7 unless told
#	DUET_BENCH_FILES=N	300000 unless told
#
# 1 when a target is missed. As root. Needs about 2 GB under the build folder.
. "${srcdir:-.}/tests/run/lib.sh"
. "${srcdir:-.}/tests/bench/lib.sh"

[ "$(id -u)" = 0 ] || skip 'not root'
need igzip python3
rounds=${DUET_BENCH_LAYER_ROUNDS:-7}
files=${DUET_BENCH_FILES:-300000}
disk=$BUILD/bench-erofs
worker=$W/bin/erofs_worker
cp "$BUILD/tests/run/erofs_worker" "$worker"
trap 'rm -rf "$disk"; clean_up' EXIT
mkdir -p "$disk"

measure() {
	rm -f "$disk/out"
	sync
	timed "$@"
}

make_tar
cat "$tar" >/dev/null
round=0
while [ $round -lt "$rounds" ]; do
	measure igzip sh -c 'igzip -dc <"$0" >"$1"' "$tar" "$disk/out"
	measure erofs "$worker" "$tar" "$disk/out"
	round=$((round + 1))
done
medians
ratios "$(column "$W/medians" igzip 3)"
content=$("$worker" "$tar" "$disk/out" | sed 's/.*bytes //')
echo "a layer of $(wc -c <"$tar") bytes, $(igzip -dc <"$tar" | wc -c) unpacked, to a synced" \
	"$(stat -f -c %T "$disk"); $rounds rounds in turns; ratios to igzip"
show "$W/table"
target 'the worker to igzip' "$(column "$W/table" erofs 5)" 1.35
target 'the image to its content' "$(ratio "$(stat -c %s "$disk/out")" "$content")" 1.03

many=$W/many.tar.gz
python3 "$SRC/tests/bench/many_files.py" "$files" 1500 | igzip -1 -c >"$many" || exit 99
: >"$W/times"
measure erofs "$worker" "$many" "$disk/out"
echo "a layer of $files files of 1500 bytes"
show "$W/times"
target 'peak memory, MiB' "$(ratio "$(column "$W/times" erofs 6)" 1024)" 128
verdict
