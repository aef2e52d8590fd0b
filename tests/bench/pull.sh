#!/bin/bash
# An image of about 450 MB from a registry on loopback to what is run from and on the disk: duet pull for
# a VM (an EROFS file) and for a container (a tree), podman pull, skopeo copy and umoci unpack, in turns.
# Each gets a fresh journaled ext4 of its own in a loop file; the clock stops when that file system is
# synced. The registry's blobs are warm in the page cache, nothing else is. Then the peak memory of duet
# with all its workers.
#
#	DUET_BENCH_TAR=FILE	a tar.gz to measure with, instead of making one
#	DUET_BENCH_PULL_ROUNDS=N	5 unless told
#
# 1 when a target is missed, 77 without a peer. As root. Needs about 4 GB under the build folder.
. "${srcdir:-.}/tests/run/lib.sh"
. "${srcdir:-.}/tests/run/registry_lib.sh"
. "${srcdir:-.}/tests/bench/lib.sh"

[ "$(id -u)" = 0 ] || skip 'loop mounts take root'
need docker-registry umoci skopeo podman igzip mkfs.ext4 jq python3 curl
rounds=${DUET_BENCH_PULL_ROUNDS:-5}

clean_up_more() {
	registry_stop
	remove_disk
}

# The tar as it is, the one layer of an image in the registry.
make_image() {
	mkdir -p "$W/image"
	registry_start bench
	registry_allow
	diff_id=sha256:$(igzip -dc <"$tar" | sha256sum | cut -d ' ' -f 1)
	layer=$(sha256sum <"$tar" | cut -d ' ' -f 1)
	ln -s "$(realpath "$tar")" "$W/image/$layer"
	jq -nc --arg id "$diff_id" '{architecture: "amd64", os: "linux", config: {},
		rootfs: {type: "layers", diff_ids: [$id]}}' >"$W/image.json"
	config=$(sha256sum <"$W/image.json" | cut -d ' ' -f 1)
	cp "$W/image.json" "$W/image/$config"
	jq -nc --arg config "sha256:$config" --arg layer "sha256:$layer" \
		--argjson config_bytes "$(wc -c <"$W/image.json")" \
		--argjson layer_bytes "$(wc -c <"$tar")" '{schemaVersion: 2,
		mediaType: "application/vnd.oci.image.manifest.v1+json",
		config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $config,
			size: $config_bytes},
		layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: $layer,
			size: $layer_bytes}]}' >"$W/image/manifest.json"
	echo 'Directory Transport Version: 1.1' >"$W/image/version"
	skopeo copy -q --preserve-digests --dest-tls-verify=false "dir:$W/image" \
		"docker://$REGISTRY/bench:v1" || exit 99
	podman_conf
}

# A fresh disk, and in memory only what every contender reads.
cold_disk() {
	fresh_disk
	sync
	echo 3 >/proc/sys/vm/drop_caches
	find "$W/registry-bench" "$W/bin" -type f -exec cat {} + >/dev/null
	for program in docker-registry umoci skopeo podman; do
		cat "$(command -v $program)"
	done >/dev/null
}

measure() {
	cold_disk
	timed "$@"
	remove_disk
}

# peak RUNNER: KiB
peak() {
	cold_disk
	python3 "$SRC/tests/bench/memory.py" "$DUET" pull -q --store "$disk/store" --on "$1" \
		"$REGISTRY/bench:v1" 2>"$W/log"
	remove_disk
}

make_peer() {
	cat >"$W/bin/peer" <<-END
		#!/bin/sh
		skopeo copy -q --src-tls-verify=false docker://$REGISTRY/bench:v1 oci:$disk/layout:v1 &&
			umoci unpack --image $disk/layout:v1 $disk/bundle
	END
	chmod +x "$W/bin/peer"
}

make_tar
make_image
make_peer
export TMPDIR="$disk/tmp"
round=0
while [ $round -lt "$rounds" ]; do
	measure 'duet, EROFS' "$DUET" pull -q --on vm --store "$disk/store" "$REGISTRY/bench:v1"
	measure 'duet, trees' "$DUET" pull -q --on container --store "$disk/store" "$REGISTRY/bench:v1"
	measure 'podman pull' podman --root "$disk/podman" --runroot "$disk/run" \
		--storage-driver overlay pull -q --tls-verify=false "$REGISTRY/bench:v1"
	measure 'skopeo + umoci' "$W/bin/peer"
	round=$((round + 1))
done
medians
fastest=$(grep -v '^duet' "$W/medians" | sort -t '	' -k 3,3n | head -n 1 | cut -f 3)
ratios "$fastest"
echo "an image of $(wc -c <"$tar") bytes, $(igzip -dc <"$tar" | wc -c) unpacked, from a registry on" \
	"loopback to a synced ext4; $rounds rounds in turns; ratios to the faster peer;" \
	"load $(cut -d ' ' -f 1 /proc/loadavg)"
show "$W/table"
target 'EROFS to the faster peer' "$(column "$W/table" 'duet, EROFS' 5)" 0.3
target 'trees to the faster peer' "$(column "$W/table" 'duet, trees' 5)" 0.4
target 'peak memory for a VM, all processes, MiB' "$(ratio "$(peak vm)" 1024)" 128
target 'peak memory for a container, all processes, MiB' "$(ratio "$(peak container)" 1024)" 128
verdict
