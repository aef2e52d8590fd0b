#!/bin/sh
# Bootstraps duet from a checkout.
set -eu
cd "$(dirname "$0")"
autoreconf --install --force >/dev/null
# a folder is called core: autoconf's habit of removing core dumps must not meet it
sed -i 's/rm -f core /rm -f /' configure
