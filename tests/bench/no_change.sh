#!/bin/bash
# Processor time of a build that has nothing to do: ten copy steps over a context of 1000 files, on a scratch
# image; then, where there is a buildah, of its cached build of the same.
#
#	DUET_BENCH_ROUNDS=N	20 unless told
#
# 1 when the target is missed.
. "${srcdir:-.}/tests/run/lib.sh"
. "${srcdir:-.}/tests/bench/lib.sh"
rounds=${DUET_BENCH_ROUNDS:-20}
P=$W/project
mkdir -p "$P"

printf '%s\n' 'duet: 1' 'name: bench' 'image:' '  from: scratch' '  steps:' >"$P/duet.yaml"
echo 'FROM scratch' >"$P/Dockerfile"
for step in 0 1 2 3 4 5 6 7 8 9; do
	mkdir -p "$P/part$step/a" "$P/part$step/b"
	for file in $(seq 50); do
		echo "$step $file" >"$P/part$step/a/$file"
		echo "$step $file" >"$P/part$step/b/$file"
	done
	printf '%s\n' "    - copy: ./part$step" "      to: /srv/$step" >>"$P/duet.yaml"
	echo "COPY part$step /srv/$step" >>"$P/Dockerfile"
done
# each step takes all of it
sed 's,copy: .*,copy: .,' "$P/duet.yaml" >"$W/all.yaml"
mv "$W/all.yaml" "$P/all.yaml"
sleep 2.1 # what changed just now is not remembered

contenders=(duet "$DUET" build --store "$W/store" -f "$P/duet.yaml"
	+++ 'duet, 10 x 1000' "$DUET" build --store "$W/store-all" -f "$P/all.yaml")
cat >"$W/buildah" <<END
#!/bin/sh
exec buildah --root $W/root --runroot $W/run --storage-driver vfs bud --layers --isolation chroot -t bench $P
END
chmod +x "$W/buildah"
if command -v buildah >/dev/null && "$W/buildah" >"$W/log" 2>&1; then
	contenders+=(+++ buildah "$W/buildah")
else
	echo 'buildah is not here, or cannot build: no comparison'
fi
"$DUET" build --store "$W/store" -f "$P/duet.yaml" >/dev/null 2>&1 &&
	"$DUET" build --store "$W/store-all" -f "$P/all.yaml" >/dev/null 2>&1 || exit 99
"$TIMEIT" -c -n "$rounds" "${contenders[@]}" >"$W/table" || exit 99
echo 'processor time:'
show "$W/table"
target 'a build of ten steps and 1000 files that has nothing to do, us of processor time' \
	"$(column "$W/table" duet 3)" 20000
verdict
