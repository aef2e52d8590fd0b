#!/bin/sh
# fetch against a server that misbehaves: the cases are in fetch_cases.py, the server in
# fetch_server.py. Only 127.0.0.1 is used.
set -u
here=$(cd "$(dirname "$0")" && pwd)
probe=${FETCH_PROBE:-$PWD/tests/run/fetch_probe}

skip()
{
	echo "skipped: $1"
	exit 77
}

[ -x /usr/bin/python3 ] || skip "no /usr/bin/python3"
/usr/bin/python3 -c 'import ssl' 2>/dev/null || skip "python3 without ssl"
command -v openssl >/dev/null || skip "no openssl to make a certificate with"
[ -x "$probe" ] || skip "no $probe (built by make check)"

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for name in good other; do
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj "/CN=duet test $name" -addext "subjectAltName=IP:127.0.0.1,IP:198.51.100.7" \
		-keyout "$dir/$name.key" -out "$dir/$name.crt" 2>"$dir/openssl.log" || {
		cat "$dir/openssl.log"
		skip "openssl makes no certificate"
	}
done
# no proxy of the machine may stand between the test and its server
unset https_proxy HTTPS_PROXY http_proxy all_proxy ALL_PROXY no_proxy NO_PROXY

# in a network of its own, where it can be had: with an address that stands for the world outside
own_network='ip link set lo up && ip address add 198.51.100.7/32 dev lo'
if unshare -rn sh -c "$own_network" 2>/dev/null; then
	export FETCH_OWN_NETWORK=1
	set -- unshare -rn sh -c "$own_network"' && exec "$@"' sh
else
	set --
fi
PYTHONDONTWRITEBYTECODE=1 "$@" \
	timeout 100 /usr/bin/python3 "$here/fetch_cases.py" "$probe" "$dir" ${FETCH_CASES:+"$FETCH_CASES"}
