#!/bin/bash
# Dockerfiles of a few lines and the specs that they become: NAME.dockerfile, NAME.yaml with what was
# said on standard error below a line "# ---". Each spec is a valid one. UPDATE=1 writes them anew.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh"
GOLDEN=$SRC/tests/golden/dockerfile
mkdir "$W/web"
cd "$W/web" || exit 99
touch a.txt b.txt c.txt root.tar.xz old.tar.bz2 g.txt 'with blank' 'e$.txt' x.md
mkdir dir
touch .hidden.log one.log dir/one.only .only-hidden
ln -s a.txt link
touch one.tar two.tar.gz

for file in "$GOLDEN"/*.dockerfile; do
	name=$(basename "$file" .dockerfile)
	rm -f duet.yaml
	cp "$file" Dockerfile
	"$DUET" init --from Dockerfile 2>"$W/err"
	code=$?
	{
		[ ! -e duet.yaml ] || tail -n +2 duet.yaml
		echo "# --- $code"
		cat "$W/err"
	} >"$W/got"
	[ -z "${UPDATE-}" ] || cp "$W/got" "$GOLDEN/$name.yaml"
	is "$name" "$(cat "$W/got")" "$(cat "$GOLDEN/$name.yaml")"
	case $name in
	error-*)
		is "$name: nothing is written" "$([ -e duet.yaml ] && echo there)" '' ;;
	*)
		is "$name: the spec is valid" "$("$DUET" check 2>&1)" 'duet: note: duet.yaml is a valid spec' ;;
	esac
done
finish
