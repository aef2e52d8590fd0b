#!/bin/sh
# Builds the fuzz targets in fuzz/ of the build folder, configured of its own: build.sh TARGET...
# Exits 77 where there is no clang with libFuzzer.
set -eu
srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
compiler=${FUZZ_CC:-}
for name in clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14; do
	[ -n "$compiler" ] || ! command -v "$name" >/dev/null || compiler=$name
done
[ -n "$compiler" ] || {
	echo 'there is no clang: apt-get install clang' >&2
	exit 77
}
mkdir -p fuzz
cd fuzz
echo 'int LLVMFuzzerTestOneInput(const void *data, long size) { return data && size < 0; }' >try.c
"$compiler" -fsanitize=fuzzer,address,undefined -o try try.c || {
	echo "$compiler has no libFuzzer: apt-get install libclang-rt-14-dev (of clang's version)" >&2
	exit 77
}
rm -f try try.c
if [ -z "$(find Makefile -newer "$srcdir/configure" 2>/dev/null)" ]; then
	"$srcdir/configure" -q --enable-fuzzing CC="$compiler" CFLAGS='-O1 -g' >configure.out || {
		cat configure.out >&2
		exit 1
	}
	touch Makefile
fi
exec "${MAKE:-make}" -s "$@"
