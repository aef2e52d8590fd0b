#!/bin/bash
# A Debian layer of about 450 MB, gzip, to what is run from and on the disk: duet build for a
# container (a tree) and for a VM (an EROFS file), umoci unpack, podman load and pull, and as floors
# igzip piped into tar and igzip into one file, in turns. Each gets a fresh journaled
# ext4 of its own in a loop file; the clock stops when that file system is synced. The layer is the
# same bytes for all, warm in the page cache; nothing else is.
# The VM's kernel is in the store before. Then the worker's peak memory on a layer of 300,000 small
# files, in both forms.
#
#	DUET_BENCH_TAR=FILE	a tar.gz to measure with, instead of making one
#	DUET_BENCH_LAYER_ROUNDS=N	3 unless told
#	DUET_BENCH_FILES=N	300000 unless told
#
# 1 when a target is missed, 77 without a peer. As root. Needs about 4 GB under the build folder.
. "${srcdir:-.}/tests/run/lib.sh"
. "${srcdir:-.}/tests/bench/lib.sh"

[ "$(id -u)" = 0 ] || skip 'loop mounts take root'
need umoci podman igzip mkfs.ext4 jq python3
rounds=${DUET_BENCH_LAYER_ROUNDS:-3}
files=${DUET_BENCH_FILES:-300000}
layout=/tmp/duet-bench-$$	# podman takes no capital letters in it

trap 'remove_disk; rm -rf "$layout"; clean_up' EXIT

# put FILE: moves it among the layout's blobs; prints its digest
put() {
	sum=$(sha256sum <"$1") && sum=${sum%% *}
	mv "$1" "$layout/blobs/sha256/$sum"
	echo "sha256:$sum"
}

# The same bytes as an OCI layout, and that as an archive: whoever made one from the tar would pack
# it with a compressor of their own.
make_layout() {
	mkdir -p "$layout/blobs/sha256"
	diff_id=sha256:$(igzip -dc <"$tar" | sha256sum | cut -d ' ' -f 1)
	cp "$tar" "$W/layer" && layer=$(put "$W/layer")
	jq -nc --arg id "$diff_id" '{architecture: "amd64", os: "linux", config: {},
		rootfs: {type: "layers", diff_ids: [$id]}}' >"$W/config"
	config_bytes=$(wc -c <"$W/config")
	config=$(put "$W/config")
	jq -nc --arg config "$config" --arg layer "$layer" --argjson config_bytes "$config_bytes" \
		--argjson layer_bytes "$(wc -c <"$tar")" '{schemaVersion: 2,
		mediaType: "application/vnd.oci.image.manifest.v1+json",
		config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $config,
			size: $config_bytes},
		layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: $layer,
			size: $layer_bytes}]}' >"$W/manifest"
	manifest_bytes=$(wc -c <"$W/manifest")
	manifest=$(put "$W/manifest")
	jq -nc --arg manifest "$manifest" --argjson bytes "$manifest_bytes" '{schemaVersion: 2,
		manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json",
			digest: $manifest, size: $bytes,
			annotations: {"org.opencontainers.image.ref.name": "bench"}}]}' \
		>"$layout/index.json"
	echo '{"imageLayoutVersion": "1.0.0"}' >"$layout/oci-layout"
	tar -cf "$W/layout.tar" -C "$layout" .
	podman_conf
}

# spec TAR: a project with that layer
spec() {
	mkdir -p "$W/project"
	cat >"$W/project/duet.yaml" <<-SPEC
		duet: 1
		name: bench
		image:
		  from: {archive: $1}
	SPEC
}

# measure NAME SOURCE COMMAND...: a line of timeit's to $W/times; $before is copied to the disk as
# its store, not measured
before=
measure() {
	name=$1 source=$2
	shift 2
	fresh_disk
	[ -z "$before" ] || cp -a "$before" "$disk/store"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cat "$source" "$W/bin/"* "$(command -v "$1")" >/dev/null
	timed "$name" "$@"
	remove_disk
}

# A store that has a kernel and nothing else; no VMs are measured where there can be none.
make_kernel() {
	printf 'duet: 1\nname: none\nimage: {from: scratch}\n' >"$W/duet.yaml"
	"$DUET" build -q --on vm --store "$W/kernel-store" -C "$W" >"$W/log" 2>&1 && return
	echo "no VM form is measured: $(cat "$W/log")"
	return 1
}

make_tar
make_layout
make_kernel && with_vm=1 || with_vm=
spec "$tar"
podman="podman --root $disk/podman --runroot $disk/run --storage-driver overlay"
export TMPDIR="$disk/tmp"
round=0
while [ $round -lt "$rounds" ]; do
	measure igzip+tar "$tar" sh -c 'mkdir "$1/root" && igzip -dc <"$0" | tar -xpf - -C "$1/root"' \
		"$tar" "$disk"
	measure duet "$tar" "$DUET" build -q --store "$disk/store" -C "$W/project"
	if [ -n "$with_vm" ]; then
		measure 'igzip > file' "$tar" sh -c 'igzip -dc <"$0" >"$1/file"' "$tar" "$disk"
		before=$W/kernel-store
		measure 'duet for a VM' "$tar" "$DUET" build -q --on vm --store "$disk/store" \
			-C "$W/project"
		before=
	fi
	measure umoci "$layout/blobs/sha256/${layer#*:}" \
		umoci unpack --image "$layout:bench" "$disk/bundle"
	# shellcheck disable=SC2086 # words on purpose
	measure 'podman load' "$W/layout.tar" $podman load -q -i "$W/layout.tar"
	# shellcheck disable=SC2086
	measure 'podman pull' "$layout/blobs/sha256/${layer#*:}" \
		$podman pull -q "oci:$layout:bench"
	round=$((round + 1))
done
medians
duet_us=$(column "$W/medians" duet 3)
ratios "$duet_us"
echo "a layer of $(wc -c <"$tar") bytes, $(igzip -dc <"$tar" | wc -c) unpacked, to a synced ext4;" \
	"$rounds rounds in turns; ratios to duet"
show "$W/table"
fastest=$(sort -t '	' -k 3,3n "$W/medians" | awk -F '\t' '/^(umoci|podman)/ { print $3; exit }')
target 'duet to the fastest of umoci and podman' "$(ratio "$duet_us" "$fastest")" 0.4

if [ -n "$with_vm" ]; then
	vm_us=$(column "$W/medians" 'duet for a VM' 3)
	target 'duet for a VM to igzip > file' \
		"$(ratio "$vm_us" "$(column "$W/medians" 'igzip > file' 3)")" 1.35
	target 'duet for a VM to the fastest of umoci and podman' "$(ratio "$vm_us" "$fastest")" 0.25
fi

many=$W/many.tar.gz
python3 "$SRC/tests/bench/many_files.py" "$files" 1500 | igzip -1 -c >"$many" || exit 99
spec "$many"
: >"$W/times"
disk_bytes=4G disk_inodes=$((files * 5 / 4 + 1000))
measure duet "$many" "$DUET" build -q --store "$disk/store" -C "$W/project"
before=$W/kernel-store
[ -z "$with_vm" ] || measure 'duet for a VM' "$many" "$DUET" build -q --on vm --store "$disk/store" \
	-C "$W/project"
echo "a layer of $files files of 1500 bytes"
show "$W/times"
target 'peak memory, MiB' "$(ratio "$(column "$W/times" duet 6)" 1024)" 128
[ -z "$with_vm" ] || target 'peak memory for a VM, MiB' \
	"$(ratio "$(column "$W/times" 'duet for a VM' 6)" 1024)" 128
verdict
