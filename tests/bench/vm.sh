#!/bin/bash
# Start to exit of `true` in a VM without KVM, everything cached, in turns: duet from a saved state,
# duet cold, bare QEMU with Debian's kernel and an init that restarts at once (what a boot costs at
# the least: Debian's vmlinuz, and the vmlinux that duet boots), podman's and duet's containers.
#
#	DUET_BENCH_VM_ROUNDS=N	9 unless told
#
# 1 when a target is missed, 77 without a peer. As root.
if [ "$(id -u)" = 0 ] && [ -z "${DUET_BENCH_INSIDE-}" ]; then
	exec env DUET_BENCH_INSIDE=1 unshare -m "$0" "$@"
fi
. "${srcdir:-.}/tests/run/lib.sh"
. "${srcdir:-.}/tests/bench/lib.sh"

[ "$(id -u)" = 0 ] || skip 'podman is measured as root'
need qemu-system-x86_64 musl-gcc bsdtar podman crun
rounds=${DUET_BENCH_VM_ROUNDS:-9}
if [ -d /sys/fs/cgroup/unified ]; then
	mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup
fi

debian_root
mkdir "$W/saved" "$W/cold" "$W/bare" || exit 99
for kind in saved cold; do
	cat >"$W/$kind/duet.yaml" <<-SPEC
		duet: 1
		name: bench-$kind
		image:
		  from: {archive: $ROOT}
		target:
		  vm: {accel: tcg, snapshot: $([ $kind = saved ] && echo auto || echo off)}
	SPEC
done
run_duet="$DUET run -q --store $W/store"
for kind in saved cold; do
	# shellcheck disable=SC2086 # words on purpose
	$run_duet --on vm -C "$W/$kind" -- true >"$W/log" 2>&1 || {
		cat "$W/log"
		exit 99
	}
done

# the same kernel as Debian packs it: its package is in the store of apt, or comes from there
release=$($DUET run --explain --on vm --store "$W/store" -C "$W/cold" -- true | sed -n 's/^kernel *//p')
vmlinux=$(ls "$W"/store/v1/kernels/*/vmlinux)
vmlinuz=$BUILD/bench-vmlinuz-$release
if ! [ -s "$vmlinuz" ]; then
	(cd "$W/bare" && apt-get download -qq "linux-image-$release" >"$W/log" 2>&1 &&
		dpkg-deb --fsys-tarfile linux-image-*.deb | tar -xOf - "./boot/vmlinuz-$release" \
		>"$vmlinuz.part" && mv "$vmlinuz.part" "$vmlinuz") || vmlinuz=
fi
cat >"$W/bare/init.c" <<'C'
#include <sys/reboot.h>
int main(void)
{
	return reboot(RB_AUTOBOOT);
}
C
musl-gcc -static -Os -o "$W/bare/init" "$W/bare/init.c" &&
	(cd "$W/bare" && echo init | bsdtar --format newc -cf initrd -T -) || exit 99
bare="qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -machine pc,accel=tcg
	-cpu max -m 512M -serial null -initrd $W/bare/initrd"
words='console=ttyS0 quiet panic=-1 reboot=t'

cat >"$W/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "crun"
CONF
export CONTAINERS_CONF="$W/containers.conf"
podman="podman --root $W/podman --runroot $W/podman-run"
# shellcheck disable=SC2086
$podman import -q "$ROOT" bench:1 >"$W/log" 2>&1 &&
	$podman run --rm --network none --cgroups disabled bench:1 true >>"$W/log" 2>&1 || {
	cat "$W/log"
	skip 'podman does not run here'
}

# shellcheck disable=SC2086
set -- 'duet, saved' $run_duet --on vm -C "$W/saved" -- true +++ \
	'duet, cold' $run_duet --on vm -C "$W/cold" -- true +++ \
	'bare vmlinux' $bare -kernel "$vmlinux" -append "$words" +++ \
	'podman run' $podman run --rm --network none --cgroups disabled bench:1 true +++ \
	'duet, container' $run_duet --on container -C "$W/saved" -- true
# shellcheck disable=SC2086
[ -z "$vmlinuz" ] || set -- "$@" +++ 'bare vmlinuz' $bare -kernel "$vmlinuz" -append "$words"
$run_duet --on container -C "$W/saved" -- true
"$TIMEIT" -n "$rounds" "$@" >"$W/times" || exit 99

echo "start to exit of true, $rounds rounds in turns; ratios to bare QEMU with the same kernel"
bare_us=$(column "$W/times" "${vmlinuz:+bare vmlinuz}" 3)
[ -n "$bare_us" ] || bare_us=$(column "$W/times" 'bare vmlinux' 3)
awk -F '\t' -v OFS='\t' -v bare="$bare_us" '{ $5 = $3 / bare; print }' "$W/times" >"$W/table"
show "$W/table"
saved_us=$(column "$W/table" 'duet, saved' 3)
target 'cold to bare QEMU' "$(ratio "$(column "$W/table" 'duet, cold' 3)" "$bare_us")" 1.15
target 'saved to bare QEMU' "$(ratio "$saved_us" "$bare_us")" 0.12
target 'saved to podman run' "$(ratio "$saved_us" "$(column "$W/table" 'podman run' 3)")" 2
verdict
