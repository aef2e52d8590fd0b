#!/bin/sh
# Makes a checkout ready.
#
#	./autogen.sh		writes configure
#	./autogen.sh --demo	installs what is missing, builds, runs examples/hello as container and VM
#	./autogen.sh --check	installs what is missing, builds with warnings as errors, runs all tests
#
# Built in build/; nothing is installed but Debian packages, which are named before.
set -eu
cd "$(dirname "$0")"

build_packages='gcc make autoconf automake pkg-config libc6-dev linux-libc-dev libyaml-dev
libjansson-dev libcap-dev libseccomp-dev libarchive-dev libcurl4-openssl-dev libssl-dev libzstd-dev
zlib1g-dev liblzma-dev check musl-tools scdoc'
demo_packages='mmdebstrap uidmap qemu-system-x86 gpgv debian-archive-keyring e2fsprogs'
check_packages='python3 python3-jsonschema python3-yaml strace bubblewrap crun runc umoci skopeo podman buildah libarchive-tools
golang-github-opencontainers-image-spec-dev golang-github-opencontainers-specs-dev
attr acl libcap2-bin e2fsprogs zstd xz-utils gzip openssl curl shellcheck util-linux procps
gnupg kmod lz4 binutils erofs-utils docker-registry apache2-utils golang-docker-credential-helpers pass
buildah busybox-static
clang libclang-rt-14-dev passt'

case $(uname -m) in
x86_64) build_packages="$build_packages libisal-dev isal" ;;
esac

say() {
	printf 'autogen: %s\n' "$*"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		say "cannot run as root (no sudo): $*" >&2
		return 1
	fi
}

# Installs those of the named packages that are missing.
install_packages() {
	missing=
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
			missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		say "this is no Debian; install the counterparts of:$missing" >&2
		exit 1
	fi
	say "installing:$missing"
	# shellcheck disable=SC2086 # words on purpose
	if ! as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends $missing >build-packages.log 2>&1; then
		as_root apt-get update >build-packages.log 2>&1
		as_root env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y --no-install-recommends $missing >>build-packages.log 2>&1 || {
			cat build-packages.log >&2
			exit 1
		}
	fi
	rm -f build-packages.log
}

# quietly LOG COMMAND...: its output is shown only when it fails
quietly() {
	log=$1
	shift
	if "$@" >"$log" 2>&1; then
		rm -f "$log"
	else
		cat "$log" >&2
		return 1
	fi
}

bootstrap() {
	quietly bootstrap.log autoreconf --install --force
	# a folder is called core: autoconf's habit of removing core dumps must not meet it
	sed -i 's/rm -f core /rm -f /' configure
}

build() {
	bootstrap
	mkdir -p build
	quietly build.log sh -c 'cd build && ../configure -q "$@" && make -s -j"$(nproc)"' sh "$@"
}

# RSS of a process and all below it, in MiB
resident() {
	pids=$1 all=$1
	while [ -n "$pids" ]; do
		below=
		for pid in $pids; do
			below="$below $(cat "/proc/$pid/task/$pid/children" 2>/dev/null || true)"
		done
		pids=$(echo $below)
		all="$all $pids"
	done
	for pid in $all; do
		sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null || true
	done | awk '{ sum += $1 } END { printf "%.0f", sum / 1024 }'
}

milliseconds() {
	echo $(($(date +%s%N) / 1000000))
}

# One row of the comparison: what the same image is on one side.
compare_row() {
	run="build/duet run -q -C examples/hello --on $1"
	begin=$(milliseconds)
	$run -- true </dev/null
	end=$(milliseconds)
	# shellcheck disable=SC2016 # for the shell inside
	inside=$($run -- sh -c 'echo "$(uname -r) $(ls -d /proc/[0-9]* | wc -l)"' </dev/null)
	$run -- sleep 3 </dev/null &
	sleep 2
	memory=$(resident $!)
	wait $!
	# shellcheck disable=SC2086 # two words
	printf '%-10s %-24s %10s %9s ms %8s MiB\n' "$1" $inside $((end - begin)) "$memory"
}

demo() {
	# shellcheck disable=SC2086 # words on purpose
	install_packages $build_packages $demo_packages
	say "building in build/"
	build
	say "duet run --on all -C examples/hello (the Debian root is made once: about a minute)"
	build/duet run --on all -C examples/hello </dev/null
	say "the same image on both sides:"
	printf '%-10s %-24s %10s %12s %12s\n' '' kernel processes 'start, end' memory
	compare_row container
	compare_row vm
}

check() {
	# shellcheck disable=SC2086 # words on purpose
	install_packages $build_packages $demo_packages $check_packages
	say "building in build/"
	build --enable-werror
	make -s -C build -j"$(nproc)" check VERBOSE=1
	make -s -C build security-table
	say "unit tests with ASan and UBSan in build/san/"
	mkdir -p build/san
	quietly build.log sh -c 'cd build/san &&
		../../configure -q --enable-werror --enable-sanitizers && make -s -j"$(nproc)"'
	(cd build/san && make -s -j"$(nproc)" check VERBOSE=1 TESTS="$(make -s print-unit-tests)")
}

case ${1-} in
'')
	bootstrap
	echo 'now: ./configure && make && make install' ;;
--demo) demo ;;
--check) check ;;
*)
	sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
	exit 2 ;;
esac
