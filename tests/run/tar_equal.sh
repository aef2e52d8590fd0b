#!/bin/sh
# What duet unpacks equals what GNU tar unpacks: owner, mode, time, links, attributes, content. A tree
# of all that is odd, in every format and wrapping, and a Debian root where mmdebstrap can make one.
set -u
SRC=$(cd "${srcdir:-.}" && pwd)
UNPACK=$(pwd)/tests/run/unpack_tree
LIST="/usr/bin/python3 $SRC/tests/run/tree_list.py"

skip() {
	echo "$1"
	exit 77
}

[ "$(id -u)" = 0 ] || skip "not root: owners cannot be set"
[ -x "$UNPACK" ] || skip "$UNPACK is not built"
[ -x /usr/bin/python3 ] || skip "no /usr/bin/python3"
tar --version 2>/dev/null | grep -q 'GNU tar' || skip "no GNU tar"
W=$(mktemp -d /tmp/duet-equal.XXXXXX)
trap 'rm -rf "$W"' EXIT
trap 'exit 130' INT TERM
export LC_ALL=C.UTF-8
failed=0

# complain TEXT
complain() {
	echo "FAIL: $1"
	failed=1
}

gnu_untar() { # TAR FOLDER; it grumbles about times in the future
	mkdir "$2" && tar -xp --xattrs --xattrs-include='*' --acls --numeric-owner -C "$2" -f "$1" 2>"$W/err" ||
		complain "GNU tar: $(tail -1 "$W/err")"
}

duet_untar() { # BLOB FOLDER
	mkdir "$2" && "$UNPACK" -x "$1" "$2"
}

# equal NAME TREE_LIST_OPTIONS: $W/gnu and $W/duet
equal() {
	name=$1
	shift
	$LIST "$W/gnu" "$@" >"$W/gnu.list"
	$LIST "$W/duet" "$@" >"$W/duet.list"
	if ! diff "$W/gnu.list" "$W/duet.list" >"$W/diff"; then
		complain "$name: trees differ"
		head -10 "$W/diff" | cut -c1-300
	elif [ "$(wc -l <"$W/duet.list")" -lt 100 ]; then
		complain "$name: next to nothing was unpacked"
	else
		echo "ok: $name: $(wc -l <"$W/duet.list") entries are equal"
	fi
}

/usr/bin/python3 "$SRC/tests/run/tar_nasty.py" "$W/nasty" || skip "cannot make the odd tree"

for format in gnu posix; do
	for sparse in '' -S; do
		[ "$format$sparse" = gnu ] && continue # GNU's format holds neither attributes nor ns
		xattrs=
		[ $format = posix ] && xattrs="--xattrs --xattrs-include=* --acls"
		# shellcheck disable=SC2086
		(set -f && tar -c --format=$format $sparse $xattrs --numeric-owner -C "$W/nasty" \
			-f "$W/nasty.tar" . 2>"$W/err") || complain "tar -c --format=$format"
		gnu_untar "$W/nasty.tar" "$W/gnu"
		duet_untar "$W/nasty.tar" "$W/duet" >"$W/out" || complain "$format$sparse: refused"
		equal "format $format $sparse"
		rm -rf "$W/gnu" "$W/duet"
	done
done

# one tar, four wrappings: the same tree and the same diff-id
expected="diff-id sha256:$(sha256sum "$W/nasty.tar" | cut -d' ' -f1)"
gzip -k "$W/nasty.tar" && zstd -q "$W/nasty.tar" && xz -k -1 "$W/nasty.tar"
gnu_untar "$W/nasty.tar" "$W/gnu"
for suffix in '' .gz .zst .xz; do
	duet_untar "$W/nasty.tar$suffix" "$W/duet" >"$W/out" || complain "tar$suffix: refused"
	grep -q "^$expected " "$W/out" || complain "tar$suffix: another diff-id: $(cat "$W/out")"
	equal "wrapped as tar$suffix"
	rm -rf "$W/duet"
done
rm -rf "$W/gnu"

# an ordinary root, made as images are
if command -v mmdebstrap >/dev/null && timeout 300 mmdebstrap -q --variant=minbase \
	"$(. /etc/os-release && echo "$VERSION_CODENAME")" "$W/debian.tar" >"$W/log" 2>&1; then
	gnu_untar "$W/debian.tar" "$W/gnu"
	duet_untar "$W/debian.tar" "$W/duet" >"$W/out" || complain "debian: refused"
	equal debian devices
else
	echo "note: no Debian root to compare (mmdebstrap)"
fi

# the list would tell: one bit of one mode
if [ -d "$W/duet" ]; then
	chmod 0701 "$W/duet"
	$LIST "$W/duet" devices >"$W/duet.list"
	cmp -s "$W/duet.list" "$W/gnu.list" && complain "the list sees no difference"
fi
exit $failed
