#!/bin/bash
# Start to exit of `true`, everything cached: duet, bubblewrap, crun, runc in turns, then podman.
#
#	start.sh [root | many | one]	as root (the default for root), as a user with or without
#					subuids; others measure as themselves
#	DUET_BENCH_ROUNDS=N		200 unless told
#
# bubblewrap and crun are asked for less than duet does: no system call filter, no read-back, no
# overlay, for root no user namespace, no cgroup. A user with subuids gets many ids from duet and
# crun, each with two setuid programs, and one from bubblewrap: there that ratio is no target.
# 1 when a target is missed, 77 without a peer.

# crun refuses machines that mount both kinds of cgroups; here, and for all that are measured, only
# the second is seen
if [ "$(id -u)" = 0 ] && [ -z "${DUET_BENCH_INSIDE-}" ]; then
	exec env DUET_BENCH_INSIDE=1 unshare -m "$0" "$@"
fi
. "${srcdir:-.}/tests/run/lib.sh"
. "${srcdir:-.}/tests/bench/lib.sh"

need bwrap crun jq
rounds=${DUET_BENCH_ROUNDS:-200}
who=self
[ "$(id -u)" != 0 ] || who=${1:-root}
case $who in
many | one) make_user "$who" || skip "no user can be made" ;;
root | self) ;;
*) skip "root, many or one, not $who" ;;
esac
if [ "$(id -u)" = 0 ] && [ -d /sys/fs/cgroup/unified ]; then
	mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup
fi

debian_root
mkdir "$W/project" "$W/rootfs" "$W/state" || exit 99
tar -xzpf "$ROOT" -C "$W/rootfs" --exclude='./dev/*' || exit 99
chmod 755 "$W/rootfs"
[ $who = root ] || [ $who = self ] || chown "duet-$who-$$" "$W/project" "$W/state"
cat >"$W/project/duet.yaml" <<SPEC
duet: 1
name: bench
image:
  from: {archive: $ROOT}
SPEC

# bundle NAME [RUNC'S OPTION...]: what `crun spec` writes, without a terminal and resources
bundle() {
	mkdir "$W/bundle" && (cd "$W/bundle" && crun spec "$@") || exit 99
	jq --arg root "$W/rootfs" '.process.terminal = false | .process.args = ["true"] |
		del(.process.rlimits, .linux.resources) | .root.path = $root' \
		"$W/bundle/config.json" >"$W/config.json" && mv "$W/config.json" "$W/bundle/"
}

case $who in
root) bundle ;;
*) bundle --rootless ;;
esac
cd "$W/bundle" || exit 99

run_duet="$DUET run --store $W/state/store -C $W/project"
run_bwrap="bwrap --unshare-all --bind $W/rootfs / --proc /proc --dev /dev"
run_crun="crun --root $W/state/crun --cgroup-manager=disabled run"
run_runc="runc --root $W/state/runc run"

as $who $run_duet -- true >"$W/log" 2>&1 || {
	cat "$W/log"
	exit 99
}
as $who $run_bwrap true || skip "bwrap does not run here"
set -- duet $run_duet -- true +++ bwrap $run_bwrap true
if as $who $run_crun first-$$ </dev/null 2>"$W/log"; then
	set -- "$@" +++ crun $run_crun bench-$$
elif [ $who = root ]; then
	skip "crun does not run here: $(cat "$W/log")"
fi
if command -v runc >/dev/null && as $who $run_runc first-$$ </dev/null 2>"$W/log"; then
	set -- "$@" +++ runc $run_runc bench-$$
fi
as $who "$TIMEIT" -n "$rounds" "$@" +++ 'duet --version' "$DUET" --version +++ \
	'/bin/true' /bin/true >"$W/times" || exit 99

# podman takes so much longer that some rounds are enough
if [ $who = root ] && command -v podman >/dev/null; then
	cat >"$W/containers.conf" <<-CONF
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
		[engine]
		runtime = "crun"
	CONF
	export CONTAINERS_CONF="$W/containers.conf"
	"$TIMEIT" -n $((rounds / 10 + 1)) podman podman --root "$W/state/podman" \
		--runroot "$W/state/podman-run" --storage-driver vfs run --rm --network none \
		--cgroups disabled --rootfs "$W/rootfs" true >>"$W/times" ||
		echo 'podman does not run here'
fi

echo "start to exit of true, as $who, $rounds rounds in turns; ratios to duet"
awk -F '\t' -v OFS='\t' 'NR == 1 { duet = $3 } { $5 = $3 / duet; print }' "$W/times" >"$W/table"
show "$W/table"
duet_us=$(column "$W/table" duet 3)
[ $who = many ] || target 'duet to bwrap' "$(ratio "$duet_us" "$(column "$W/table" bwrap 3)")" 1.3
crun_us=$(column "$W/table" crun 3)
[ -z "$crun_us" ] || target 'duet to crun' "$(ratio "$duet_us" "$crun_us")" 0.7
target 'duet --version, ms' "$(ratio "$(column "$W/table" 'duet --version' 3)" 1000)" 2
cd /
verdict
