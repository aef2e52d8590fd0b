#!/bin/bash
# The walls of a container, each looked at by itself and quickly: what stands behind another wall is seen
# with that one away (`seccomp: unconfined`, more capabilities), so that a test misses each of them.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
[ -x "$BUILD/tests/run/wall_probe" ] || skip "$BUILD/tests/run/wall_probe is not built"
small_tools="$small_tools grep chmod ln"
small_root
mkdir -p "$SMALL/srv/a" "$SMALL/srv/b"
for name in wall_probe --help -v; do
	cp "$BUILD/tests/run/wall_probe" "$SMALL/usr/bin/$name"
done
pack "$SMALL" "$W/root.tar"
touch -d '1 hour ago' "$W/root.tar"
declare -A what=(
	[C1]='a job overwrites the program that started it (CVE-2019-5736)'
	[C3]="a descriptor of the host as workdir"
	[C4]='/dev/null of an image is a link: what is masked stays masked (CVE-2025-31133)'
	[C5]='the terminal of a job is none that somebody else put there (CVE-2025-52565)'
	[C6]='/proc and /sys are links; mounts over them'
	[C7]='/dev is a link to a folder of the host'
	[C8]="a mount's target is exchanged by whoever shares the volume (CVE-2021-30465)"
	[C17]='control groups of the host (CVE-2022-0492)'
	[C20]='abstract sockets (CVE-2020-15257)'
	[C24]='user namespaces inside'
	[C25]='floods of output take no memory (CVE-2022-1708)'
	[C26]='names that look like options (CVE-2024-32462)'
	[C29]='set-id programs and devices on a mount'
	[C30]='a setting that the kernel did not make ends the start (CVE-2025-64750)'
)
allow=''
from=''
store=''

# spec TARGET-LINES
spec() {
	printf '%s\n' 'duet: 1' 'name: walls' "image: {from: {archive: \"${from:-$W/root.tar}\"}}" >"$P/duet.yaml"
	[ $# = 0 ] || printf '%s\n' target: "$@" >>"$P/duet.yaml"
}

run() {
	as "$who" "$DUET" run -q --store "$store" -f "$P/duet.yaml" ${allow:+--allow "$allow"} -- "$@" \
		</dev/null 2>"$W/err"
}

# C1: the program beside the job is in memory, sealed, and not to be looked at. With the capabilities that
# duet-init has it is the last of these that keeps a job off; with CAP_SYS_PTRACE it is the others.
programs() {
	row C1 check "${what[C1]}"
	spec '  container: {seccomp: unconfined, capabilities: {add: [SETPCAP]}}'
	allow=seccomp,capabilities
	is "$who: C1: duet-init may not be looked at" "$(run wall_probe program 1)" 'program EACCES'
	spec '  container: {seccomp: unconfined, capabilities: {add: [SETPCAP, SYS_PTRACE]}}'
	is "$who: C1: it is in memory and sealed" "$(run wall_probe program 1 | sed 's/ E[A-Z]*$/ refused/')" \
		'/memfd:duet-init (deleted) seals 15 write refused'
	spec '  container: {capabilities: {add: [SYS_PTRACE, SETPCAP]}}'
	is "$who: C1, C3: duet-init has these alone" \
		"$(run sh -c 'for fd in /proc/1/fd/*; do readlink $fd; done' 9</root 8</etc/passwd |
			sed 's/:.*//' | sort | uniq -c | tr -s ' \n' ' ')" ' 3 /dev/null 1 anon_inode 2 pipe 1 socket '
	control_mutant sealed-not
	allow=
}

# linked NAME TO: an archive of the root where NAME is a link, and a spec over it
linked() {
	rm -rf "$W/evil"
	cp -a "$SMALL" "$W/evil"
	rm -rf "$W/evil/${1:?}"
	mkdir -p "$W/evil/$(dirname "$1")"
	ln -s "$2" "$W/evil/$1"
	pack "$W/evil" "$W/evil.tar"
	touch -d '1 hour ago' "$W/evil.tar"
	from=$W/evil.tar
	spec
}

# C6, C7: a link is refused, though it stays in the image: whoever changes it later does not matter then
links() {
	for pair in 'proc srv/a' 'sys /srv/a' 'dev srv/b' 'dev /srv/a/../b'; do
		case $pair in
		dev*) row C7 check "${what[C7]}" ;;
		*) row C6 check "${what[C6]}" ;;
		esac
		linked "${pair% *}" "${pair#* }"
		is "$who: /${pair% *} is a link into the image" "$(run true; echo $?)" 125
		has "$who: /${pair% *}: why" "$(cat "$W/err")" \
			"mount on /${pair% *}: the image has a symbolic link there"
		control_mutant links-below-ours
	done
	from=
}

# C4: what the masks are made of is our own null device, whatever the image calls so
null_device() {
	row C4 check "${what[C4]}"
	for to in /proc/sys/kernel/core_pattern /srv/a; do
		linked dev/null "$to"
		is "$who: C4: /dev/null -> $to" "$(run sh -c 'stat -c %t:%T /dev/null /proc/kallsyms
			wc -c </proc/kallsyms; echo x >/dev/null && echo y >/proc/kallsyms; echo x >/proc/sys/kernel/core_pattern' \
			| tr '\n' ' ')" '1:3 1:3 0 '
		has "$who: C4: core_pattern" "$(cat "$W/err")" 'core_pattern: Read-only file system'
	done
	from=
	spec
	is "$who: C4: masked folders are empty and read-only" "$(run sh -c 'for folder in /proc/acpi /proc/scsi \
		/sys/firmware /sys/fs/selinux /sys/devices/virtual/powercap; do
			[ ! -d $folder ] || { ls $folder; touch $folder/x 2>/dev/null && echo $folder; }
		done')" ''
	is "$who: C4: masked files are empty" "$(run sh -c 'for file in kallsyms kcore keys kmsg interrupts \
		sched_debug timer_list sysrq-trigger; do [ ! -e /proc/$file ] || head -c 1 /proc/$file; done' | wc -c)" 0
	is "$who: C4: nothing of /sys and /proc/sys is written" "$(run sh -c '
		for file in /sys/kernel/uevent_seqnum /sys/kernel/profiling /proc/sys/kernel/domainname /proc/sys/vm/drop_caches; do
			[ ! -e $file ] || { chmod 644 $file && echo $file; }
		done; chmod 700 /sys && echo /sys' 2>/dev/null)" ''
	# the host's ids hold too: what the mount itself says
	is "$who: C4: /sys is mounted read-only" "$(run sh -c 'while read -r id parent device root at options rest; do
			[ $at != /sys ] || echo ${options%%,*}
		done </proc/self/mountinfo')" ro
	control_mutant sys-writable
	control_mutant mask-kallsyms
}

# C5: it is of a devpts that nobody else has
terminals() {
	row C5 check "${what[C5]}"
	if [ -n "$(missing script)" ]; then
		row_left_out 'script is not installed'
		control none 'script is not installed'
		return
	fi
	mkdir -p "$SMALL/dev/pts"
	for to in /dev/null /etc/passwd; do
		linked dev/console "$to"
		cp "$P/duet.yaml" "$P/tty.yaml"
		is "$who: C5: a terminal, /dev/console -> $to" "$(as "$who" script -qec "'$DUET' run -q -t --store '$store' -f '$P/duet.yaml' -- \
			sh -c 'wall_probe tty; ls /dev/pts; ls -d /dev/console'" /dev/null </dev/null 2>"$W/err" |
			tr -d '\r' | sed 's/\^@//; s/^ls: .*/none/' | tr -s '\n ' ' ')" '136 1cd1 0 ptmx none '
	done
	from=
	control_mutant pts-not-mounted
}

# C8: the mount is on what was opened, in the container's root, whatever the name leads to by then
exchanged_targets() {
	row C8 check "${what[C8]}"
	victim=$W/victim-$who
	mkdir -p "$victim" "$P/shared/at"
	echo secret >"$victim/hello"
	ln -sfn "$victim" "$P/shared/link"
	case $who in
	many | one) chown -hR "duet-$who-$$" "$P/shared" "$victim" ;;
	esac
	spec '  mounts: ["./shared:/s", {tmpfs: /s/at}]'
	mkfifo "$W/stop"
	$PYTHON "$SRC/tests/run/swap.py" "$P/shared/at" "$P/shared/link" <"$W/stop" >"$W/swapping" 2>&1 &
	swapper=$!
	exec 5>"$W/stop"
	wait_for "$W/swapping"
	for _ in $(seq 20); do
		run sh -c 'cat /s/at/hello /s/link/hello 2>/dev/null; exit 0' >>"$W/seen" ||
			grep -q 'error\[\(container\|host.missing\)' "$W/err" || not_ok "$who: C8: $(cat "$W/err")"
	done
	echo stop >&5
	exec 5>&-
	wait $swapper
	rm "$W/stop"
	is "$who: C8: nothing of the host is seen" "$(cat "$W/seen")" ''
	is "$who: C8: nothing is made in the victim" "$(ls "$victim")" hello
	is "$who: C8: nothing is mounted on the host" "$(grep -c "$victim\|$P" /proc/self/mountinfo)" 0
	[ "$who" = root ] || return
	rm -rf "${P:?}/shared/at"
	ln -sfn "$victim" "$P/shared/at"
	unshare -m sh -c 'mount -t tmpfs none "$1/shared/at" && [ ! -e "$2/hello" ]' sh "$P" "$victim"
	control_if $? 'mount(8) onto the name: the mount is on the victim'
}

control_groups() {
	row C17 check "${what[C17]}"
	spec
	is "$who: C17" "$(run wall_probe cgroups | sed 's/E[A-Z]*$/refused/')" 'mount cgroup2 refused
mount cgroup refused
unshare cgroup refused
unshare user, cgroup refused
mount cgroup2 then refused
make a group refused
enter a group refused
release agent refused'
	spec '  container: {seccomp: unconfined}'
	allow=seccomp
	is "$who: C17: without a filter" "$(run wall_probe cgroups | grep -c ' done$')" 0
	row C24 check "${what[C24]}"
	is "$who: C24: without a filter" "$(run wall_probe cgroups | grep 'unshare user')" \
		"unshare user, cgroup $([ "$who" = one ] && echo EPERM || echo ENOSPC)"
	control_mutant user-namespaces
	allow=
	[ "$who" = root ] || return
	row C17 check "${what[C17]}"
	unshare -m "$BUILD/tests/run/wall_probe" cgroups | grep -q 'done'
	control_if $? 'the same program as root outside of a container'
}

sockets() {
	row C20 check "${what[C20]}"
	spec
	name=wall-$$-$who
	$PYTHON - "$name" "$W/listening" <<-'PY' &
		import socket, sys, time
		s = socket.socket(socket.AF_UNIX)
		s.bind('\0' + sys.argv[1])
		s.listen()
		open(sys.argv[2], 'w').write('ready')
		time.sleep(60)
	PY
	listener=$!
	wait_for "$W/listening"
	is "$who: C20: a socket of the host" "$(run wall_probe abstract "$name")" 'connect ECONNREFUSED'
	is "$who: C20: none of the host is seen" "$(run sh -c 'grep -c @ /proc/net/unix')" 0
	"$BUILD/tests/run/wall_probe" abstract "$name" | grep -q ' done$'
	control_if $? 'the same program outside of a container connects'
	kill $listener
	wait $listener 2>/dev/null
	rm "$W/listening"
	mkfifo "$P/go"
	chmod 644 "$P/go"
	as "$who" "$DUET" run -q --store "$store" -f "$P/duet.yaml" -- sh -c 'echo up; cat' <"$P/go" >"$W/up" 2>/dev/null &
	duet=$!
	exec 6>"$P/go"
	wait_for "$W/up"
	# a socket that has a name, abstract or a path, shows it in the eighth column
	for exe in $(own_processes); do
		find "${exe%/exe}/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -dc '0-9\n'
	done >"$W/inodes"
	[ -s "$W/inodes" ] && ok || not_ok "$who: C20: no socket of duet is seen"
	is "$who: C20: no socket of duet has a name" "$(awk 'NR == FNR { ours[$1]; next }
		$7 in ours && NF > 7' "$W/inodes" /proc/net/unix)" ''
	exec 6>&-
	wait $duet
	rm "$P/go" "$W/up"
}

# C25: what is printed goes through; nothing of it stays in memory or on the disk
floods() {
	row C25 check "${what[C25]}"
	spec
	as "$who" $PYTHON "$SRC/tests/run/box.py" 60 48 "$DUET" run -q --store "$store" -f "$P/duet.yaml" -- \
		sh -c 'head -c 100M /dev/zero; head -c 100M /dev/zero >&2' </dev/null 2>/dev/null | wc -c >"$W/out"
	is "$who: C25: no line feed, through: ${PIPESTATUS[0]}" "$(cat "$W/out")" 104857600
	# nobody reads for a moment: the job waits, duet does not grow
	as "$who" $PYTHON "$SRC/tests/run/box.py" 60 48 "$DUET" run -q --store "$store" -f "$P/duet.yaml" -- \
		head -c 90M /dev/zero </dev/null 2>/dev/null | { sleep 1; wc -c; } >"$W/out"
	is "$who: C25: a reader that waits" "$(cat "$W/out")" 94371840
	printf '%s\n' 'duet: 1' 'name: walls' 'image:' "  from: {archive: \"$W/root.tar\"}" \
		'  steps: [{run: "head -c 100M /dev/zero; exit 3"}]' >"$P/duet.yaml"
	as "$who" $PYTHON "$SRC/tests/run/box.py" 60 48 "$DUET" build --store "$store" -f "$P/duet.yaml" \
		</dev/null >"$W/out" 2>"$W/err"
	is "$who: C25: a step: exit code" $? 1
	[ "$(find "$store" -size +1024k -name '*log*' | wc -l)" = 0 ] && ok || not_ok "$who: C25: a log is kept"
	$PYTHON "$SRC/tests/run/box.py" 60 48 bash -c 'x=$(head -c 100000000 /dev/zero | tr "\0" x)' 2>/dev/null
	[ $? = 241 ]
	control_if $? 'bash, which keeps what a program prints, takes more than is allowed'
}

option_names() {
	row C26 check "${what[C26]}"
	spec
	for word in --help -v; do
		is "$who: C26: a program $word" "$(run "$word" --bind -x | tr '\n' ' ')" "$word --bind -x "
	done
	printf '%s\n' 'duet: 1' 'name: walls' 'image:' "  from: {archive: \"$W/root.tar\"}" '  steps:' \
		'    - run: ["--help", "-v"]' "    - {copy: ./-x, to: /-x}" 'target:' \
		'  workdir: /--help' '  environment: {PATH: /usr/bin, A: "--help"}' >"$P/duet.yaml"
	echo dashes >"$P/-x"
	is "$who: C26: a step, a file, a workdir, an environment" \
		"$(run sh -c 'cat ./../-x; pwd; echo "$A"' | tr '\n' ' ')" 'dashes /--help --help '
	rm "$P/-x"
	[ "$who" = root ] || return
	PATH=$SMALL/usr/bin:$PATH env --help | grep -q '^Usage: env'
	control_if $? 'env --help: the name of a program is taken for an option'
}

# C29: what a set-id program of a mounted folder would gain
mounted_programs() {
	row C29 check "${what[C29]}"
	mkdir -p "$P/data"
	spec '  mounts: ["./data:/m", "./data:/r:ro", {tmpfs: /t}]'
	is "$who: C29: the flags of mounts" "$(run sh -c 'grep " /[mrt] " /proc/self/mountinfo' |
		sed 's/^[^/]*[^ ]* \(\/[mrt]\) \([a-z,]*\) .*/\1 \2/; s/,relatime//; s/,idmapped//' | sort | tr '\n' ' ')" \
		'/m rw,nosuid,nodev /r ro,nosuid,nodev /t rw,nosuid,nodev '
	is "$who: C29: a read-only one takes nothing" "$(run sh -c 'touch /m/there; touch /r/x' 2>/dev/null; ls "$P/data")" \
		"$([ "$who" = root ] || [ "$who" = self ] && echo there)"
	control_mutant bind-suid
	rm -rf "$P/data"
}

# C30: a call that says it was done, and was not
pretended() {
	row C30 check "${what[C30]}"
	spec '  user: daemon'
	[ "$who" != one ] || spec
	# whoever needs newuidmap starts nothing under strace, which takes set-id away
	[ "$who" != many ] || return
	if ! strace -o /dev/null true 2>/dev/null; then
		row_left_out 'strace does not work here'
		control none 'strace does not work here'
		return
	fi
	is "$who: C30: it runs under strace" "$(as "$who" strace -f -qq -o /dev/null -e trace=seccomp \
		"$DUET" run -q --store "$store" -f "$P/duet.yaml" -- sh -c 'echo started' </dev/null 2>&1)" started
	calls='seccomp capset'
	# who has one id has no other to become
	[ "$who" = one ] || calls="$calls setresuid setresgid"
	for call in $calls; do
		out=$(as "$who" strace -f -qq -o /dev/null -e trace=$call -e inject=$call:retval=0 \
			"$DUET" run -q --store "$store" -f "$P/duet.yaml" -- id -u </dev/null 2>"$W/err")
		is "$who: C30: $call does nothing" "$?:$out" 125:
	done
	control_mutant filter-unread
}

# places CALL PATTERN: which of a process' calls of the kind those are that the pattern finds
places() {
	as "$who" strace -f -qq -y -o "$W/trace-$who" -e trace="$1" \
		"$DUET" run -q --store "$store" -f "$P/duet.yaml" -- true </dev/null 2>"$W/err"
	awk -v call="$1(" -v pattern="$2" 'index($2, call) == 1 {
		count[$1]++
		if ($0 ~ pattern)
			print count[$1]
	}' "$W/trace-$who"
}

# C30: and what hides the host's kernel, one place after the other: a mask, a place to be read only, a sysctl
unmade() {
	row C30 check "${what[C30]}"
	# what another user's process says is not for strace to read
	[ "$who" = root ] && strace -o /dev/null true 2>/dev/null || return
	spec '  read_only: true'
	for kind in 'mount:/proc/self/fd/.*size=4k' 'mount:NULL, MS_BIND, NULL' \
		'mount:/proc/self/fd/.*MS_RDONLY.*MS_REMOUNT' \
		'write:/proc/sys/'; do
		call=${kind%%:*}
		found=$(places "$call" "${kind#*:}")
		[ -n "$found" ] || not_ok "$who: C30: no $kind was seen: $(cat "$W/err" "$W/trace-$who")"
		for number in $found; do
			out=$(as "$who" strace -f -qq -o /dev/null -e trace="$call" -e inject="$call:retval=0:when=$number" \
				"$DUET" run -q --store "$store" -f "$P/duet.yaml" -- sh -c 'echo started' </dev/null 2>"$W/err")
			is "$who: C30: $kind, $number does nothing" "$?:$out" 125:
			has "$who: C30: $kind, $number: why" "$(cat "$W/err")" 'it is not as it was made'
		done
	done
	control_mutant inside-unread
}

# C3: what is open without a word that it ends with exec (lie_point takes the word away) is not for a job
forgotten() {
	row C3 check "${what[C3]}"
	[ "$who" = root ] && [ -x "$BUILD/tests/run/lie_point" ] || return
	spec '  container: {capabilities: {add: [SYS_PTRACE, SETPCAP]}}'
	# with the word away two come along that exec itself needs: the program and where its failure goes
	for how in 'none 0' 'keep 0'; do
		has=' 3 /dev/null 1 anon_inode 2 pipe 1 socket ' count=7
		[ "$how" = 'none 0' ] || has=' 3 /dev/null 1 /memfd 1 anon_inode 3 pipe 1 socket ' count=9
		# shellcheck disable=SC2086 # two words
		out=$("$BUILD/tests/run/lie_point" $how "$W/told" "$DUET" run -q --store "$store" -f "$P/duet.yaml" \
			--allow capabilities -- sh -c 'n=0
				while set -- /proc/1/fd/*; [ $# -gt '$count' ] && [ $n -lt 100 ]; do
					sleep 0.1 # the job may be there before duet-init has closed its ends
					n=$((n + 1))
				done
				for fd in /proc/1/fd/*; do readlink $fd; done; echo; ls /proc/self/fd' </dev/null 2>"$W/err")
		is "C3: $how: duet-init has these" "$(sed '/^$/,$d; s/:.*//' <<<"$out" | sort | uniq -c | tr -s ' \n' ' ')" \
			"$has"
		is "C3: $how: the job has these" "$(sed '1,/^$/d' <<<"$out" | tr '\n' ' ')" '0 1 2 3 '
	done
	read -r kept _ <"$W/told"
	[ "$kept" -gt 20 ] || not_ok "C3: only $kept descriptors were kept"
	control_mutant init-descriptors
}

# B10 and a step's rights: what it mounts of an image of nothing lies on no overlay, which would be
# read-only by itself; duet-init has what starting takes, and no more to begin with
steps() {
	row B10 check 'writes to what is mounted do not land in it'
	printf '%s\n' 'duet: 1' 'name: walls' 'images: {empty: {from: scratch}}' 'image:' \
		"  from: {archive: \"$W/root.tar\"}" '  steps:' \
		"    - run: 'echo x >/m/x; grep CapBnd /proc/1/status; grep Seccomp: /proc/self/status'" \
		'      mounts: [{from: empty, to: /m}]' >"$P/duet.yaml"
	as "$who" "$DUET" build --no-cache --store "$store" -f "$P/duet.yaml" </dev/null >"$W/out" 2>"$W/err"
	is "$who: B10: exit code" $? 0
	has "$who: B10: an image of nothing" "$(cat "$W/err")" '/m/x: Read-only file system'
	control_mutant bind-writable
	row B12 check 'rights come from words of the spec alone'
	has "$who: B12: duet-init" "$(tr -d '\t' <"$W/err")" 'CapBnd:00000000800401fb'
	has "$who: B12: a filter" "$(tr -d '\t' <"$W/err")" 'Seccomp:2'
	control_mutant step-filter
}

not_there() {
	for pair in 'C2 exec' 'C11 cp'; do
		row "${pair% *}" check "duet ${pair#* } is not there: its row is to be written with it"
		out=$("$DUET" "${pair#* }" x 2>&1)
		is "duet ${pair#* }" "$?:$(echo "$out" | grep -c 'error\[usage')" 2:1
		is "duet ${pair#* }: no help" "$("$DUET" --help | grep -c "^  ${pair#* } ")" 0
		control none 'a feature that is not there'
	done
	row C10 check 'named volumes are not there: their row is to be written with them'
	P=$W/project-none
	mkdir -p "$P"
	for line in 'volumes: [data]' 'mounts: [{volume: data, to: /data}]' 'mounts: ["data:/data"]'; do
		spec "  $line"
		out=$("$DUET" check -f "$P/duet.yaml" 2>&1)
		is "C10: $line" "$?:$(echo "$out" | grep -c 'error\[spec')" 2:1
	done
	has 'C10: it is said' "$out" 'named volumes ("data") are not available'
	control none 'a feature that is not there'
}

for who in $(all_users); do
	user_folders "$who" || continue
	[ "$who" = root ] || [ "$who" = self ] || chown "duet-$who-$$" "$P"
	for part in ${DUET_PARTS-programs links null_device terminals exchanged_targets control_groups sockets floods \
		option_names mounted_programs pretended unmade forgotten steps}; do
		$part
	done
	row
	no_leftovers "$who" "$store"
done
not_there
finish
