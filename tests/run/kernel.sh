#!/bin/bash
# Kernels of VMs: found, verified, taken apart, kept. A mirror made and signed here, with what can be
# wrong with one; packages and images that are hostile; the real package from this host's mirror,
# compared with depmod, modprobe and lz4. With DUET_SOAK=1 the kill points are many.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh"
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
is 'the order of modules' "$($PYTHON - "$make" "$W/modules" <<'EOF'
import importlib.util, sys
spec = importlib.util.spec_from_file_location("kernel_make", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.read_newc(sys.argv[2])["modules/order"].decode())
EOF
)" 'base virtio virtio_ring virtio_pci virtio_console
disk virtio_blk crc32c_intel? libcrc32c erofs overlay
scratch jbd2 ext4'
mv "$M" "$M.gone"
tool debian
is 'offline with a pin' "$code: $out" "0: $good"
rm -rf "$store"
tool debian
refused 'offline without a pin' fetch.failed 'No such file'
mv "$M.gone" "$M"

mirror by-hash Acquire-By-Hash=yes 'Valid-Until=Fri, 01 Jan 2100 00:00:00 UTC'
tool debian
is 'by hash, not expired' "$code: $out" "0: $good"

# the lock: the same one again, and no other unless it is asked for
mirror good
mkdir "$W/locked"
printf '%s\n' 'duet: 1' 'name: locked' 'image: {from: scratch}' 'on: vm' 'target: {command: x}' \
	>"$W/locked/duet.yaml"
"$DUET" lock --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a lock: exit code' "$?: $(tail -n 1 "$W/err")" '0: take apart linux-image-6.1.0-7-cloud-amd64 7-1'
has 'a lock: the package' "$(cat "$W/locked/duet.lock")" "sha256:$(sha256sum <"$W/good.deb" | cut -d ' ' -f 1)"
has 'a lock: the release' "$(cat "$W/locked/duet.lock")" "\"release\": \"$release\""
"$DUET" lock --check --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a lock: the archive says the same' "$?: $(cat "$W/out")" '0: '
kernel_make deb "$W/newer.deb" 6.1.0-8-cloud-amd64
package=$W/newer.deb mirror newer
"$DUET" lock --check --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a newer kernel: lock --check' $? 1
has 'a newer kernel: the drift' "$(cat "$W/out")" "locked is $release, sha256:"
"$DUET" lock --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a newer kernel, the locked one gone: exit code' $? 1
has 'a newer kernel, the locked one gone: said so' "$(cat "$W/err")" \
	'error[lock.differs]: find a kernel: the mirror lacks the kernel that is locked'
"$DUET" lock --frozen --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
has 'frozen without the kernel' "$(cat "$W/err")" \
	"kernel $release sha256:$(sha256sum <"$W/good.deb" | cut -d ' ' -f 1) is not in the store"
"$DUET" lock --update kernel --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a newer kernel: lock --update' $? 0
has 'a newer kernel: it is locked' "$(cat "$W/locked/duet.lock")" '"release": "6.1.0-8-cloud-amd64"'
"$DUET" lock --frozen --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a newer kernel: frozen' "$?: $(cat "$W/err")" '0: '

# over plain http, which signatures and digests make good enough
mirror http
: >"$W/server"
(cd "$M" && exec $PYTHON -m http.server --bind 127.0.0.1 0) >"$W/server" 2>&1 &
server=$!
for _ in $(seq 50); do
	port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$W/server")
	[ -z "$port" ] || break
	sleep 0.1
done
if [ -n "$port" ]; then
	export DUET_DEBIAN_MIRROR=http://127.0.0.1:$port/
	tool debian
	is 'over http' "$code: $out" "0: $good"
	rm -rf "$store" "$M/dists/bookworm/InRelease"
	tool debian
	refused 'http: 404' fetch.failed 'not found (404)'
	head -c 5000000 /dev/zero | tr '\0' 'x' >"$M/dists/bookworm/InRelease"
	tool debian
	refused 'http: an endless InRelease' fetch.failed 'more than 4194304 bytes'
	sign "$M"
	path=$(find "$M/pool" -name '*.deb')
	printf x | dd of="$path" bs=1 seek=500 conv=notrunc status=none
	tool debian
	refused 'http: another package' fetch.digest 'digest differs'
	sed -i s/.deb/.dec/ "$M/dists/bookworm/main/binary-amd64/Packages.xz"
	printf y >>"$M/dists/bookworm/main/binary-amd64/Packages.xz"
	tool debian
	refused 'http: another list' fetch.digest 'were expected'
	export DUET_DEBIAN_MIRROR=ftp://127.0.0.1/
	tool debian
	refused 'another scheme' fetch.failed 'is neither https nor http'
fi

# ---- what can be wrong with a mirror ----------------------------------------------------------

mirror other-key
sign "$M" other
tool debian
refused 'signed by another' fetch.signature 'none of the keys that are trusted'
has 'signed by another: mend' "$err" 'DUET_DEBIAN_KEYRING=FILE'

# both keys: one that is trusted will do
gpg --batch --quiet --yes --pinentry-mode loopback --passphrase '' -u good@example.org \
	-u other@example.org --digest-algo SHA256 --clearsign \
	--output "$M/dists/bookworm/InRelease" "$M/dists/bookworm/Release"
tool debian
is 'signed by two, one of them known' "$code: $out" "0: $good"

mirror changed
sed -i 's/^Origin: Test/Origin: Evil/' "$M/dists/bookworm/InRelease"
tool debian
refused 'changed after it was signed' fetch.signature 'its signature is wrong'

mirror weak
gpg --batch --quiet --yes --pinentry-mode loopback --passphrase '' -u good@example.org \
	--digest-algo SHA1 --clearsign --output "$M/dists/bookworm/InRelease" \
	"$M/dists/bookworm/Release" 2>/dev/null
if grep -q 'Hash: SHA1' "$M/dists/bookworm/InRelease"; then
	tool debian
	refused 'signed with SHA-1' fetch.signature 'it is signed with a weak hash'
fi

mirror unsigned
cp "$M/dists/bookworm/Release" "$M/dists/bookworm/InRelease"
tool debian
refused 'not signed' fetch.signature 'there is text outside of what is signed'

mirror wrapped
{ echo 'Codename: bookworm'; cat "$M/dists/bookworm/InRelease"; } >"$W/wrapped"
cp "$W/wrapped" "$M/dists/bookworm/InRelease"
tool debian
refused 'text before what is signed' fetch.signature 'there is text outside of what is signed'

mirror cut
head -c 400 "$M/dists/bookworm/InRelease" >"$W/cut"
cp "$W/cut" "$M/dists/bookworm/InRelease"
tool debian
refused 'InRelease cut off' fetch.signature 'its signature is cut off'

mirror rubbish
sed -i '/^-----BEGIN PGP SIGNATURE/,/^-----END/s/[a-z]/A/g' "$M/dists/bookworm/InRelease"
tool debian
refused 'a damaged signature' fetch.signature ''

mirror large
head -c 5000000 /dev/zero >>"$M/dists/bookworm/InRelease"
tool debian
refused 'InRelease too large' fetch.failed 'more than 4194304 bytes'

mirror expired 'Valid-Until=Fri, 01 Jan 2021 00:00:00 UTC'
tool debian
refused expired fetch.signature 'the signed list expired: it was valid until Fri, 01 Jan 2021'
has 'expired: mend' "$err" 'check the clock'

mirror suite codename=trixie
tool debian
refused 'of another suite' fetch.signature 'is of trixie, not of bookworm'

mirror list
echo x >>"$M/dists/bookworm/main/binary-amd64/Packages.xz"
tool debian
refused 'a longer list' fetch.failed 'has more than'

mirror list-changed
printf x | dd of="$M/dists/bookworm/main/binary-amd64/Packages.xz" bs=1 seek=40 conv=notrunc status=none
tool debian
refused 'a changed list' fetch.digest 'digest differs'

mirror no-list
rm "$M/dists/bookworm/main/binary-amd64/Packages.xz"
tool debian
refused 'no list' fetch.failed 'No such file'

mirror no-meta drop=meta
tool debian
refused 'no kernel in the list' fetch.failed 'has no package linux-image-cloud-amd64'

mirror no-image drop=image
tool debian
refused 'a kernel that is not there' fetch.failed "has no package linux-image-$release 7-1"

mirror package-changed
printf x | dd of="$(find "$M/pool" -name '*.deb')" bs=1 seek=500 conv=notrunc status=none
tool debian
refused 'a changed package' fetch.digest 'digest differs'

mirror package-cut
truncate -s -1 "$(find "$M/pool" -name '*.deb')"
tool debian
refused 'a package cut off' fetch.digest 'digest differs'

mirror package-gone
rm "$(find "$M/pool" -name '*.deb')"
tool debian
refused 'no package' fetch.failed 'No such file'

mirror no-keyring
DUET_DEBIAN_KEYRING=$W/absent.gpg tool debian
refused 'no keyring' host.missing 'No such file'

# ---- which mirror -----------------------------------------------------------------------------

mirror apt
kernel_make deb "$W/newer.deb" 6.1.0-10-cloud-amd64
kernel_make mirror "$M-security" "$W/newer.deb" 10-1 suite=bookworm-security
sign "$M-security" good bookworm-security
unset DUET_DEBIAN_MIRROR
export DUET_APT_SOURCES=$W/apt
mkdir -p "$W/apt/sources.list.d"
tool debian
refused 'no sources' host.missing "apt's sources of this machine name none for bookworm"
has 'no sources: mend' "$err" 'DUET_DEBIAN_MIRROR='
echo "deb file://$M bookworm main" >"$W/apt/sources.list"
tool debian
is 'a mirror of sources.list' "$code: $out" "0: $good"
rm -rf "$store"
printf 'Types: deb\nURIs: file://%s-security\nSuites: bookworm-security\nComponents: main\n' "$M" \
	>"$W/apt/sources.list.d/security.sources"
tool debian
taken 'the newer one of two suites' 6.1.0-10-cloud-amd64
rm -rf "$store" "$W/apt/sources.list.d/security.sources"
unset DUET_APT_SOURCES

# ---- packages, signed, and hostile all the same -----------------------------------------------

# bad NAME CLASS TEXT OPTION...
bad() {
	bad_name=$1 bad_class=$2 bad_text=$3
	shift 3
	kernel_make deb "$W/bad.deb" $release "$@"
	package=$W/bad.deb
	mirror "$bad_name"
	package=
	tool debian
	refused "$bad_name" "$bad_class" "$bad_text"
}

bad 'no Debian package' kernel.refused 'it is not a Debian package' bad=notdeb
bad 'cut data' kernel.refused '' bad=cut
bad 'a path upwards' kernel.refused 'a path with ".." in it' bad=dots
bad 'no kernel' kernel.none 'it has no kernel in it' bad=nokernel
bad 'two kernels' kernel.refused 'more than one kernel' bad=two
bad 'a damaged module' kernel.refused 'module erofs: it is no module' bad=module
bad 'no PVH' kernel.unfit 'lacks the entry for PVH boot (CONFIG_PVH)' pvh=no
bad 'an odd packer' kernel.refused 'packed in a way' pack=odd
bad 'a cut kernel' kernel.refused 'is it cut off?' cut=yes
bad 'no console' kernel.unfit "kernel $release lacks virtio_console (CONFIG_VIRTIO_CONSOLE)" \
	lack=virtio_console
bad 'no two' kernel.unfit 'lacks virtio_blk (CONFIG_VIRTIO_BLK), overlay (CONFIG_OVERLAY_FS)' \
	lack=virtio_blk,overlay
bad 'a gap' kernel.refused 'module erofs needs libcrc32c, which is not there' lack=libcrc32c

# however it is packed, it is the same kernel
for pack in gzip xz zstd lz4 none elf; do
	for data in zst gz none; do
		[ $data = zst ] || [ $pack = gzip ] || continue
		kernel_make deb "$W/packed.deb" $release pack=$pack data=$data
		package=$W/packed.deb
		mirror packed
		package=
		tool debian
		is "$pack in $data" "$code: $out" "0: $good"
	done
done

# ---- kernels that are here --------------------------------------------------------------------

# root NAME OPTION...: a root with a kernel, as $W/roots/NAME
root() {
	root=$W/roots/$1
	shift
	rm -rf "$root"
	mkdir -p "$root"
	kernel_make deb "$W/root.deb" $release data=none "$@"
	ar p "$W/root.deb" data.tar | tar -xf - -C "$root"
}

rm -rf "$store"
export DUET_DEBIAN_MIRROR=file://$W/mirrors/none
if command -v ar >/dev/null; then
	root whole
	tool "$root/boot/vmlinuz-$release"
	is 'a file, modules beside it' "$code: $out" "0: $good"
	mv "$root/lib/modules/$release/kernel" "$W/moved"
	tool "$root/boot/vmlinuz-$release"
	is 'a file whose modules changed' "$code" 1
	mv "$W/moved" "$root/lib/modules/$release/kernel"
	find "$root" -name '*.ko' -exec gzip -n {} +
	rm -rf "$store"
	tool "$root/boot/vmlinuz-$release"
	is 'modules packed with gzip' "$code: $out" "0: $good"
	find "$root" -name '*.gz' -exec gunzip {} +
	find "$root" -name '*.ko' -exec zstd -q --rm {} +
	rm -rf "$store"
	tool "$root/boot/vmlinuz-$release"
	is 'modules packed with zstd' "$code: $out" "0: $good"
	find "$root" -name '*.zst' -exec zstd -q -d --rm {} +
	find "$root" -name '*.ko' -exec xz {} +
	rm -rf "$store"
	tool "$root/boot/vmlinuz-$release"
	is 'modules packed with xz' "$code: $out" "0: $good"
	cp "$root/boot/vmlinuz-$release" "$root/boot/bzImage"
	tool "$root/boot/bzImage"
	is 'a file without its release in the name' "$code: $out" "0: $good"
	cp "$root/boot/bzImage" "$W/bzImage"
	tool "$W/bzImage"
	taken 'a file without modules' $release
	has 'a file without modules: another id' "$(tail -n 1 <<<"$out")$good" sha256
	whole=VIRTIO_PCI=y,VIRTIO_CONSOLE=y,VIRTIO_BLK=y,EROFS_FS=y,OVERLAY_FS=y,VIRTIO_NET=y,VIRTIO_FS=m
	kernel_make kernel "$W/vmlinuz-5" 5 config=$whole
	KERNEL_OUT=$W tool "$W/vmlinuz-5"
	taken 'a file whose configuration has it all' 5
	is 'its features' "$(grep -a -o '^\(disk\|scratch\|net\|share\)$' "$W/modules" | tr '\n' ' ')" 'disk net '
	rm -rf "$store"
	kernel_make kernel "$W/vmlinuz-5" 5 "config=${whole/BLK=y/BLK=m},EXT4_FS=y"
	tool "$W/vmlinuz-5"
	refused 'a file whose modules are missing' kernel.unfit \
		'kernel 5 lacks virtio_blk (CONFIG_VIRTIO_BLK)'
	has 'a file whose modules are missing: mend' "$err" 'wants ROOT/lib/modules/5'
	tool "$W/absent"
	refused 'an absent file' host.system 'No such file'
	tool "$W"
	refused 'a folder' host.system 'not a regular file'
	head -c 100000 /dev/urandom >"$W/noise"
	tool "$W/noise"
	refused 'noise' kernel.refused 'is it a kernel?'
	mkfifo "$W/fifo"
	tool "$W/fifo"
	refused 'a fifo' host.system 'not a regular file'

	# the image's own: in trees, then in EROFS files
	tool auto "$root"
	is "an image's own" "$code: $out" "0: $good"
	mkdir -p "$W/roots/empty"
	rm -rf "$store"
	tool auto "$W/roots/empty"
	refused 'an image without a kernel, offline' fetch.failed 'No such file'
	mirror good
	tool auto "$W/roots/empty"
	is "an image without a kernel: Debian's" "$code: $out$err" "0: ${good}fetch linux-image-$release
take apart linux-image-$release 7-1"
	root lacking lack=overlay
	tool auto "$root"
	is "an image's kernel that will not do: Debian's" "$code: $out" "0: $good"
	has 'it is told' "$err" "duet: note: the image's own kernel will not do (kernel $release lacks overlay"
	rm -rf "$M"
	tool auto "$root"
	is 'the answer is kept' "$code: $out" "0: $good"
	if command -v mkfs.erofs >/dev/null; then
		root whole
		mkfs.erofs -E force-inode-extended -x-1 "$W/whole.erofs" "$root" >/dev/null 2>&1
		mkfs.erofs -E force-inode-extended -x-1 "$W/empty.erofs" "$W/roots/empty" >/dev/null 2>&1
		rm -rf "$store"
		tool auto "$W/whole.erofs" "$W/empty.erofs"
		is "an image's own, in EROFS files" "$code: $out" "0: $good"
		mkdir -p "$W/roots/hide/boot"
		mknod "$W/roots/hide/boot/vmlinuz-$release" c 0 0 2>/dev/null &&
			mkfs.erofs -E force-inode-extended -x-1 "$W/hide.erofs" "$W/roots/hide" >/dev/null 2>&1 && {
			rm -rf "$store"
			tool auto "$W/whole.erofs" "$W/hide.erofs"
			refused 'a kernel that a layer hides' fetch.failed 'No such file'
		}
	fi
fi

tool host
if [ -e "/boot/vmlinuz-$(uname -r)" ] && [ -d "/lib/modules/$(uname -r)" ]; then
	[ $code = 0 ] && ok "the host's" || has "the host's will not do" "$err" 'kernel.unfit'
else
	rm -rf "$store"
	tool host
	refused "the host's, which is not there" kernel.none "$(uname -r)"
fi

# ---- kills ------------------------------------------------------------------------------------

kill_point=$BUILD/tests/run/kill_point
mirror kills
every=${DUET_SOAK:+3}
for who in duet worker; do
	rm -rf "$store"
	total=$("$kill_point" $who 0 "$TOOL" "$store" debian 2>/dev/null | tail -n 1)
	case $total in
	'' | *[!0-9]*) continue ;;
	esac
	step=${every:-$((total / 12 + 1))}
	for ((point = 1; point <= total; point += step)); do
		rm -rf "$store"
		"$kill_point" $who "$point" "$TOOL" "$store" debian >/dev/null 2>&1
		code=$?
		[ $code != 77 ] || break
		[ $code != 2 ] || not_ok "$who $point: a process was left"
		tool debian
		is "$who killed at $point of $total: the next one" "$code: $out" "0: $good"
		no_leftovers "$who killed at $point of $total" "$store"
	done
done

# ---- other users ------------------------------------------------------------------------------

for who in $(all_users); do
	case $who in
	many | one)
		make_user "$who"
		store=$W/home-$who/store
		out=$(as "$who" timeout 60 "$TOOL" "$store" debian 2>"$W/err")
		is "$who: Debian's" "$?: $out$(grep error "$W/err")" "0: $good" ;;
	esac
done

# ---- the real one -----------------------------------------------------------------------------

unset DUET_DEBIAN_MIRROR DUET_DEBIAN_KEYRING
store=$W/real
KERNEL_OUT=$W tool debian
real=$(head -n 1 <<<"$out")
if [ $code != 0 ]; then
	echo "the real kernel cannot be had here: $err"
	finish
fi
has 'the real one' "$real" -cloud-amd64
is 'the real one again' "$(timeout 60 "$TOOL" "$store" debian 2>&1)" "$out"

# a guest that loads all of it, in order
if command -v qemu-system-x86_64 >/dev/null && command -v musl-gcc >/dev/null &&
	musl-gcc -static -O2 -o "$W/init" "$SRC/tests/run/kernel_init.c" 2>"$W/cc.log"; then
	kernel_make initrd "$W/initrd" "$W/init" "$W/modules"
	timeout 120 qemu-system-x86_64 -accel tcg -M pc -cpu max -m 256 -nodefaults -no-user-config \
		-display none -no-reboot -serial "file:$W/console" -device virtio-serial-pci \
		-device virtio-rng-pci -kernel "$W/vmlinux" -initrd "$W/initrd" \
		-append 'console=ttyS0 quiet panic=-1 reboot=t' 2>"$W/qemu.log" </dev/null
	console=$(tr -d '\r' <"$W/console" | grep -a '^\(loaded\|failed\|devices\|no order\)')
	is 'a guest: what is not loaded' "$(grep -v '^loaded\|^failed .*?:\|^devices' <<<"$console")" ''
	has 'a guest: erofs' "$console" 'loaded erofs'
	has 'a guest: its devices' "$console" 'devices 2'
fi
kept=$BUILD/kernel-$real.deb
(
	flock 9
	[ -s "$kept" ] || (cd "$W" && apt-get download -q "linux-image-$real" && mv linux-image-*.deb "$kept")
) >"$W/apt.log" 2>&1 9>"$BUILD/kernel.lock"
if ! [ -s "$kept" ] || ! command -v dpkg-deb >/dev/null; then
	echo 'apt gives no package to compare the real kernel with'
	finish
fi
mkdir "$W/reference"
dpkg-deb -x "$kept" "$W/reference"
if command -v lz4 >/dev/null; then
	$PYTHON -c 'import sys
data = open(sys.argv[1], "rb").read()
sys.stdout.buffer.write(data[data.index(b"\x02\x21\x4c\x18"):])' \
		"$W/reference/boot/vmlinuz-$real" | lz4 -d -c >"$W/reference.vmlinux" 2>/dev/null
	cmp -s "$W/reference.vmlinux" "$W/vmlinux" && ok 'vmlinux' || not_ok 'vmlinux is not what lz4 gives'
fi
PATH=$PATH:/usr/sbin:/sbin
if command -v depmod >/dev/null; then
	depmod -b "$W/reference" "$real"
	has 'load order' "$($PYTHON "$make" order "$W/modules" "$W/reference" "$real" 2>&1 | tail -n 1)" \
		' modules'
	real_id=$out
	store=$W/real-path
	tool "$W/reference/boot/vmlinuz-$real"
	is 'the same from a folder with lists of depmod' "$code: $out" "0: $real_id"
fi
finish
