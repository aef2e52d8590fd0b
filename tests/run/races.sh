#!/bin/bash
# Many duets on one store at once (races.py): no image is lost, none is another, nobody waits for ever, and
# each layer is fetched once. With DUET_SOAK 64 of them for ten minutes; the seed is printed, and taken from
# DUET_SEED.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
processes=12 seconds=10
[ -z "${DUET_SOAK-}" ] || processes=64 seconds=300
seed=${DUET_SEED:-$RANDOM}
echo "DUET_SEED=$seed"
need_python_ssl
certificate good
no_proxies
export SSL_CERT_FILE=$W/good.crt
small_tools="cat"
small_root
mkdir -p "$W/project/site"
echo page >"$W/project/site/index"
pack "$SMALL" "$W/project/root.tar.gz"
cat >"$W/project/duet.yaml" <<EOF
duet: 1
name: races
image:
  from: {archive: ./root.tar.gz}
  steps: [{copy: ./site, to: /srv/site}, {run: [cat, /srv/site/index]}]
target: {command: [cat, /srv/site/index]}
EOF

row F9 check+soak 'many at once on one store: pulls, builds, runs, exports, checks, gc'
PYTHONDONTWRITEBYTECODE=1 timeout $((seconds * 4 + 500)) /usr/bin/python3 "$SRC/tests/run/races.py" \
	"$DUET" "$W" $processes $seconds "$seed" >"$W/out" 2>"$W/err" || cat "$W/err"
report "$W/out" 'it came to its end'
control_mutant partial-not-awaited
no_leftovers end "$W/store"
finish
