#!/bin/bash
# duet and its workers killed at one system call after another during `duet build`. After each: the
# next build gives the same image, the store is sound, tmp/ is empty and no process is left.
#
#	kill.sh [EVERY]		every EVERYth call is a kill point (10); 1 takes all of them and as long
#				as it takes, else the points are thinned evenly to fit into SECONDS_MAX
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
every=${1:-10}
SECONDS_MAX=400
POINTS_MIN=20	# for each of the two; fewer would mean that the sweep saw nothing
kill_point=$BUILD/tests/run/kill_point
[ -x "$kill_point" ] || skip "$kill_point is not built"

P=$W/project
store=$W/store
mkdir -p "$P/input/etc/deep/er" "$P/site/sub"
for number in $(seq 40); do
	echo "content $number" >"$P/input/etc/file-$number"
done
ln -s etc/file-1 "$P/input/link"
ln "$P/input/etc/file-2" "$P/input/etc/deep/hard"
echo page >"$P/site/index"
echo more >"$P/site/sub/more"
pack "$P/input" "$P/input.tar.gz"
touch -d '1 hour ago' "$P/input.tar.gz"
cat >"$P/duet.yaml" <<EOF
duet: 1
name: killed
image:
  from: scratch
  steps:
    - archive: ./input.tar.gz
    - copy: ./site
      to: /etc/site
EOF

build() {
	"$DUET" build --store "$store" -f "$P/duet.yaml"
}

# Everything after one kill. Sets `bad` to what is wrong.
look_after() {
	bad=
	id=$(build 2>"$W/err")
	[ "$id" = "$wanted" ] || bad="the next build gave \`$id\`: $(cat "$W/err")"
	sound=$("$DUET" store check --store "$store" 2>&1)
	[ "$sound" = 'the store is sound' ] || bad="$bad; $sound"
	[ -z "$(ls -A "$store/v1/tmp")" ] || bad="$bad; tmp holds $(ls -A "$store/v1/tmp")"
}

# Thins the points so that both sweeps fit into SECONDS_MAX: three points tell what one costs.
fit() {
	began=$(date +%s%N)
	for quarter in 1 2 3; do
		one_point $((total * quarter / 4))
	done
	each_ms=$((($(date +%s%N) - began) / 3000000 + 1))
	most=$((SECONDS_MAX * 1000 / 2 / each_ms))
	[ $((total / stride)) -le $most ] || stride=$((total / most + 1))
}

# Kills `who` at one call; sets `code` and `bad`.
one_point() {
	rm -rf "$store"
	"$kill_point" "$who" "$1" "$DUET" build --store "$store" -f "$P/duet.yaml" \
		>"$W/out" 2>"$W/kill-err"
	code=$?
	[ $code != 77 ] || skip 'tracing is not allowed here'
	look_after
	[ $code != 2 ] || bad="$bad; $(cat "$W/kill-err")"
}

# sweep WHO: counts one `ok` for each point
sweep() {
	who=$1
	rm -rf "$store"
	total=$("$kill_point" "$who" 0 "$DUET" build --store "$store" -f "$P/duet.yaml" 2>/dev/null |
		tail -n 1)
	[ "${total:-0}" -gt 0 ] || {
		not_ok "$who: no calls seen"
		return
	}
	stride=$every
	[ "$every" = 1 ] || fit
	points=0
	point=1
	while [ "$point" -le "$total" ]; do
		one_point "$point"
		if [ -n "$bad" ]; then
			not_ok "$who, killed at call $point of $total: $bad"
			[ $failed -lt 20 ] || finish
		elif [ $code = 0 ]; then
			ok "$who, killed at call $point of $total"
		fi
		[ $code != 0 ] || points=$((points + 1))
		point=$((point + stride))
	done
	echo "$who: $points kill points of $total calls, every $stride"
	[ $points -ge $POINTS_MIN ] || not_ok "$who: only $points points"
}

"$kill_point" duet 0 "$DUET" --version >/dev/null 2>&1
[ $? != 77 ] || skip 'tracing is not allowed here'
wanted=$(build 2>"$W/err") || {
	cat "$W/err"
	exit 1
}
row F1 check+soak 'duet and its workers are killed at one system call after another'
sweep duet
sweep worker
no_leftovers end "$store"
control_mutant store-tmp-lock
finish
