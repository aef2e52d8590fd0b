#!/bin/sh
# The libraries that `duet` links, and that duet-init links none.
set -eu
allowed='libc.so libyaml-0.so libjansson.so libcap.so linux-vdso.so ld-linux'
bad=0

libraries=$(ldd ./duet 2>&1 || true)
case $libraries in
*'statically linked'* | *'not a dynamic executable'*) ;;
*)
	for library in $(printf '%s' "$libraries" | awk '{ print $1 }'); do
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
	done ;;
esac
# what only the worker may have, however it is linked
for symbol in curl_easy_init archive_read_new EVP_DigestUpdate ZSTD_decompressStream inflate \
	seccomp_init; do
	if nm ./duet | grep -q " [Tt] $symbol\$"; then
		echo "duet has $symbol" >&2
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
