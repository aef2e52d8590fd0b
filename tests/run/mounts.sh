#!/bin/bash
# Where a job's mounts come from and where they land, though somebody changes the ground meanwhile: the
# source is exchanged with a link while duet starts, the image has links onto /proc, /sys and /dev.
#
#	mounts.sh [ROUNDS]	of the exchange (40), with DUET_SOAK 400
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
rounds=${1:-${DUET_SOAK:+400}}
rounds=${rounds:-40}
small_root
mkdir -p "$SMALL/srv/real" "$SMALL/usr/deep"
ln -s /proc "$SMALL/wproc"
ln -s /sys "$SMALL/wsys"
ln -s dev "$SMALL/wdev"
ln -s ../../proc/sys "$SMALL/usr/deep/kernel"
ln -s usr/deep/kernel "$SMALL/chain"
ln -s /srv/real "$SMALL/good"
pack "$SMALL" "$W/root.tar"
touch -d '1 hour ago' "$W/root.tar"
mkdir "$W/outside"
echo outside >"$W/outside/file"
chmod 755 "$W/outside"

# spec TARGET-LINES
spec() {
	printf '%s\n' 'duet: 1' 'name: mounts' "image: {from: {archive: \"$W/root.tar\"}}" 'target:' \
		"$@" >"$P/duet.yaml"
}

run() {
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" "$@" </dev/null 2>"$W/err"
}

# How often a source that changes all the time was mounted as what it was, and as what it was not.
exchange() {
	inside=0 other=0 refused=0
	mkfifo "$W/stop"
	$PYTHON "$SRC/tests/run/swap.py" "$1" "$2" <"$W/stop" >"$W/swapping" 2>&1 &
	swapper=$!
	exec 5>"$W/stop"
	wait_for "$W/swapping"
	for _ in $(seq "$rounds"); do
		case $(run -- cat "$3") in
		inside) inside=$((inside + 1)) ;;
		outside) other=$((other + 1)) ;;
		*)
			refused=$((refused + 1))
			grep -qE 'error\[(allow.missing|host.missing|spec.value|container.start)\]' "$W/err" ||
				not_ok "$who: C34: $(cat "$W/err")" ;;
		esac
	done
	echo stop >&5
	exec 5>&-
	wait $swapper
	is "$who: C34: the names were exchanged all the while" "$(cat "$W/swapping")" swapping
	rm "$W/stop"
}

sources() {
	row C34 check "the source of a mount is exchanged with a link while duet starts ($rounds rounds each)"
	mkdir -p "$P/data"
	echo inside >"$P/data/file"
	case $who in
	many | one) chown -R "duet-$who-$$" "$P/data" ;;
	esac
	ln -sfn "$W/outside" "$P/link"
	spec '  mounts: ["./data:/m"]'
	is "$who: C34: without anybody" "$(run -- cat /m/file)" inside
	exchange "$P/data" "$P/link" /m/file
	is "$who: C34: a folder: mounted from outside" "$other" 0
	echo "$who: a folder: $inside inside, $refused refused"
	mkdir -p "$P/one" "$P/two"
	echo inside >"$P/one/file"
	ln -sfn "$W/outside/file" "$P/two/file"
	spec '  mounts: ["./one/file:/srv/file:ro"]'
	exchange "$P/one" "$P/two" /srv/file
	is "$who: C34: a file in a folder: mounted from outside" "$other" 0
	control_mutant mount-by-name
}

# refused WHAT RUNNER MOUNT: it is, and nothing has run
refused() {
	spec "  mounts: [$3]" ${4+"$4"}
	is "$who: C32: $1: exit code" "$(run --on "$2" -- cat /proc/sys/user/max_user_namespaces; echo $?)" 125
	has "$who: C32: $1: why" "$(cat "$W/err")" 'a link of the image leads into /proc, /sys or /dev'
}

targets() {
	row C32 check 'links of the image onto /proc, /sys and /dev: what hides there is not covered'
	for at in /wproc /wproc/sys /wproc/sys/user /wsys /wsys/fs /wdev /wdev/shm /chain /usr/deep/kernel/user \
		/wproc/new; do
		refused "a tmpfs at $at" container "{tmpfs: $at}"
		refused "a bind at $at" container "\"./data:$at\""
	done
	is "$who: C32: nothing was made on the way" "$(ls "$P/data")" file
	spec '  mounts: [{tmpfs: /good, mode: 0755}, {tmpfs: /dev/shm/x}, "./data:/good/data", {tmpfs: /good/data/deep}]'
	is "$who: C32: links that stay in the image lead on" "$(run -- cat /srv/real/data/file)" inside
	is "$who: C32: sysctls and masks are as ever" \
		"$(run -- sh -c 'cat /proc/sys/user/max_user_namespaces; wc -c </proc/kallsyms; cat /proc/interrupts
			: >/proc/sys/kernel/hostname' 2>&1 | head -n 2)" '0
0'
	control_mutant mount-onto-proc
}

guest_targets() {
	row C32 check 'links of the image onto /proc, /sys and /dev: what hides there is not covered'
	refused 'a guest: a tmpfs at /wproc/sys' vm '{tmpfs: /wproc/sys}' "  vm: {kernel: $KERNEL}"
	refused 'a guest: a tmpfs at /chain' vm '{tmpfs: /chain}' "  vm: {kernel: $KERNEL}"
	spec '  mounts: [{tmpfs: /good}]' "  vm: {kernel: $KERNEL}"
	is "$who: C32: a guest: a link that stays in the image" \
		"$(run --on vm -- stat -f -c %T /srv/real)" tmpfs
}

for who in $(all_users); do
	user_folders "$who" || continue
	sources
	targets
done
if [ -n "$(missing qemu-system-x86_64 apt-cache)" ]; then
	echo 'guests: left out, QEMU is not installed'
else
	vm_kernel
	who=$(all_users | head -n 1)
	store=$W/store-$who P=$W/project-$who
	guest_targets
fi
finish
