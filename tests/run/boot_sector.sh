#!/bin/bash
# QEMU in its jail boots a sector of our own: what the first serial line gets arrives in our console,
# and QEMU's exit code is the guest's. Emulated as every user, with KVM as who can open it.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
[ "$(uname -m)" = x86_64 ] || skip 'the VM runner is for x86-64'
type -P qemu-system-x86_64 >/dev/null || skip 'qemu-system-x86_64 is not installed'

cp "$BUILD/tests/run/boot_sector" "$W/bin/"
end=$(printf 'duet: the end\r\nexit 43') # 0x15 << 1 | 1
whole=$(printf 'duet: real mode\r\n%s' "$end")
broken=

# boots HOW: what it says, in $W/out and $W/err
boots() {
	as "$who" mkdir -p "$W/home-$who/files"
	as "$who" timeout 90 "$W/bin/boot_sector" "$1" "$W/home-$who/files" \
		>"$W/out" 2>"$W/err" </dev/null
}

# Saved where it waits, it goes on from there as often as one wishes.
saved() {
	boots saved
	is "$who: saved and restored" "$(cat "$W/out" "$W/err")" \
		"$(printf 'duet: real mode\r\n%s\n%s' "$end" "$end")"
}

# What else may stand in QEMU's place is said in a line, and nobody waits for it.
no_qemu() {
	printf 'text\n' >"$W/text"
	chmod 755 "$W/text"
	DUET_QEMU=/bin/false boots tcg
	is "$who: a QEMU that ends" "$(cat "$W/out" "$W/err")" 'exit 1'
	DUET_QEMU=$W/text boots tcg
	is "$who: a QEMU that is none" "$(cat "$W/out" "$W/err")" \
		'boot_sector: start: exec qemu-system-x86_64: Exec format error'
	DUET_QEMU=$W/none boots tcg
	is "$who: no QEMU" "$(cat "$W/out" "$W/err")" "open $W/none: No such file or directory"
	# with its memory to be opened by notification
	DUET_QEMU=/bin/false boots saved
	is "$who: a QEMU that ends before it opens" "$(cat "$W/out" "$W/err")" \
		'boot_sector: save: talk to QEMU: Broken pipe'
}

users=$(all_users)
for who in $users; do
	case $who in
	many | one) make_user "$who" || skip "cannot make users" ;;
	*) mkdir -p "$W/home-$who" ;;
	esac
	boots tcg
	is "$who: emulated" "$(cat "$W/out" "$W/err")" "$whole"
	saved
	no_qemu
	# where there is none, root would make a file of that name
	[ -c /dev/kvm ] && as "$who" dd if=/dev/null of=/dev/kvm conv=notrunc 2>/dev/null || continue
	boots kvm
	if [ "$(cat "$W/out")" = "$whole" ]; then
		ok "$who: with KVM"
	else
		broken="$who: QEMU with KVM: $(cat "$W/out" "$W/err")"
	fi
done
left=$(find /proc/[0-9]*/exe -lname "$W/bin/boot_sector" 2>/dev/null)
is 'no process is left' "$left" ''
if [ -n "$broken" ] && [ $failed = 0 ]; then
	# a /dev/kvm that runs no guest is a matter of the host
	skip "/dev/kvm opens, and yet a boot sector does not run with it: $broken"
fi
finish
