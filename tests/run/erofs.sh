#!/bin/bash
# Layers as EROFS files: fsck.erofs takes them, the kernel shows in them what the tree form and GNU tar
# have, the worker in its jail writes the same bytes; a merge shows what an overlay of the layers does.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
UNPACK=$BUILD/tests/run/unpack_tree
WORKER=$W/bin/erofs_worker
M=$W/mounts

[ "$(id -u)" = 0 ] || skip "not root: owners cannot be set"
[ -x "$UNPACK" ] && [ -x "$BUILD/tests/run/erofs_worker" ] || skip "tests/run/unpack_tree is not built"
command -v fsck.erofs >/dev/null || skip "no fsck.erofs (erofs-utils)"
cp "$BUILD/tests/run/erofs_worker" "$WORKER"
mkdir -p "$M"

clean_up_more() {
	# the topmost mount first; those of this test only
	sed -n "s,^[^ ]* \($W/[^ ]*\) .*,\1,p" /proc/mounts | tac | while read -r at; do
		umount "$at"
	done
}

# show IMAGE NAME: mounts it under $M/NAME
show() {
	mkdir -p "$M/$2" && mount -t erofs -o loop,ro,noatime "$1" "$M/$2" 2>"$W/mount.log"
}

hide() {
	umount "$M/$1"
}

list() {
	$PYTHON "$SRC/tests/run/tree_list.py" "$@"
}

# fine NAME IMAGE; of a wrong checksum it only speaks
fine() {
	if fsck.erofs "$2" >"$W/fsck.log" 2>&1 && ! grep -q '<E>' "$W/fsck.log"; then
		ok "$1: fsck.erofs"
	else
		not_ok "$1: fsck.erofs: $(cat "$W/fsck.log")"
	fi
}

# same NAME LIST LIST LEAST
same() {
	if ! cmp -s "$2" "$3"; then
		not_ok "$1: $(diff "$2" "$3" | head -6 | cut -c1-300)"
	elif [ "$(wc -l <"$2")" -lt "$4" ]; then
		not_ok "$1: next to nothing is there"
	else
		ok "$1: $(wc -l <"$2") entries"
	fi
}

printf 'x' >"$W/one" && tar -C "$W" -cf "$W/one.tar" one
"$UNPACK" -e "$W/one.tar" "$W/one.erofs" >/dev/null || exit 1
mounts=yes
if show "$W/one.erofs" one; then
	is "a file" "$(cat "$M/one/one")" x
	hide one
else
	mounts=
	echo "note: EROFS cannot be mounted here ($(tail -1 "$W/mount.log")): compared by fsck.erofs only"
fi

# image NAME BLOB LEAST [OPTION OF TREE_LIST]: as EROFS file, as tree, by GNU tar, by the worker
image() {
	name=$1 blob=$2 least=$3
	shift 3
	rm -rf "$W/tree" "$W/gnu"
	mkdir "$W/tree" "$W/gnu"
	"$UNPACK" -x -e "$blob" "$W/image" >"$W/out.erofs" || not_ok "$name: refused"
	"$UNPACK" -x "$blob" "$W/tree" >"$W/out.tree" || not_ok "$name: refused as a tree"
	is "$name: the same result" "$(cat "$W/out.erofs")" "$(cat "$W/out.tree")"
	fine "$name" "$W/image"
	"$WORKER" "$blob" "$W/image.worker" >/dev/null || not_ok "$name: refused by the worker"
	cmp "$W/image" "$W/image.worker" || not_ok "$name: the worker writes other bytes"
	[ -n "$mounts" ] || return
	show "$W/image" image || not_ok "$name: mount: $(cat "$W/mount.log")"
	list "$M/image" "$@" >"$W/image.list"
	list "$W/tree" "$@" >"$W/tree.list"
	same "$name: EROFS file and tree" "$W/image.list" "$W/tree.list" "$least"
	tar -xp --xattrs --xattrs-include='*' --acls --numeric-owner -C "$W/gnu" -f "$blob" 2>"$W/log" ||
		not_ok "$name: GNU tar: $(tail -1 "$W/log")"
	list "$W/gnu" "$@" >"$W/gnu.list"
	same "$name: EROFS file and GNU tar" "$W/image.list" "$W/gnu.list" "$least"
	hide image
}

debian_root
image debian "$ROOT" 5000 devices

# the comparisons would tell: one bit of a file, of the superblock
if [ -n "$mounts" ]; then
	cp "$W/image" "$W/damaged"
	printf X | dd of="$W/damaged" bs=1 seek=$((4096 * 20 + 1000)) conv=notrunc 2>/dev/null
	show "$W/damaged" damaged && list "$M/damaged" devices >"$W/damaged.list"
	cmp -s "$W/damaged.list" "$W/image.list" && not_ok "the list sees no difference"
	hide damaged
fi
printf X | dd of="$W/image.worker" bs=1 seek=1040 conv=notrunc 2>/dev/null
fsck.erofs "$W/image.worker" 2>&1 | grep -q '<E>' || not_ok "fsck.erofs takes anything"

$PYTHON "$SRC/tests/run/tar_nasty.py" "$W/nasty" || skip "cannot make the odd tree"
for sparse in '' -S; do
	# shellcheck disable=SC2086 # one word or none
	tar -c --format=posix $sparse --xattrs --xattrs-include='*' --acls --numeric-owner -C "$W/nasty" \
		-f "$W/nasty.tar" . 2>"$W/log" || not_ok "tar -c: $(cat "$W/log")"
	image "odd things $sparse" "$W/nasty.tar" 500
done

# wrapped in any way, at any time, by anybody: the same bytes
gzip -k "$W/nasty.tar" && zstd -q "$W/nasty.tar" && xz -k -1 "$W/nasty.tar"
for suffix in .gz .zst .xz; do
	(umask 077 && TZ=Asia/Tokyo "$UNPACK" -x -e "$W/nasty.tar$suffix" "$W/again" >/dev/null) &&
		cmp "$W/image" "$W/again" || not_ok "tar$suffix gives other bytes"
done

# attributes that ext4 cannot hold, across blocks, and of the root, whose block they do not fit
$PYTHON "$SRC/tests/run/big_xattrs.py" make "$W/xattrs.tar"
"$UNPACK" -e "$W/xattrs.tar" "$W/xattrs.erofs" >/dev/null || not_ok "large attributes: refused"
"$UNPACK" -m "$W/xattrs.merged" "$W/xattrs.erofs" >/dev/null || not_ok "large attributes: merge"
for of in erofs merged; do
	fine "large attributes, $of" "$W/xattrs.$of"
	[ -n "$mounts" ] || continue
	show "$W/xattrs.$of" xattrs
	is "large attributes, $of" "$($PYTHON "$SRC/tests/run/big_xattrs.py" check "$M/xattrs" 2>&1)" '21 are right'
	hide xattrs
done

# a file of 5 GiB, sparse in the tar and not
truncate -s 5G "$W/large" && printf 'the end\n' >>"$W/large"
tar -S -C "$W" -cf "$W/large.tar" large && rm "$W/large"
"$UNPACK" -e "$W/large.tar" "$W/large.erofs" >/dev/null || not_ok "5 GiB: refused"
fine '5 GiB, sparse' "$W/large.erofs"
$PYTHON - <<'END' | "$UNPACK" -e /dev/stdin "$W/zeros.erofs" >/dev/null || not_ok "5 GiB of zeros: refused"
import sys, tarfile
info = tarfile.TarInfo("large")
info.size = (5 << 30) + 8
out = sys.stdout.buffer
out.write(info.tobuf(tarfile.USTAR_FORMAT))
for _ in range(5 << 10):
    out.write(bytes(1 << 20))
out.write(b"the end\n" + bytes(504 + 1024))
END
fine '5 GiB of zeros' "$W/zeros.erofs"
[ "$(du -k "$W/zeros.erofs" | cut -f1)" -lt 100000 ] || not_ok "5 GiB of zeros take $(du -h "$W/zeros.erofs")"
for large in large zeros; do
	[ -n "$mounts" ] || break
	show "$W/$large.erofs" large
	is "$large: size" "$(stat -c %s "$M/large/large")" $(((5 << 30) + 8))
	is "$large: its end" "$(tail -c 11 "$M/large/large" | od -An -c | tr -d ' ')" '\0\0\0theend\n'
	hide large
done
rm "$W"/large.* "$W/zeros.erofs"

# a full disk ends it with that reason, and what is there is no image
if mkdir "$M/full" && mount -t tmpfs -o size=4M tmpfs "$M/full" 2>/dev/null; then
	has 'a full disk' "$("$WORKER" "$ROOT" "$M/full/image" 2>&1)" 'No space left on device'
	fsck.erofs "$M/full/image" >/dev/null 2>&1 && not_ok 'a full disk: an image all the same'
	"$UNPACK" -e "$W/nasty.tar" "$W/image" >/dev/null
	: >"$M/full/image"
	has 'a full disk, merging' "$("$WORKER" -m "$M/full/image" "$W/image" 2>&1)" 'No space left on device'
	umount "$M/full"
fi

# stack COUNT SEED [plain]: layers above each other in both forms, then merged
stack() {
	rm -rf "$W/stack" "$W/merged"
	$PYTHON "$SRC/tests/run/layer_stack.py" "$W/stack" "$@" || exit 1
	lower_trees=() lower_images=() names=
	for i in $(seq "$1"); do
		mkdir "$W/stack/$i"
		"$UNPACK" "$W/stack/$i.tar" "$W/stack/$i" "${lower_trees[@]}" >"$W/out.tree" 2>&1
		tree=$?
		"$UNPACK" -e "$W/stack/$i.tar" "$W/stack/$i.erofs" "${lower_images[@]}" >"$W/out.erofs" 2>&1
		is "stack $*: layer $i" "$? $(cat "$W/out.erofs")" "$tree $(cat "$W/out.tree")"
		if [ $tree != 0 ]; then
			# refused in both forms; the layers above do without it
			rm -rf "$W/stack/$i" "$W/stack/$i.erofs"
			continue
		fi
		lower_trees+=("$W/stack/$i")
		lower_images+=("$W/stack/$i.erofs")
		names="$i:$names"
	done
	"$UNPACK" -m "$W/merged" "${lower_images[@]}" >/dev/null || not_ok "stack $*: merge"
	fine "stack $*: merged" "$W/merged"
	"$WORKER" -m "$W/merged.worker" "${lower_images[@]}" >/dev/null || not_ok "stack $*: merge by the worker"
	cmp "$W/merged" "$W/merged.worker" || not_ok "stack $*: the worker merges to other bytes"
}

# shown NAME [LEAST]: the layers of a stack, mounted, against their trees (not with LEAST); their
# overlay against the merge
shown() {
	[ -n "$mounts" ] || return
	mkdir -p "$M/overlay"
	for i in ${names//:/ }; do
		show "$W/stack/$i.erofs" "$i" || {
			echo "note: not enough loop devices for $1: $(cat "$W/mount.log")"
			return
		}
		[ -n "${2-}" ] && continue
		list "$M/$i" >"$W/image.list"
		list "$W/stack/$i" >"$W/tree.list"
		same "$1: layer $i" "$W/image.list" "$W/tree.list" 2
	done
	show "$W/merged" merged
	if (cd "$M" && mount -t overlay -o "ro,userxattr,lowerdir=${names%:}" overlay overlay) 2>"$W/mount.log"; then
		list "$M/overlay" nlink >"$W/overlay.list"
		list "$M/merged" nlink >"$W/merged.list"
		same "$1: overlay and merge" "$W/merged.list" "$W/overlay.list" "${2-3}"
		umount "$M/overlay"
	else
		echo "note: no overlay here: $(cat "$W/mount.log")"
	fi
	hide merged
	for i in ${names//:/ }; do
		hide "$i"
	done
}

for seed in 1 2 3 4; do
	stack 8 $seed
	shown "stack $seed"
done
stack 60 7 plain
shown "60 layers" 40
finish
