#!/bin/bash
# QEMU in its jail boots a sector of our own: what the first serial line gets arrives in our console,
# and QEMU's exit code is the guest's. Emulated as every user, with KVM as who can open it.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh"
[ "$(uname -m)" = x86_64 ] || skip 'the VM runner is for x86-64'
type -P qemu-system-x86_64 >/dev/null || skip 'qemu-system-x86_64 is not installed'

cp "$BUILD/tests/run/boot_sector" "$W/bin/"
wanted=$(printf 'duet: real mode\r\nexit 43') # 0x15 << 1 | 1
broken=

# boots ACCELERATOR: what it says, in $W/out and $W/err
boots() {
	as "$who" timeout 90 "$W/bin/boot_sector" "$1" "$W/home-$who/floppy" \
		>"$W/out" 2>"$W/err" </dev/null
}

users=$(all_users)
for who in $users; do
	case $who in
	many | one) make_user "$who" || skip "cannot make users" ;;
	*) mkdir -p "$W/home-$who" ;;
	esac
	boots tcg
	is "$who: emulated" "$(cat "$W/out" "$W/err")" "$wanted"
	as "$who" dd if=/dev/null of=/dev/kvm conv=notrunc 2>/dev/null || continue
	boots kvm
	if [ "$(cat "$W/out")" = "$wanted" ]; then
		ok "$who: with KVM"
	else
		broken="$who: QEMU with KVM: $(cat "$W/out" "$W/err")"
	fi
done
no_qemu=$(find /proc/[0-9]*/exe -lname "$W/bin/boot_sector" 2>/dev/null)
is 'no process is left' "$no_qemu" ''
if [ -n "$broken" ] && [ $failed = 0 ]; then
	# a /dev/kvm that runs no guest is a matter of the host
	skip "/dev/kvm opens, and yet a boot sector does not run with it: $broken"
fi
finish
