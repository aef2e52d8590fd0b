#!/bin/bash
# Rows of the table of threats that are proved by programs which are no scripts: each is run here, and its
# end is the row's. What a guest lacks is in QEMU's command line, which is golden.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99

# proved ID PROGRAM WHAT: the program passes
proved() {
	row "$1" check "$3"
	if ! [ -x "$BUILD/tests/unit/$2" ]; then
		not_ok "$1: tests/unit/$2 is not built"
		return
	fi
	"$BUILD/tests/unit/$2" >"$W/out" 2>&1
	case $? in
	0) ok "$1: $2" ;;
	77) row_left_out "tests/unit/$2: $(tail -n 1 "$W/out")" ;;
	*) not_ok "$1: tests/unit/$2: $(tail -n 5 "$W/out")" ;;
	esac
}

proved V1 runners/test_qemu 'no 9p: QEMU shares no folder by itself (CVE-2026-93834)'
control_mutant vm-sandbox
proved V4 runners/test_qemu 'no word of a spec is an option of QEMU'
control none 'nothing in struct qemu_machine is text: test_pure'
proved V6 runners/test_qemu 'no guest changes what the next one starts from'
control_mutant vm-base-writable
proved V7 runners/test_qemu 'a disk is raw whatever its bytes say: no backing file (CVE-2023-32684)'
control_mutant vm-disk-probed
proved V8 runners/test_qemu 'one monitor, on a socket of our own'
control_mutant vm-monitor-word
proved V9 runners/test_console 'floods of a console'
control none 'how much is kept is a number of the test'
proved V10 runners/test_console "a guest's console does not move the terminal"
control_mutant vm-console-escapes
proved V11 runners/test_agent 'the channel of a guest: each boot says hello, bytes come back whole; a hostile peer (test_agent)'
control_mutant agent-frame-size
proved V16 runners/test_qemu 'no vsock for a guest'
control none 'QEMU gives none unless it is asked to, and the word is in no command line'
proved V17 runners/test_qemu 'no network of the host for a guest'
control none 'QEMU gives none with -nodefaults: mutant vm-monitor-word of V8'
proved F2 core/test_store_fault 'calls that fail, records that are torn, publishers at once'
control_mutant store-tmp-lock
proved F6 core/test_store_full 'a full disk, at every size'
control none 'a file system that is full says so'
proved F7 core/test_store_check 'each part of a store is damaged: found and healed'
control none 'each case damages what the check without it calls sound'
row V15 check '/dev/kvm is not in a container'
small_root
pack "$SMALL" "$W/root.tar"
P=$W/project
mkdir -p "$P"
printf '%s\n' 'duet: 1' 'name: kvm' "image: {from: {archive: \"$W/root.tar\"}}" >"$P/duet.yaml"
is 'V15: what is in /dev' "$("$DUET" run -q --store "$W/store" -f "$P/duet.yaml" -- ls /dev </dev/null |
	tr '\n' ' ')" 'fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero '
control none 'a folder of our own with what is named: nothing else comes in'
for id in V2 V3 V5; do
	row $id check 'virtiofsd: shares of folders are not there for guests; the row is to be written with them'
	printf '%s\n' 'duet: 1' 'name: kvm' "image: {from: {archive: \"$W/root.tar\"}}" 'on: [vm]' 'target:' \
		'  mounts: ["./x:/x"]' >"$P/duet.yaml"
	mkdir -p "$P/x"
	has "$id: a mount" "$("$DUET" run -q --store "$W/store" -f "$P/duet.yaml" -- true 2>&1 </dev/null)" \
		'a VM has no folders of the host yet'
	control none 'a feature that is not there'
done
finish
