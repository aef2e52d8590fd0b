#!/bin/bash
# A power cut right after `duet build` has said 0: the store lies on an ext4 of its own in a loop
# file, and what that file holds (what the block layer was given, nothing that is still dirty in
# memory) is copied between 0 and 2 seconds later. Every copy must mount, be sound, and run without
# the archive that it was made from. A plain `tar -x` must fail the same test, else it proves nothing.
#
# All of it in a mount namespace of its own: another process's copy of this one would keep a file system, and
# with it the loop device, alive behind our back.
#
#	power.sh [CUTS]		20; half as many for the control
if [ "$(id -u)" = 0 ] && [ -z "${DUET_POWER_ALONE-}" ]; then
	DUET_POWER_ALONE=1 exec unshare -m --propagation private bash "$0" "$@"
fi
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
cuts=${1:-20}
[ "$(id -u)" = 0 ] || skip 'only root can mount a loop file'
command -v mkfs.ext4 >/dev/null || skip 'mkfs.ext4 is not installed'
live=$W/live
cut=$W/cut
mkdir -p "$live" "$cut"

clean_up_more() {
	for folder in "$live" "$cut"; do
		umount -l "$folder" 2>/dev/null
	done
	# of a killed run too: the loops that these mounts took are gone with them (autoclear)
	losetup -j "$W/disk.img" -O NAME -n 2>/dev/null | xargs -r -n 1 losetup -d 2>/dev/null
}

# Makes the file system anew; everything so far is on the disk.
fresh_disk() {
	! mountpoint -q "$live" || umount "$live" || not_ok "unmount $live"
	rm -f "$W/disk.img"
	truncate -s 256M "$W/disk.img"
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$W/disk.img"
	mount -o loop,commit=30 "$W/disk.img" "$live" 2>"$W/err" || skip "mount: $(cat "$W/err")"
	sync -f "$live"
	device=$(findmnt -n -o SOURCE "$live")
	device=/sys/class/block/${device##*/}/stat
}

# The disk as a cut now would leave it, in a file that nobody has open. Taken again when something was written
# meanwhile or is on its way: half of a write-back is no state that a disk was ever in.
take_copy() {
	for _ in $(seq 20); do
		read -r -a before <"$device"
		rm -f "$W/cut.img"
		cp --sparse=always "$W/disk.img" "$W/cut.img"
		read -r -a after <"$device"
		[ "${before[8]}" = 0 ] && [ "${before[*]}" = "${after[*]}" ] && return
	done
	return 1
}

mount_copy() {
	mount -o loop "$W/cut.img" "$cut" 2>"$W/err" || {
		cat "$W/err"
		return 1
	}
	# an old device or super block would show what was there before
	[ "$(losetup -n -O BACK-INO "$(findmnt -n -o SOURCE "$cut")" | tr -d ' ')" = "$(stat -c %i "$W/cut.img")" ] || {
		not_ok 'the mounted copy is that of now'
		umount "$cut"
		return 1
	}
}

P=$W/project
mkdir -p "$P/site"
small_root
for number in $(seq 300); do
	head -c $((number * 37)) /dev/zero | tr '\0' x >"$SMALL/root/file-$number"
done
pack "$SMALL" "$W/root.tar.zst"
sum=$(sha256sum "$W/root.tar.zst")
echo page >"$P/site/index"
cat >"$P/duet.yaml" <<EOF
duet: 1
name: power
image:
  from: {archive: ./root.tar.zst, sha256: ${sum%% *}}
  steps:
    - copy: ./site
      to: /srv/site
EOF

# seconds NUMBER: 0 to 2, evenly
seconds() {
	python3 -c "print(round(2 * $1 / $cuts, 3))"
}

one_cut() {
	fresh_disk
	cp "$W/root.tar.zst" "$P/root.tar.zst"
	id=$("$DUET" build --store "$live/store" -f "$P/duet.yaml" 2>"$W/err") || {
		not_ok "cut $1: build: $(cat "$W/err")"
		return
	}
	rm "$P/root.tar.zst"
	sleep "$2"
	take_copy || {
		echo "cut $1: no quiet moment in twenty attempts; not counted"
		return
	}
	umount "$live"
	mount_copy || {
		not_ok "cut $1 after $2 s: the copy does not mount"
		return
	}
	checked=$("$DUET" store check --store "$cut/store" 2>&1)
	again=$("$DUET" build --store "$cut/store" -f "$P/duet.yaml" 2>&1)
	page=$("$DUET" run --store "$cut/store" -f "$P/duet.yaml" -- \
		sh -c 'cat /srv/site/index; cat /root/file-* | wc -c' </dev/null 2>&1)
	umount "$cut"
	is "cut $1 after $2 s: sound, the same image, and it runs" "$checked
$again
$page" "the store is sound
$id
page
$((300 * 301 / 2 * 37))"
	taken=$((taken + 1))
}

# The disk says that it has synced and has not; then somebody else's sync of one file takes the names of all
# others with it, without what is in them. What is there is found to be what it is, and is made again.
lying_cut() {
	fresh_disk
	cp "$W/root.tar.zst" "$P/root.tar.zst"
	id=$("$lie" sync 0 "$W/told" "$DUET" build --store "$live/store" -f "$P/duet.yaml" 2>"$W/err") || {
		not_ok "lying disk $1: build: $(cat "$W/err")"
		return
	}
	find "$live/store" -type f | sort | awk "NR % 5 == $1" | head -n "$1" | xargs -r sync
	sync -d "$live/store/v1/images/power"
	take_copy || return
	umount "$live"
	mount_copy || {
		not_ok "lying disk $1: the copy does not mount"
		return
	}
	"$DUET" store check --store "$cut/store" >"$W/checked" 2>&1
	grep -q 'the store is sound' "$W/checked" || broken=$((broken + 1))
	again=$("$DUET" build -q --store "$cut/store" -f "$P/duet.yaml" 2>&1)
	page=$("$DUET" run -q --store "$cut/store" -f "$P/duet.yaml" -- \
		sh -c 'cat /srv/site/index; cat /root/file-* | wc -c' </dev/null 2>&1)
	checked=$("$DUET" store check --store "$cut/store" 2>&1)
	umount "$cut"
	is "lying disk $1: found, and made again" "$again
$page
$checked" "$id
page
$((300 * 301 / 2 * 37))
the store is sound"
}

# The same with tar alone: how many of its files are whole?
control_cut() {
	fresh_disk
	mkdir "$live/tree"
	sync -f "$live"
	tar --zstd -xf "$W/root.tar.zst" -C "$live/tree"
	sleep "$1"
	take_copy || return
	umount "$live"
	mount_copy || {
		tripped=$((tripped + 1))
		return
	}
	(cd "$cut/tree" && sha256sum --quiet -c "$W/sums" >/dev/null 2>&1) || tripped=$((tripped + 1))
	umount "$cut"
}

taken=0 tripped=0
row F5 check+soak 'the power is cut right after duet has said that it is done'
for number in $(seq 0 $((cuts - 1))); do
	one_cut "$number" "$(seconds "$number")"
done
(cd "$SMALL" && find . -type f -exec sha256sum {} +) >"$W/sums"
for number in $(seq 0 2 $((cuts - 1))); do
	control_cut "$(seconds "$number")"
done
echo "$taken cuts; the control (tar without sync) was broken in $tripped of $(((cuts + 1) / 2))"
[ $taken -gt 0 ] || not_ok 'no cut was taken'
[ $tripped -gt 0 ]
control_if $? "tar without a sync: broken in $tripped cuts"
lie=$BUILD/tests/run/lie_point
broken=0
row F3 check 'a disk that says it has synced and has not, and a power cut'
if [ -x "$lie" ] && "$lie" sync 0 "$W/told" "$DUET" --version >/dev/null 2>&1; then
	for number in 0 1 2 3; do
		lying_cut $number
	done
	[ $broken -gt 0 ]
	control_if $? "the copies are damaged, which store check finds, in $broken of 4"
else
	row_left_out 'tracing is not allowed here'
fi
finish
