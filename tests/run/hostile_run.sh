#!/bin/bash
# What a job can try against duet and its host while it runs, and what duet leaves when it is killed:
# the program files, capabilities, groups, terminals, the environment. Each row with its control.
#
#	hostile_run.sh [KILLS]		30 random moments to kill duet at, with DUET_SOAK 500
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
kills=${1:-${DUET_SOAK:+500}}
kills=${kills:-30}
allow=
PROBE=$BUILD/tests/run/probe
[ -x "$PROBE" ] || skip "$PROBE is not built"
small_root
cp "$PROBE" "$SMALL/probe"
printf '#!/proc/self/exe\n' >"$SMALL/evil"
chmod 755 "$SMALL/probe" "$SMALL/evil"
cat >>"$SMALL/etc/passwd" <<'END'
worker:x:1000:1000::/:/bin/sh
END
printf 'worker:x:1000:\ndenied:x:2000:worker\nother:x:2001:daemon\n' >>"$SMALL/etc/group"
pack "$SMALL" "$W/root.tar"
touch -d '1 hour ago' "$W/root.tar"

# spec TARGET-LINES
spec() {
	{
		printf 'duet: 1\nname: run\nimage:\n  from: {archive: "%s"}\n' "$W/root.tar"
		printf '  steps:\n    - {copy: ./deny, to: /deny, owner: "0:2000", mode: 0604}\n'
		[ $# = 0 ] || printf 'target:\n'
		[ $# = 0 ] || printf '%s\n' "$@"
	} >"$P/duet.yaml"
}

run() {
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" ${allow:+--allow "$allow"} -- "$@" \
		</dev/null 2>"$W/err"
}

own_files() {
	sha256sum "$W"/bin/*
}

# C1: whatever a job can open of what runs beside it takes no byte
overwriting() {
	row C1 check 'a job overwrites the program that started it (CVE-2019-5736)'
	spec
	before=$(own_files)
	run /evil
	code=$?
	[ $code -ge 1 ] && [ $code -lt 255 ] && ok "$code" || not_ok "$who: C1: #!/proc/self/exe: $code"
	is "$who: C1: open for writing" "$(run /probe exe 2)" 'tried many opened 0'
	spec '  container: {seccomp: unconfined}'
	is "$who: C1: open for writing, without a filter" "$(allow=seccomp run /probe exe 1)" 'tried many opened 0'
	is "$who: C1: duet's programs" "$(own_files)" "$before"
}

# nsenter(1) into a container whose program is `#!/proc/self/exe`: the hole of runc in 2019.
overwriting_control() {
	row C1 check "${row_what[C1]}"
	copy=$W/nsenter
	cp "$(type -P nsenter)" "$copy"
	ldd "$copy" | sed -n 's,.*[[:space:]]\(/[^ ]*\) (0x.*,\1,p' | while read -r library; do
		mkdir -p "$SMALL$(dirname "/usr/${library#/usr}")"
		cp -Ln "$library" "$SMALL/usr/${library#/usr}"
	done
	before=$(sha256sum <"$copy")
	unshare -mpf --kill-child sh -c 'mkdir -p "$1/proc" && mount -t proc proc "$1/proc" &&
		exec chroot "$1" /probe exe 4' sh "$SMALL" >"$W/out" 2>&1 &
	holder=$!
	for _ in $(seq 50); do
		job=$(pgrep -P $holder -x probe) && break
		sleep 0.05
	done
	# until it is overwritten: the job has its descriptor after the first
	for _ in $(seq 20); do
		(timeout 1 "$copy" -t "$job" -m -p -r /evil) >/dev/null 2>&1
		[ "$(sha256sum <"$copy")" = "$before" ] || break
		sleep 0.1
	done
	wait $holder
	[ "$(sha256sum <"$copy")" != "$before" ]
	control_if $? "nsenter: its file is overwritten ($(tail -n 1 "$W/out"))"
}

capabilities() {
	row C12 check 'capabilities are exact, nothing is inheritable'
	wanted='CapInh:0000000000000000 CapPrm:00000000000000fb CapEff:00000000000000fb CapBnd:00000000000000fb CapAmb:0000000000000000'
	spec
	masks='while read -r key value rest; do case $key in Cap*) echo "$key$value" ;; esac; done </proc/self/status'
	is "$who: C12: root" "$(run sh -c "$masks" | tr '\n' ' ')" "$wanted "
	is "$who: C12: init" "$(run sh -c "${masks/self/1}" | head -n 1)" CapInh:0000000000000000
	[ "$who" != one ] || return
	spec '  user: worker'
	is "$who: C12: a user" "$(run sh -c "$masks" | tr '\n' ' ')" \
		'CapInh:0000000000000000 CapPrm:0000000000000000 CapEff:0000000000000000 CapBnd:00000000000000fb CapAmb:0000000000000000 '
}

capabilities_control() {
	row C12 check "${row_what[C12]}"
	[ "$(setpriv --inh-caps +chown sh -c "$masks" | head -n 1)" != CapInh:0000000000000000 ]
	control_if $? 'setpriv --inh-caps: inheritable ones are seen'
}

groups() {
	row C13 check 'supplementary groups are exact, a denied group stays denied'
	if [ "$who" = one ]; then
		spec
		is "$who: C13: groups" "$(run id -G)" 0
		# the kernel lets nobody drop groups without a map for them: they stay, as nobody's
		mkdir -p "$P/shared"
		cp "$P/deny" "$P/shared/"
		chown 0:2000 "$P/shared/deny"
		chmod 604 "$P/shared/deny"
		spec '  mounts: ["./shared:/shared"]'
		out=$(watched setpriv --reuid "duet-one-$$" --regid "duet-one-$$" --groups 2000 env HOME="$W/home-one" \
			"$DUET" run --store "$store" -f "$P/duet.yaml" -- sh -c 'id -G; cat /shared/deny' \
			</dev/null 2>/dev/null)
		is "$who: C13: the caller's groups" "$out" '0 65534'
		return
	fi
	spec '  user: worker'
	is "$who: C13: id -G" "$(run id -G)" '1000 2000'
	run cat /deny >/dev/null
	is "$who: C13: 0604 and of the group" $? 1
	spec '  user: daemon'
	is "$who: C13: id -G of another" "$(run id -G)" '1 2001'
	is "$who: C13: 0604 and not of the group" "$(run cat /deny)" secret
	spec '  user: "1000"'
	is "$who: C13: by number" "$(run id -G)" '1000 2000'
	spec '  user: worker:other'
	is "$who: C13: a group of one's own choice" "$(run id -G)" 2001
	spec
	if [ "$who" = root ]; then
		is 'C13: the groups of the caller' "$(watched setpriv --groups 4,24,27 "$DUET" run --store "$store" \
			-f "$P/duet.yaml" -- id -G </dev/null 2>/dev/null)" 0
	fi
}

groups_control() {
	row C13 check "${row_what[C13]}"
	cp "$P/deny" "$W/deny"
	chown 0:2000 "$W/deny"
	chmod 604 "$W/deny"
	! setpriv --reuid 1000 --regid 1000 --groups 2000 cat "$W/deny" >/dev/null 2>&1 &&
		setpriv --reuid 1000 --regid 1000 --clear-groups cat "$W/deny" >/dev/null 2>&1
	control_if $? 'setpriv --clear-groups: the denied file opens'
}

# refused WHAT TEXT: every call in it was refused, and nothing came through
refused() {
	is "$1: nothing is pushed" "$(echo "$2" | tail -n 1)" 'pushed 0'
	is "$1: no call is done" "$(echo "$2" | grep -c " done")" 0
	is "$1: refused by the filter" "$(echo "$2" | grep -c 'TIOC.* EPERM')" "$3"
}

terminals() {
	row C16 check "TIOCSTI and TIOCLINUX reach nobody's terminal"
	spec
	refused "$who: C16: without a terminal" "$(as "$who" $PYTHON "$SRC/tests/run/tty_push.py" \
		"$DUET" run -q --store "$store" -f "$P/duet.yaml" -- /probe tty)" 9
	refused "$who: C16: with one" "$(as "$who" $PYTHON "$SRC/tests/run/tty_push.py" \
		"$DUET" run -q -t --store "$store" -f "$P/duet.yaml" -- /probe tty)" 12
}

terminals_control() {
	row C16 check "${row_what[C16]}"
	out=$($PYTHON "$SRC/tests/run/tty_push.py" "$(type -P chroot)" "$SMALL" /probe tty)
	case $(echo "$out" | tail -n 1) in
	'pushed 0') control none "this kernel pushes nothing: $(echo "$out" | head -n 1)" ;;
	pushed*) control tripped "chroot: $(echo "$out" | tail -n 1) bytes" ;;
	*) control missed "$out" ;;
	esac
}

environment() {
	row C22 check 'the environment of the host'
	spec
	is "$who: C22: all of it" "$(DUET_SECRET=x LD_PRELOAD='' BASH_ENV=/x TERM=y run env | sort)" \
		"HOME=/root
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	out=$(GREETING=s3cr3t DUET_SECRET=s3cr3t as "$who" "$DUET" run -v --store "$W/env-$who" \
		-f "$P/duet.yaml" -- /probe fds </dev/null 2>&1)
	is "$who: C22: what is said" "$(echo "$out" | grep -c s3cr3t)" 0
	row C3 check "a descriptor of the host as workdir"
	is "$who: C3: the descriptors of a job" "$(run /probe fds 7</root 9</etc/passwd 1023</etc)" '0 pipe
1 pipe
2 pipe'
	control none 'the control is in hostile.sh'
}

environment_control() {
	row C22 check "${row_what[C22]}"
	[ "$(DUET_SECRET=s3cr3t chroot "$SMALL" env | grep -c s3cr3t)" = 1 ]
	control_if $? 'chroot: the whole environment'
	row C3 check "${row_what[C3]}"
	[ "$(unshare -mpf --mount-proc sh -c 'mkdir -p "$1/proc" && mount --bind /proc "$1/proc" &&
		exec chroot "$1" /probe fds' sh "$SMALL" 9</etc/passwd | grep -c passwd)" = 1 ]
	control_if $? 'chroot: descriptor 9 is open inside'
}

# kill_many TIMES: as $who, who runs duet by a script that becomes it
kill_many() {
	spec '  container: {writes: disk}'
	run true || not_ok "$who: C27: $(cat "$W/err")"
	printf '#!/bin/sh\nexec %s "$@"\n' "$DUET" >"$W/duet-as"
	[ "$who" = root ] || printf '#!/bin/sh\nexec setpriv --reuid %s --regid %s --clear-groups env HOME=%s %s "$@"\n' \
		"duet-$who-$$" "duet-$who-$$" "$W/home-$who" "$DUET" >"$W/duet-as"
	chmod 755 "$W/duet-as"
	cgroups=$(find /sys/fs/cgroup -type d 2>/dev/null | grep -c duet)
	links=$(ls /sys/class/net)
	out=$(unshare -pf --mount-proc --kill-child bash "$W/kills.sh" "$W/duet-as" "$store" \
		"$P/duet.yaml" "$1" "$seed" 2>&1)
	is "$who: C27: seed $seed" "$out" ''
	is "$who: C27: cgroups" "$(find /sys/fs/cgroup -type d 2>/dev/null | grep -c duet)" "$cgroups"
	is "$who: C27: network links" "$(ls /sys/class/net)" "$links"
	is "$who: C27: the next command" "$(as "$who" "$DUET" images --store "$store" >/dev/null
		ls -A "$store/v1/tmp")" ''
	is_sound "$who: C27" "$who" "$store"
}

# C27, inside a PID namespace: every process there is of this test. Prints what is left.
killing() {
	row C27 check+soak "duet is killed at random moments ($kills): nothing is left after 2 s"
	cat >"$W/kills.sh" <<'END'
set -u
duet=$1 store=$2 spec=$3 kills=$4
RANDOM=$5
left() {
	ps -e -o pid=,stat=,args= | while read -r pid stat args; do
		case $stat:$args in
		Z*) ;;
		*"kills.sh"* | *"ps -e"*) ;;
		*) echo "$pid $args" ;;
		esac
	done
}
mounts=$(grep -c . /proc/self/mountinfo)
for kill in $(seq "$kills"); do
	"$duet" run --store "$store" -f "$spec" -- sh -c 'sleep 60 & sleep 60' </dev/null >/dev/null 2>&1 &
	pid=$!
	ms=$((RANDOM % 60))
	sleep "0.0$((ms / 10))$((ms % 10))"
	kill -9 $pid
	wait $pid 2>/dev/null
	for _ in $(seq 40); do
		seen=$(left)
		[ -n "$seen" ] || break
		sleep 0.05
	done
	[ -z "$seen" ] || echo "killed after $ms ms: left: $seen"
	[ "$(grep -c . /proc/self/mountinfo)" = "$mounts" ] || echo "killed after $ms ms: mounts"
done
END
	seed=${DUET_SEED:-$RANDOM}
	for who in $(all_users); do
		P=$W/project-$who store=$W/store-$who
		kill_many $((kills / $(all_users | wc -l)))
	done
	printf '#!/bin/sh\nsetsid sleep 60 &\nsleep 60\n' >"$W/bad-duet"
	chmod 755 "$W/bad-duet"
	out=$(unshare -pf --mount-proc --kill-child bash "$W/kills.sh" "$W/bad-duet" x x 1 3 2>&1)
	[ -n "$out" ]
	control_if $? "a shell that starts a process without a death signal: ${out##*left: }"
}

for who in $(all_users); do
	case $who in
	many | one) make_user $who ;;
	esac
done
watch_start || echo 'no mount namespace with an overlay: only the programs are watched'
for who in $(all_users); do
	P=$W/project-$who
	store=$W/store-$who
	mkdir -p "$P" "$store" "$W/env-$who"
	echo secret >"$P/deny"
	chmod 644 "$P/deny"
	[ "$who" = root ] || [ "$who" = self ] || chown "duet-$who-$$" "$P" "$store" "$W/env-$who"
	for part in overwriting capabilities groups terminals environment; do
		$part
	done
	row INTACT check 'the host is intact: nothing outside of store, project and runtime folders'
	is "$who: nothing is written outside" "$(outside)" ''
	control none 'the control is in hostile.sh'
	row
	no_leftovers "$who" "$store"
done
watch_stop
if [ "$(id -u)" = 0 ]; then
	who=root P=$W/project-root store=$W/store-root
	for part in overwriting_control capabilities_control groups_control terminals_control \
		environment_control killing; do
		$part
	done
else
	for row in C1 C12 C13 C16 C22; do
		control none 'the controls need root'
	done
fi
finish
