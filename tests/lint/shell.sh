#!/bin/sh
# Every script passes shellcheck.
set -eu
cd "${srcdir:-$(dirname "$0")/../..}"
command -v shellcheck >/dev/null || {
	echo 'shellcheck is not installed'
	exit 77
}
# shellcheck disable=SC2046 # one word per file
shellcheck -x -S warning autogen.sh .ci/run $(find tests examples -name '*.sh' | sort)
