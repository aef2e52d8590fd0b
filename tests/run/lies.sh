#!/bin/bash
# A kernel that lies or does less than it was asked (lie_point.c) while duet and its workers build, pull,
# run and export: syncs that do nothing, reads and writes that move a few bytes at a time, writes that say
# they did and did not. What comes of it is right, or is refused, or is found by `duet store check`; after
# that the same command gives what it gives otherwise. (What syncs that do nothing leave on a disk whose
# power is cut is in power.sh.)
#
# What nothing can know is left alone (untold): trees and EROFS files have no digest before the first
# `duet store check`, which takes what it finds. A tree's file has its size all the same, so a lie in the
# middle of one of several pieces is left. Of pull and export every third write, with DUET_SOAK each.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
lie=$BUILD/tests/run/lie_point
[ -x "$lie" ] || skip "$lie is not built"
need_python_ssl
no_proxies
"$lie" sync 0 "$W/told" "$DUET" --version >/dev/null 2>&1
[ $? != 77 ] || skip 'tracing is not allowed here'
certificate good
export SSL_CERT_FILE=$W/good.crt

# The fewest bytes at a time; one is for an image that is small.
FEW=511
every=${DUET_SOAK:+1}
every=${every:-3}

P=$W/project
store=$W/store
small_tools="cat"
small_root
mkdir -p "$P/site/sub"
echo page >"$P/site/index"
echo more >"$P/site/sub/more"
pack "$SMALL" "$P/root.tar.gz"
cat >"$P/duet.yaml" <<EOF
duet: 1
name: lies
image:
  from: {archive: ./root.tar.gz}
  steps:
    - copy: ./site
      to: /srv/site
target:
  command: [cat, /srv/site/index, /srv/site/sub/more]
EOF
cat >"$P/tiny.yaml" <<EOF
duet: 1
name: tiny
image: {from: scratch, steps: [{copy: ./site, to: /srv}]}
EOF
printf '%s\n' 'duet: 1' 'name: archive' 'image: {from: {docker_archive: ./tiny-docker.tar}}' >"$P/archive.yaml"
content='page
more'
spec=(--store "$store" -f "$P/duet.yaml")
tiny=(--store "$store" -f "$P/tiny.yaml")

"$DUET" build -q "${spec[@]}" >/dev/null && "$DUET" export -q "${spec[@]}" "$W/image.tar" || exit 1
"$DUET" build -q "${tiny[@]}" >/dev/null && "$DUET" export -q "${tiny[@]}" "$W/tiny.tar" &&
	"$DUET" export -q "${tiny[@]}" --format docker-archive "$P/tiny-docker.tar" || exit 1
mkdir "$W/layout" "$W/layout-tiny"
tar -C "$W/layout" -xf "$W/image.tar"
tar -C "$W/layout-tiny" -xf "$W/tiny.tar"
mkfifo "$W/hold"
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$SRC/tests/run/registry_mock.py" "$W/good.crt" "$W/good.key" \
	--layout "$W/layout" lies --layout "$W/layout-tiny" lies-tiny <"$W/hold" >"$W/ports" &
exec 8>"$W/hold"
wait_for "$W/ports" || exit 1
reference=127.0.0.1:$(sed 's/.*"registry": \([0-9]*\).*/\1/' "$W/ports")/lies

# of each: what is there before, and what shows the content behind it
declare -A before=([run]=build [export]=build [export-tiny]=tiny) shows=([build]=run [run]=run [pull]=image [export]=tar)

# command_of NAME [TOOL...]: the command, started by a tool; what it says is what it gives
command_of() {
	case $1 in
	build) "${@:2}" "$DUET" build -q "${spec[@]}" ;;
	tiny) "${@:2}" "$DUET" build -q "${tiny[@]}" ;;
	pull-tiny) "${@:2}" "$DUET" pull -q --store "$store" "$reference-tiny:latest" ;;
	export-tiny) "${@:2}" "$DUET" export -q "${tiny[@]}" --format docker-archive "$W/out.tar" ;;
	archive) "${@:2}" "$DUET" build -q --store "$store" -f "$P/archive.yaml" ;;
	run) "${@:2}" "$DUET" run -q "${spec[@]}" ;;
	pull) "${@:2}" "$DUET" pull -q --store "$store" "$reference:latest" ;;
	export) "${@:2}" "$DUET" export -q "${spec[@]}" --format tar "$W/out.tar" ;;
	image) "$DUET" run -q --store "$store" --image "$reference:latest" -- cat /srv/site/index /srv/site/sub/more ;;
	tar) tar -xOf "$W/out.tar" srv/site/index srv/site/sub/more ;;
	esac 2>&1 </dev/null 8>&-
}

# prepare NAME: the store as it is before
prepare() {
	rm -rf "$store" "$W/out.tar"
	[ -z "${before[$1]-}" ] || command_of "${before[$1]}" >/dev/null
}

# lied NAME HOW N: runs it; sets `code`, `out`, `calls` and `where`
lied() {
	prepare "$1"
	out=$(command_of "$1" "$lie" "$2" "$3" "$W/told")
	code=$?
	read -r calls where <"$W/told"
	where=${where#"$store/"}
}

# A lie about a form's content; here it is libraries that have several pieces.
untold() {
	case $where in
	v1/tmp/*/image | v1/tmp/*/tree/*.so*) return 0 ;;
	esac
	return 1
}

# look_after NAME: what has to be after whatever it was; sets `bad`
look_after() {
	bad=
	if [ $code != 0 ]; then
		[ $code = 1 ] || [ $code = 125 ] || bad="$bad; exit code $code"
		[ "$(grep -c 'error\[' <<<"$out")" = 1 ] || bad="$bad; not one error"
	elif [ "$out" != "${wanted[$1]}" ]; then
		bad="$bad; it gave $out"
	fi
	"$DUET" store check --store "$store" >"$W/checked" 2>&1
	untold && return
	again=$(command_of "$1")
	[ "$again" = "${wanted[$1]}" ] || bad="$bad; again: $again"
	if [ -n "${shows[$1]-}" ]; then
		shown=$(command_of "${shows[$1]}")
		[ "$shown" = "$content" ] || bad="$bad; its content: $shown; $(cat "$W/checked")"
	fi
	sound=$("$DUET" store check --store "$store" 2>&1)
	[ "$sound" = 'the store is sound' ] || bad="$bad; $sound"
	[ -z "$(ls -A "$store/v1/tmp")" ] || bad="$bad; tmp holds $(ls -A "$store/v1/tmp")"
}

# judge WHAT NAME
judge() {
	look_after "$2"
	if [ -n "$bad" ]; then
		not_ok "$1${where:+ ($where)}: $code $out$bad"
	else
		ok "$1"
	fi
}

declare -A wanted=()
for each in build tiny pull run export pull-tiny export-tiny archive; do
	prepare $each
	wanted[$each]=$(command_of $each)
done
is 'run shows the content' "${wanted[run]}" "$content"

row F3 check 'syncs that do nothing, reads and writes that do less, writes that say they did and did not'
for each in build pull run export; do
	lied $each sync 0
	judge "$each: no sync is one" $each
	is "$each: no sync is one: what it gives" "$out" "${wanted[$each]}"
	[ $each = run ] || [ "$calls" -gt 0 ] || not_ok "$each: it synced nothing"
	lied $each short $FEW
	judge "$each: $FEW bytes at a time" $each
	is "$each: $FEW bytes at a time: what it gives" "$out" "${wanted[$each]}"
	[ "$calls" -gt 0 ] || not_ok "$each: nothing was made shorter"
done
for each in tiny pull-tiny export-tiny archive; do
	lied $each short 1
	judge "$each: one byte at a time" $each
	is "$each: one byte at a time: what it gives" "$out" "${wanted[$each]}"
done

found=0 left=0
for each in build pull run export; do
	lied $each write 0
	total=$calls
	[ $each = run ] || [ "$total" -gt 0 ] || not_ok "$each: it wrote nothing"
	# of what comes by threads the order is another each time, so each third is as good as another
	step=1
	case $each in
	pull | export) step=$every ;;
	esac
	number=1
	while [ "$number" -le "$total" ]; do
		lied $each write "$number"
		judge "$each: write $number of $total is a lie" $each
		number=$((number + step))
		if untold; then
			left=$((left + 1))
		elif [ $code != 0 ] || ! grep -q 'the store is sound' "$W/checked"; then
			found=$((found + 1))
		fi
	done
	echo "$each: $total writes"
done
echo "$found lies were refused or found, $left are within forms"
[ $found -gt 10 ] || not_ok 'too few lies were found'
control_mutant tree-file-kept
exec 8>&-
no_leftovers end "$store"
finish
