#!/bin/bash
# Run in a mount namespace of its own: makes the root of `watch_start` (lib.sh) and stays for as long
# as it lasts.
#
#	watch.sh W FOLDER	W stays the host's own; FOLDER is a tmpfs for the upper folders
set -eu
W=$1
dir=$2

# over NAME PATH: an overlay over PATH, with its upper in NAME.upper
over() {
	mkdir -p "$dir/$1.upper" "$dir/$1.work"
	chmod --reference="$2/." "$dir/$1.upper"
	mount -t overlay -o "lowerdir=$2,upperdir=$dir/$1.upper,workdir=$dir/$1.work" watch "$dir/new$2"
}

mkdir "$dir/new"
over root /
for top in dev run tmp var home root usr opt; do
	! mountpoint -q "/$top" || over $top "/$top"
done
for own in /proc /sys /dev/pts /dev/shm; do
	! [ -d $own ] || mount --rbind $own "$dir/new$own"
done
mount --bind "$W" "$dir/new$W"
mkdir -p "$W/watch.old"
pivot_root "$dir/new" "$dir/new$W/watch.old"
cd /
umount -l "$W/watch.old"
touch "$W/watch.ready"
exec sleep 86400
