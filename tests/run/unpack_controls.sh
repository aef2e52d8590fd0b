#!/bin/sh
# The positive controls of THREATS T2 and T3: the same archives make `bsdtar -P` write outside, so
# that the unit tests' "nothing happened" says something. And duet refuses or stays inside.
set -u
UNPACK=$(pwd)/tests/run/unpack_tree

[ "$(id -u)" = 0 ] || {
	echo "not root"
	exit 77
}
for tool in bsdtar /usr/bin/python3; do
	command -v "$tool" >/dev/null || {
		echo "no $tool"
		exit 77
	}
done
W=$(mktemp -d /tmp/duet-control.XXXXXX)
trap 'rm -rf "$W"' EXIT
trap 'exit 130' INT TERM
failed=0

# make NAME.tar NAME:TARGET... : a link where there is a TARGET, else a file
make() {
	/usr/bin/python3 - "$@" <<'END'
import io
import sys
import tarfile

with tarfile.open(sys.argv[1], "w") as tar:
    for word in sys.argv[2:]:
        name, _, target = word.partition(":")
        info = tarfile.TarInfo(name)
        if target:
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
        else:
            info.size = 5
            tar.addfile(info, io.BytesIO(b"pwned"))
END
}

# try NAME STATUS: bsdtar has to write outside, duet has to end with STATUS and not to
try() {
	mkdir -p "$W/victim" "$W/b/tree" "$W/d/tree"
	(cd "$W/b/tree" && bsdtar -xPf "$W/$1.tar" 2>/dev/null)
	if [ -z "$(ls -A "$W/victim")" ] && [ ! -e "$W/b/dotdot" ]; then
		echo "FAIL: $1: the control wrote nothing outside: the test proves nothing"
		failed=1
	fi
	rm -rf "$W/victim" && mkdir "$W/victim"
	(cd "$W/d/tree" && "$UNPACK" "$W/$1.tar" "$W/d/tree" >"$W/out" 2>&1)
	status=$?
	if [ -n "$(ls -A "$W/victim")" ] || [ -e "$W/d/dotdot" ]; then
		echo "FAIL: $1: duet wrote outside"
		failed=1
	elif [ $status -ne "$2" ]; then
		echo "FAIL: $1: status $status: $(cat "$W/out")"
		failed=1
	else
		echo "ok: $1"
	fi
	rm -rf "$W/victim" "$W/b" "$W/d"
}

make "$W/dotdot.tar" ../dotdot
try dotdot 1
make "$W/absolute.tar" "$W/victim/x"
try absolute 0
make "$W/link.tar" "l:$W/victim" l/pwn
try link 0
exit $failed
