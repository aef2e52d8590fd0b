#!/bin/sh
# The libraries that `duet` links, and that duet-init links none.
set -eu
allowed='libc.so libyaml-0.so libjansson.so libcap.so linux-vdso.so ld-linux'
bad=0

for library in $(ldd ./duet | awk '{ print $1 }'); do
	known=no
	for name in $allowed; do
		case $library in
		*"$name"*) known=yes ;;
		esac
	done
	if [ $known = no ]; then
		echo "duet links $library" >&2
		bad=1
	fi
done
if ldd ./duet-init 2>&1 | grep -q '=>'; then
	echo "duet-init is not static" >&2
	bad=1
fi
size=$(wc -c <./duet-init)
if [ "$size" -gt 102400 ]; then
	echo "duet-init has $size bytes" >&2
	bad=1
fi
exit $bad
