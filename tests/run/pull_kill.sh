#!/bin/bash
# `duet pull` killed while layers come (pull_kill.py, against the mock): the store stays sound, and the
# next pull goes on where the killed one was. With DUET_SOAK at many more points.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
kill_point=$BUILD/tests/run/kill_point
which=some seconds=200
[ -z "${DUET_SOAK-}" ] || which=all seconds=3000

need_python_ssl
[ -x "$kill_point" ] || skip "$kill_point is not built"
certificate good
no_proxies
export SSL_CERT_FILE=$W/good.crt HOME=$W/home
mkdir "$HOME"

PYTHONDONTWRITEBYTECODE=1 timeout $seconds /usr/bin/python3 "$SRC/tests/run/pull_kill.py" \
	"$DUET" "$kill_point" "$W" $which >"$W/out" 2>"$W/err" || cat "$W/err"
report "$W/out" 'all points were tried'
no_leftovers 'at the end' "$W/store"
finish
