#!/bin/bash
# What is made to take memory: maps of holes without end, alone and several at once; a worker that meets
# its limit, wherever it does, says so.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
need zstd gzip
need_python_ssl
certificate good
no_proxies
export SSL_CERT_FILE=$W/good.crt HOME=$W/home PYTHONDONTWRITEBYTECODE=1
mkdir "$HOME" "$W/cases" "$W/project"
store=$W/store
try=$SRC/tests/run/hostile_memory.py

# build ARCHIVE: an image of it alone
build() {
	printf 'duet: 1\nname: memory\nimage:\n  from: {archive: %s}\n' "${1##*/}" >"$W/project/duet.yaml"
	ln -f "$1" "$W/project/"
	/usr/bin/python3 "$SRC/tests/run/box.py" 30 256 "$DUET" build --store "$store" \
		-f "$W/project/duet.yaml" >"$W/out" 2>"$W/err"
}

row T21 check 'maps of holes that take 50 times the memory of what they are'
/usr/bin/python3 "$try" maps "$W/cases" || exit 99
for file in "$W/cases"/map-*; do
	build "$file"
	is "${file##*/}: exit code, messages" "$?:$(wc -l <"$W/err")" 1:1
	has "${file##*/}: the message" "$(cat "$W/err")" 'error[layer.limit]: '
	has "${file##*/}: what it says" "$(cat "$W/err")" 'a map of holes of more than'
	is "${file##*/}: nothing is left" "$(find "$store/v1/tmp" "$store/v1/trees" -mindepth 1 -type f)" ''
done
if command -v bsdtar >/dev/null; then
	/usr/bin/python3 "$SRC/tests/run/box.py" 60 256 bsdtar -xOf "$W/cases/map-16.tar.gz" >/dev/null 2>&1
	[ $? = 241 ]
	control_if $? 'bsdtar: more than 256 MiB for the smallest of them'
else
	control none 'bsdtar is not installed'
fi

# ---- four layers at once ---------------------------------------------------------------------
read -r code peak said <<<"$(/usr/bin/python3 "$try" pull "$DUET" "$W" 2>&1)"
is 'four at once: exit code' "$code" 1
has 'four at once: the message' "$said" 'error[layer.limit]: '
[ "${peak:-0}" -gt 0 ] && [ "$peak" -lt $((512 * 1024)) ] && ok "four at once: $peak KiB together" ||
	not_ok "four at once: ${peak:-no} KiB together"

# ---- every worker has a limit ------------------------------------------------------------------
is 'the limits of workers, in bytes' "$(/usr/bin/python3 "$try" limits "$DUET" "$W" 2>&1)" \
	"registry=$((256 << 20)) unpack=$((256 << 20))"

# ---- the limit is met, at whatever it was that took memory ---------------------------------------
head -c 3000000 /dev/urandom >"$W/cases/random"
mkdir "$W/cases/files"
for number in $(seq 500); do
	echo "$number" >"$W/cases/files/$number"
done
cp "$W/cases/random" "$W/cases/files/"
tar -C "$W/cases/files" -cf - . | zstd -q --long=27 --zstd=wlog=27 -c --no-progress >"$W/cases/long.tar.zst"
# sweep ARCHIVE FROM STEP TO: within limits of so many KiB it is built, or the worker has no memory
sweep() {
	met=0 built=0
	for kib in $(seq "$2" "$3" "$4"); do
		rm -rf "$store"
		(ulimit -v "$kib" && build "$W/cases/$1")
		code=$?
		case $code:$(cat "$W/err") in
		0:*) built=$((built + 1)) ;;
		1:*'error[worker.memory]: '*) met=$((met + 1)) ;;
		*) not_ok "$1 within $kib KiB: exit code $code: $(cat "$W/err")" ;;
		esac
	done
	[ $met -gt 2 ] && ok "$1: the limit was met" || not_ok "$1: the limit was met $met times"
	[ $built -gt 2 ] && ok "$1: it was built" || not_ok "$1: it was built $built times"
}

# of libzstd, and of libarchive
sweep long.tar.zst 64000 20000 284000
sweep short.tar 64000 4000 124000
rm -rf "$store"
(ulimit -v 120000 && build "$W/cases/long.tar.zst")
has 'a worker without memory: the message' "$(cat "$W/err")" 'met the limit of its memory'
has 'a worker without memory: the mend' "$(cat "$W/err")" 'check where it comes from'
is 'a worker without memory: two lines' "$(wc -l <"$W/err")" 2
no_leftovers 'at the end' "$store"
row
finish
