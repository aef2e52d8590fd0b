#!/bin/bash
# The registry client against a registry that asks for logins, sends elsewhere, gives too much or
# something else: what it tells whom, and what it takes. The cases are in registry_*_cases.py, each
# with a repository of its own in one mock (registry_mock.py). Only 127.0.0.1 is used, or a network of
# the test's own, where other addresses stand for the world outside.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
probe=${REGISTRY_PROBE:-$BUILD/tests/run/registry_probe}

declare -A what=(
	[R1]='a third host that asks for credentials'
	[R2]='redirects to another host, port or scheme'
	[R3]='realms that point anywhere'
	[R4]='uploads whose Location is elsewhere'
	[R5]='certificates from nobody: registry, token server, blobs'
	[R6]='a registry without TLS'
	[R7]='logins that cannot be read'
	[R8]='redirects to other protocols and to local networks'
	[R9]='digests that are paths, or none'
	[R10]='one document, two readings'
	[R11]='other bytes and sizes than were named'
	[R12]='10 GiB at each endpoint'
	[R13]='indexes in indexes'
	[R14]='JSON that two parsers read in two ways, or never'
	[R15]='other content than the digest says'
	[R16]='encodings, bombs'
	[R17]='credentials that lie about (netrc)'
	[R19]='labels and annotations that mean the host'
)

need_python_ssl
[ -x "$probe" ] || skip "$probe is not built"
addresses='IP:127.0.0.1,DNS:localhost,IP:198.51.100.7,IP:169.254.169.254'
certificate good "$addresses"
certificate other "$addresses"
no_proxies

own_network='ip link set lo up && ip address add 198.51.100.7/32 dev lo &&
	ip address add 169.254.169.254/32 dev lo'
# as root in no other user namespace: the worker's jail needs ids
unshare=-rn
[ "$(id -u)" != 0 ] || unshare=-n
[ $unshare = -rn ] || export REGISTRY_JAIL=1
if unshare $unshare sh -c "$own_network" 2>"$W/err"; then
	export REGISTRY_OWN_NETWORK=1
	set -- unshare $unshare sh -c "$own_network"' && exec "$@"' sh
else
	echo 'no network of its own: cases about other addresses are left out'
	set --
fi
mkdir "$W/cases"
export DUET DUET_LIBEXEC=$W/bin
cp "$W"/*.crt "$W"/*.key "$W/cases"
PYTHONDONTWRITEBYTECODE=1 "$@" timeout 200 /usr/bin/python3 "$SRC/tests/run/registry_cases.py" \
	"$probe" "$W/cases" ${REGISTRY_CASES:+"$REGISTRY_CASES"} >"$W/out" 2>"$W/err" || cat "$W/err"

while IFS=$'\t' read -r kind first second; do
	case $kind in
	row)
		case $first in
		R*) row "$first" check "${what[$first]}" ;;
		*) row ;;
		esac ;;
	control) control "$first" "$second" ;;
	*) reported "$kind" "$first" "$second" ;;
	esac
done <"$W/out"
row
is 'all cases were run' "$(tail -n 1 "$W/out")" end
finish
