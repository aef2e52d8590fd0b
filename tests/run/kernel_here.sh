#!/bin/bash
# Kernels of VMs that are here, in folders and images; kills while one is taken apart, with DUET_SOAK=1 at many
# points; other users; and the real package from this host's mirror, compared with depmod, modprobe and lz4.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
# shellcheck source=tests/run/kernel_lib.sh
. "$SRC/tests/run/kernel_lib.sh"

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
