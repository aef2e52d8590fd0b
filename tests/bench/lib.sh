# shellcheck shell=sh
# Sourced by the benches after tests/run/lib.sh: tables, targets, needs.
#
#	podman_conf		podman runs with crun, and here: without systemd, with the limits that there are
#	show FILE		timeit's lines as a table
#	column FILE NAME N	one cell of them
#	fresh_disk		an empty journaled ext4 in a loop file, at $disk; $disk_bytes and $disk_inodes
#				may say how large. Takes root
#	remove_disk		unmounts and removes it; for clean_up_more
#	timed NAME COMMAND...	runs it until it is on the disk at $disk; a line of timeit's to $W/times
#	medians			$W/times to $W/medians: a line for each name
#	ratios US		$W/medians with the ratio to so many us, the quickest first, to $W/table
#	target WHAT GOT MAX	prints the verdict; counts what is missed
#	verdict			exits 1 when a target was missed
#	make_tar		sets $tar: a Debian layer of about 450 MB, gzip (DUET_BENCH_TAR, or made once)

# shellcheck disable=SC2034 # TIMEIT is for the scripts that source this
TIMEIT=$BUILD/tests/bench/timeit
disk=$W/disk
image_file=$BUILD/bench-disk-$$.img
missed=0
# what is measured lies in the build folder, or where $DUET_BENCH_TAR says
echo 'allow: [paths]' >"$W/config/duet/config.yaml"

podman_conf() {
	cat >"$W/containers.conf" <<-CONF
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
		[engine]
		cgroup_manager = "cgroupfs"
		runtime = "crun"
	CONF
	export CONTAINERS_CONF="$W/containers.conf"
}

show() {
	awk -F '\t' 'BEGIN { printf "%-16s %10s %10s %10s %7s %9s\n", "", "least ms", "median ms",
			"p95 ms", "ratio", "peak MiB" }
		{ printf "%-16s %10.2f %10.2f %10.2f %7.2f %9.1f\n", $1, $2 / 1000, $3 / 1000,
			$4 / 1000, $5, $6 / 1024 }' "$1"
}

column() {
	awk -F '\t' -v name="$2" -v number="$3" '$1 == name { print $number }' "$1"
}

# ratio A B
ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'
}

fresh_disk() {
	mkdir -p "$disk"
	truncate -s "${disk_bytes:-3G}" "$image_file"
	mkfs.ext4 -q -F -N "${disk_inodes:-200000}" -E lazy_itable_init=0,lazy_journal_init=0 \
		"$image_file" || exit 99
	mount -o loop "$image_file" "$disk" || skip 'no loop mount can be made'
	mkdir "$disk/tmp"
}

remove_disk() {
	mountpoint -q "$disk/podman/overlay" && umount "$disk/podman/overlay"
	mountpoint -q "$disk" && umount "$disk"
	rm -f "$image_file"
}

timed() {
	name=$1
	shift
	"$TIMEIT" -s -n 1 "$name" sh -c '"$@" && sync -f "$0"' "$disk" "$@" \
		>>"$W/times" 2>"$W/log" || {
		cat "$W/log"
		exit 99
	}
}

medians() {
	sort -t '	' -k 1,1 -k 3,3n "$W/times" | awk -F '\t' -v OFS='\t' '
		$1 != name { flush(); name = $1; n = 0; peak = 0 }
		{ us[n++] = $3; if ($6 > peak) peak = $6 }
		END { flush() }
		function flush() {
			if (n) print name, us[0], us[int(n / 2)], us[n - 1], 0, peak
		}' >"$W/medians"
}

ratios() {
	awk -F '\t' -v OFS='\t' -v one="$1" '{ $5 = $3 / one; print }' "$W/medians" |
		sort -t '	' -k 3,3n >"$W/table"
}

target() {
	if [ -n "$2" ] && awk -v got="$2" -v max="$3" 'BEGIN { exit !(got <= max) }'; then
		echo "met     $1: $2, at most $3"
	else
		echo "MISSED  $1: $2, at most $3"
		missed=$((missed + 1))
	fi
}

verdict() {
	[ $missed = 0 ]
	exit
}

make_tar() {
	tar=${DUET_BENCH_TAR:-$BUILD/bench-layer.tar.gz}
	[ -s "$tar" ] && return
	need mmdebstrap
	mmdebstrap --quiet --variant=standard --include=git,python3 --format=tar bookworm - \
		2>"$W/mmdebstrap.log" | gzip >"$tar.part" || {
		cat "$W/mmdebstrap.log"
		exit 99
	}
	mv "$tar.part" "$tar"
}
