#!/bin/bash
# A job in a container: streams, exit codes, signals, users, mounts, rights; as root, as a user with
# subuids and as a user without.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
debian_root
allow=

run() {
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" ${allow:+--allow "$allow"} -- "$@"
}

# spec TARGET-LINES: a spec over the Debian root
spec() {
	{
		printf 'duet: 1\nname: box\nimage:\n  from: {archive: "%s"}\ntarget:\n  hostname: box\n' "$ROOT"
		printf '%s\n' "$@"
	} >"$P/duet.yaml"
}

streams() {
	spec
	out=$(run sh -c 'echo out; echo err >&2; exit 7' 2>"$W/err" </dev/null)
	is "$who: exit code" $? 7
	is "$who: stdout apart" "$out" out
	is "$who: stderr apart" "$(grep -v '^archive\|^duet: note' "$W/err")" err
	head -c 3000000 /dev/urandom >"$W/bytes"
	is "$who: binary-clean" "$(run cat <"$W/bytes" | sha256sum)" "$(sha256sum <"$W/bytes")"
	is "$who: stdin to its end" "$(printf 'a\nb' | run wc -c)" 3
	is "$who: closed stdin" "$(run cat <&-; echo $?)" 0
	run sh -c 'head -c 1 >/dev/null' <"$W/bytes"
	is "$who: a job that does not read on" $? 0
	is "$who: /dev/stdout opens" "$(run sh -c 'echo x >/dev/stdout' </dev/null)" x
	run sh -c 'yes' </dev/null 2>/dev/null | head -n 1 >/dev/null
	is "$who: a reader that leaves" "${PIPESTATUS[0]}" 141
}

# A gigabyte through stdin: the right digest, and duet stays small whatever passes through it.
large_input() {
	size=67108864
	[ "$who" != root ] || size=1073741824
	head -c $size /dev/zero | as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" -- \
		sh -c 'sha256sum; sleep 2' >"$W/out" 2>/dev/null &
	pid=$!
	for _ in $(seq 600); do
		[ -s "$W/out" ] && break
		sleep 0.1
	done
	target=$(pgrep -P $pid -x duet || echo $pid)
	peak=$(awk '/VmHWM/ { print $2 }' "/proc/$target/status")
	wait $pid
	is "$who: $size bytes of input" "$(cat "$W/out")" "$(head -c $size /dev/zero | sha256sum)"
	if [ "${peak:-99999}" -le 8192 ]; then
		ok "within 8 MiB"
	else
		not_ok "$who: duet took $peak kB"
	fi
}

exit_codes() {
	run no-such-program </dev/null 2>"$W/err"
	is "$who: not found" $? 127
	has "$who: not found is said" "$(cat "$W/err")" 'duet: error[job.not-found]: exec no-such-program'
	run /etc/passwd </dev/null 2>/dev/null
	is "$who: not executable" $? 126
	run sh -c 'kill -9 $$' </dev/null 2>/dev/null
	is "$who: killed by 9" $? 137
	run sh -c 'kill -TERM $$' </dev/null 2>/dev/null
	is "$who: killed by 15" $? 143
	as "$who" "$DUET" run --store "$store" -f "$P/none.yaml" -- true 2>/dev/null
	is "$who: no spec" $? 125
}

signals() {
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" -- sh -c \
		'trap "echo got; exit 5" TERM; echo ready; while :; do sleep 0.05; done' \
		>"$W/out" 2>/dev/null </dev/null &
	pid=$!
	for _ in $(seq 100); do
		grep -q ready "$W/out" && break
		sleep 0.1
	done
	# `as` may stand between us and duet
	target=$(pgrep -P $pid -x duet || echo $pid)
	kill -TERM "$target"
	wait $pid
	is "$who: TERM is forwarded" $? 5
	is "$who: the job's trap ran" "$(cat "$W/out")" "ready
got"
	spec '  timeout: 1s'
	before=$(date +%s)
	run sh -c 'trap "" TERM; sleep 60 & sleep 60' </dev/null 2>/dev/null
	is "$who: time-out" $? 124
	[ $(($(date +%s) - before)) -lt 20 ] && ok "time-out in time" || not_ok "$who: time-out took long"
	spec
}

identity() {
	has "$who: root inside" "$(run id -u </dev/null)" 0
	if [ "$who" != one ]; then
		spec '  user: daemon'
		is "$who: user by name" "$(run sh -c 'id -un; id -u; id -g; id -G' </dev/null | tr '\n' ' ')" \
			'daemon 1 1 1 '
		is "$who: no capabilities for a user" \
			"$(run sh -c 'grep -h CapEff /proc/self/status' </dev/null | tr -d '\t')" CapEff:0000000000000000
		is "$who: a user's /dev/stdout" "$(run sh -c 'echo x >/dev/stdout' </dev/null)" x
		spec '  user: "33:44"'
		is "$who: numbers" "$(run sh -c 'id -u; id -g; id -G' </dev/null | tr '\n' ' ')" '33 44 44 '
		spec
		is "$who: chown works" "$(run sh -c 'touch /t; chown 5:6 /t; stat -c %u:%g /t' </dev/null)" 5:6
	else
		spec '  user: daemon'
		run true </dev/null 2>"$W/err"
		is 'one: other users are refused' $? 125
		has 'one: and it is said' "$(cat "$W/err")" 'single-uid mode'
		spec
		is 'one: chown is answered' "$(run sh -c 'touch /t; chown 5:6 /t && stat -c %u:%g /t' </dev/null)" 0:0
	fi
	spec '  user: nobody-here'
	run true </dev/null 2>"$W/err"
	is "$who: unknown user" $? 125
	has "$who: unknown user is said" "$(cat "$W/err")" 'error[job.user]'
	spec
}

rights() {
	status=$(run sh -c 'cat /proc/self/status' </dev/null)
	for line in CapInh:0000000000000000 CapPrm:00000000000000fb CapEff:00000000000000fb \
		CapBnd:00000000000000fb CapAmb:0000000000000000 NoNewPrivs:1 Seccomp:2; do
		has "$who: $line" "$(printf '%s' "$status" | tr -d '\t')" "$line"
	done
	is "$who: no user namespaces inside" "$(run sh -c 'unshare -Ur true 2>/dev/null; echo $?' </dev/null)" 1
	is "$who: no mount" "$(run sh -c 'mount -t tmpfs t /mnt 2>/dev/null; echo $?' </dev/null)" 32
	is "$who: only three descriptors" "$(run sh -c 'ls /proc/self/fd | wc -l' 9</etc/passwd 17</etc/passwd </dev/null)" 4
	is "$who: /proc/sys is read-only" "$(run sh -c 'echo x 2>/dev/null >/proc/sys/kernel/domainname; echo $?' </dev/null)" 2
	for file in kallsyms kcore keys interrupts timer_list sysrq-trigger; do
		[ -e /proc/$file ] || continue
		is "$who: /proc/$file is masked" "$(run sh -c "wc -c </proc/$file" </dev/null)" 0
	done
	is "$who: init cannot be written" "$(run sh -c 'cat /proc/self/status >/proc/1/exe' </dev/null 2>/dev/null; echo $?)" 2
	is "$who: only loopback" "$(run sh -c 'ls /sys/class/net' </dev/null)" lo
	is "$who: host environment stays out" "$(SECRET=x run env </dev/null | grep -c SECRET)" 0
	is "$who: low ports are allowed" "$(run perl -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,0); print bind(S, sockaddr_in(80, INADDR_LOOPBACK)) ? "yes" : "no"' </dev/null)" yes
	spec '  container: {capabilities: {drop: [CHOWN], add: [NET_RAW]}}'
	has "$who: capabilities of the spec" "$(allow=capabilities run sh -c 'cat /proc/self/status' \
		</dev/null | tr -d '\t')" CapEff:00000000000020fa
	spec '  container: {seccomp: unconfined}'
	is "$who: unconfined" "$(allow=seccomp run sh -c 'grep Seccomp: /proc/self/status' </dev/null | tr -d '\t')" \
		"Seccomp:$([ "$who" = one ] && echo 2 || echo 0)"
	spec
}

settings() {
	spec '  environment: {A: 1.20, B: "x y"}' '  workdir: /srv/new/deep'
	is "$who: environment" "$(run sh -c 'echo "$A $B $HOME"' </dev/null)" '1.20 x y /root'
	is "$who: workdir is made" "$(run sh -c pwd </dev/null)" /srv/new/deep
	spec '  workdir: /proc/self/fd/3'
	run true </dev/null 2>/dev/null
	is "$who: workdir through a descriptor" $? 125
	spec '  read_only: true' '  mounts: [{tmpfs: /scratch, size: 1M}]'
	is "$who: read-only root" "$(run sh -c 'touch /x 2>/dev/null; echo $?' </dev/null)" 1
	is "$who: tmpfs is writable" "$(run sh -c 'touch /scratch/x; echo $?' </dev/null)" 0
	is "$who: tmpfs has its size" "$(run sh -c 'head -c 2M /dev/zero >/scratch/x 2>/dev/null; stat -c %s /scratch/x' </dev/null)" 1048576
	is "$who: host name" "$(run hostname </dev/null)" box
	is "$who: localhost has an address" "$(run sh -c 'getent hosts localhost >/dev/null; echo $?' </dev/null)" 0
	spec
	spec '  container: {writes: disk}'
	is "$who: writes to the disk" "$(run sh -c 'echo x >/new; rm -r /usr/share/doc; mv /usr/share/man /m; cat /new; ls -d /m' </dev/null | tr '\n' ' ')" 'x /m '
	is "$who: and they are removed" "$(ls "$store/v1/tmp" | wc -l)" 0
	spec
	is "$who: writes do not stay" "$(run sh -c 'touch /mark; ls /mark' </dev/null; run sh -c 'ls /mark 2>/dev/null' </dev/null)" /mark
}

mounts() {
	mkdir -p "$P/src/sub"
	echo in >"$P/src/file"
	[ "$who" = root ] || [ "$who" = self ] || chown -R "duet-$who-$$" "$P/src"
	spec '  mounts: ["./src:/work"]'
	is "$who: bind mount" "$(run sh -c 'cat /work/file; echo made >/work/new; stat -c %u /work/file' </dev/null | tr '\n' ' ')" 'in 0 '
	is "$who: files made inside are the caller's" "$(stat -c %u "$P/src/new")" \
		"$(as "$who" id -u)"
	spec '  mounts: ["./src:/work:ro"]'
	is "$who: read-only mount" "$(run sh -c 'echo x 2>/dev/null >/work/no; echo $?' </dev/null)" 2
	spec '  mounts: ["./src/file:/etc/one-file:ro"]'
	is "$who: mount of a file" "$(run cat /etc/one-file </dev/null)" in
	spec '  mounts: ["./none:/work"]'
	run true </dev/null 2>"$W/err"
	is "$who: mount without a source" $? 125
	has "$who: it is named" "$(cat "$W/err")" "$P/none"
	if [ "$who" = root ]; then
		spec '  mounts: ["./src:/work"]' '  user: daemon'
		run sh -c 'echo x >/work/by-daemon' </dev/null
		is "root: a job's user makes the caller's files" "$(stat -c %u "$P/src/by-daemon")" 0
	fi
	spec
}

leftovers() {
	before=$(grep -c "$W" /proc/self/mountinfo)
	run sh -c 'sleep 4710 & true' </dev/null
	is "$who: background jobs die with the job" "$(pgrep -fxc "sleep 4710")" 0
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" -- sleep 4711 </dev/null >/dev/null 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		pgrep -f 'sleep 4711$' >/dev/null && break
		sleep 0.1
	done
	sleep 0.2
	target=$(pgrep -P $pid -x duet || echo $pid)
	kill -9 "$target"
	wait $pid 2>/dev/null
	for _ in $(seq 20); do
		pgrep -fx 'sleep 4711' >/dev/null || break
		sleep 0.1
	done
	is "$who: kill -9 of duet leaves no process" "$(pgrep -fxc 'sleep 4711')" 0
	is "$who: and no mount" "$(grep -c "$W" /proc/self/mountinfo)" "$before"
	is "$who: tmp is empty" "$(as "$who" "$DUET" images --store "$store" >/dev/null; ls "$store/v1/tmp" | wc -l)" 0
}

explain() {
	text=$(as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" --explain -- true </dev/null)
	has "$who: explain shows the mounts" "$text" 'mask      /proc/kcore'
	has "$who: explain shows the map" "$text" 'uid map'
}

for who in $(all_users); do
	user_folders "$who" || continue
	[ "$who" = root ] || [ "$who" = self ] || chown "duet-$who-$$" "$P"
	for part in streams large_input exit_codes signals identity rights settings mounts leftovers explain; do
		$part
	done
done
finish
