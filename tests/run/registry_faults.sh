#!/bin/bash
# The registry client against 63 faults, each at the manifest, the config, a layer and the token, at
# the first, the middle and the last byte: 756 cells (registry_matrix.py) with DUET_SOAK, else 126 of
# them, spread evenly. Only 127.0.0.1 is used.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
probe=${REGISTRY_PROBE:-$BUILD/tests/run/registry_probe}
which=some seconds=150
[ -z "${DUET_SOAK-}" ] || which=all seconds=900

need_python_ssl
[ -x "$probe" ] || skip "$probe is not built"
certificate good 'IP:127.0.0.1,DNS:localhost'
certificate other 'IP:127.0.0.1,DNS:localhost'
no_proxies
# in a network of its own, where it can be had: names that are not known are asked of nobody
if unshare -rn ip link set lo up 2>/dev/null; then
	set -- unshare -rn sh -c 'ip link set lo up && exec "$@"' sh
else
	set --
fi
mkdir "$W/home"
row F8 check+soak 'sixty faults of a network and of a registry, at every part and byte'
PYTHONDONTWRITEBYTECODE=1 "$@" timeout $seconds /usr/bin/python3 \
	"$SRC/tests/run/registry_matrix.py" "$probe" "$W" $which ${REGISTRY_CELLS:+"$REGISTRY_CELLS"}
is 'every cell' $? 0
control_mutant fetch-digest
finish
