# shellcheck shell=bash disable=SC2034 # what is set here is used by those who source it
# Sourced after lib.sh by the tests of kernels: a signed mirror that is made here, and kernel_tool, which finds
# kernels as duet does. $good is what it says of $W/good.deb, a kernel of $release.
make=$SRC/tests/run/kernel_make.py
TOOL=$W/bin/kernel_tool
store=$W/store
export PYTHONDONTWRITEBYTECODE=1 DUET_LIBEXEC=$W/bin
no_proxies
server=

clean_up_more() {
	[ -z "$server" ] || kill "$server" 2>/dev/null
	command -v gpgconf >/dev/null && GNUPGHOME=$W/gnupg gpgconf --kill all 2>/dev/null
}

need gpg gpgv zstd
cp "$BUILD/tests/run/kernel_tool" "$TOOL" || skip 'kernel_tool is not built'

kernel_make() {
	$PYTHON "$make" "$@" || not_ok "kernel_make $*"
}

# tool KIND [LAYER...]: output in $out, errors in $err, exit code in $code
tool() {
	out=$(timeout 60 "$TOOL" "$store" "$@" 2>"$W/err")
	code=$?
	err=$(cat "$W/err")
}

nothing_published() {
	is "$1: nothing is published" \
		"$(find "$store/v1/kernels" "$store/v1/pins" -mindepth 1 2>/dev/null)" ''
	no_leftovers "$1" "$store"
}

# refused NAME CLASS TEXT: what `tool` has just said
refused() {
	is "$1: exit code" "$code" 1
	has "$1: class" "$err" "error[$2]: find a kernel: "
	has "$1: message" "$err" "$3"
	nothing_published "$1"
}

# taken NAME RELEASE
taken() {
	is "$1: exit code" "$code: $(head -n 1 <<<"$out")" "0: $2"
	no_leftovers "$1" "$store"
}

# ---- a mirror of our own ----------------------------------------------------------------------

export GNUPGHOME=$W/gnupg
mkdir -m 700 "$GNUPGHOME"
for who in good other; do
	gpg --batch --quiet --pinentry-mode loopback --passphrase '' \
		--quick-gen-key "$who@example.org" ed25519 sign never 2>"$W/gpg.log" || {
		cat "$W/gpg.log"
		skip 'gpg makes no key'
	}
	gpg --batch --quiet --export "$who@example.org" >"$W/$who.gpg"
done
export DUET_DEBIAN_KEYRING=$W/good.gpg

# sign FOLDER [WHO] [SUITE]
sign() {
	dist=$1/dists/${3:-bookworm}
	gpg --batch --quiet --yes --pinentry-mode loopback --passphrase '' \
		--local-user "${2:-good}@example.org" --digest-algo SHA256 --clearsign \
		--output "$dist/InRelease" "$dist/Release" || not_ok "sign $*"
}

# mirror NAME [OPTION...]: a fresh signed mirror $M of $W/good.deb
mirror() {
	M=$W/mirrors/$1
	shift
	rm -rf "$M" "$store"
	kernel_make mirror "$M" "${package:-$W/good.deb}" 7-1 "$@"
	sign "$M"
	export DUET_DEBIAN_MIRROR=file://$M
}

release=6.1.0-7-cloud-amd64
kernel_make deb "$W/good.deb" $release

mirror good
KERNEL_OUT=$W tool debian
taken 'a good mirror' $release
good=$out
