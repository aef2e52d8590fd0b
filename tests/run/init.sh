#!/bin/bash
# duet init: a first spec; nothing is written over. Of Dockerfiles: tests/golden/dockerfile, init_buildah.sh.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
mkdir "$W/first"
cd "$W/first" || exit 99
"$DUET" init 2>"$W/err"
is 'a first spec' "$? $(cat "$W/err")" '0 '
is 'it is valid' "$("$DUET" check 2>&1)" 'duet: note: duet.yaml is a valid spec'
has 'it has the name of the folder' "$(cat duet.yaml)" 'name: first'
before=$(cat duet.yaml)
"$DUET" init 2>"$W/err"
is 'it is not written over' "$? $(cat duet.yaml)" "2 $before"
has 'and says so' "$(cat "$W/err")" 'error[usage]: make duet.yaml: File exists'
ln -s nowhere link.yaml
"$DUET" init -f link.yaml 2>/dev/null
is 'a link is not followed' "$? $(ls)" "2 duet.yaml
link.yaml"
"$DUET" init -f other.yaml --from missing 2>"$W/err"
has 'a Dockerfile that is not there' "$? $(cat "$W/err")" '1 duet: error[host.system]: open missing'

finish
