#!/bin/bash
# Set-id bits do not leave an instance into a folder of the host, by whatever call; and what a job of
# root's makes in somebody's folder belongs to that somebody.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
allow=
PROBE=$BUILD/tests/run/setid_probe
[ -x "$PROBE" ] || skip "$PROBE is not built"
small_tools="$small_tools chmod chown tar"
small_root
cp "$PROBE" "$SMALL/probe"
mkdir "$SMALL/planted" "$SMALL/mnt" "$SMALL/work"
echo 'a program' >"$SMALL/planted/program"
echo 'worker:x:1000:1000::/:/bin/sh' >>"$SMALL/etc/passwd"
printf 'worker:x:1000:\n' >>"$SMALL/etc/group"
chmod 755 "$SMALL/probe"
chmod 6755 "$SMALL/planted/program"
pack "$SMALL" "$W/root.tar"
touch -d '1 hour ago' "$W/root.tar"

# spec TARGET-LINES
spec() {
	{
		printf 'duet: 1\nname: run\nimage:\n  from: {archive: "%s"}\ntarget:\n' "$W/root.tar"
		printf '%s\n' "$@"
	} >"$P/duet.yaml"
}

run() {
	as "$who" "$DUET" run -q --store "$store" -f "$P/duet.yaml" ${allow:+--allow "$allow"} -- "$@" \
		</dev/null 2>"$W/err"
}

# fresh [OWNER]: the folder that is mounted, empty, for all
fresh() {
	rm -rf "$P/src"
	mkdir -m 777 "$P/src"
	case ${1-$who} in
	root | self) ;;
	many | one) chown "duet-$who-$$" "$P/src" ;;
	*) chown "$1" "$P/src" ;;
	esac
}

# left NAME: no file of the folder has one of the bits
left() {
	is "$who: $1: nothing is left" "$(cd "$P/src" && find . -perm /6000 -printf '%p %m\n')" ''
}

refused='chmod chmod-uid chmod-gid chmod-high fchmod fchmodat fchmodat2 fchmodat2-empty by-proc folder-chmod
open openat openat-high creat tmpfile mknod mknod-plain mknodat socket-fchmod io_uring'

wanted() {
	for name in $refused; do
		echo "$name EPERM"
	done
	printf '%s\n' 'openat2 ENOSYS' 'mkdir done' 'mkdirat done' 'rename EXDEV' 'link EXDEV' 'memory-link EXDEV' \
		'open-no-create done' 'openat-folder done' 'fchmod-sticky done' 'umask done'
}

# attempts NAME USER: by the calls, by programs
attempts() {
	fresh
	# before Linux 6.10 the descriptor of a file in memory is not even looked at
	is "$who: $1: what each call says" "$(run /probe /work | sed 's/^memory-link ENOENT/memory-link EXDEV/' | sort)" \
		"$(wanted | sort)"
	left "$1"
	is "$who: $1: other files are made" "$(stat -c %a "$P/src/plain")" 1777
	fresh
	is "$who: $1: foreign calls" "$(run /probe /work foreign)" "$foreign"
	left "$1: foreign calls"
	fresh
	run sh -c 'cp /probe /work/one; chmod u+s /work/one'
	has "$who: $1: chmod says so" "$(cat "$W/err")" "changing permissions of '/work/one': Operation not permitted"
	run sh -c 'cp -p /planted/program /work/two; chmod 4755 /tmp/three 2>/dev/null
		tar -C / -cf - planted | tar -C /work -xpf -'
	# another user may not keep the owner either, and cp takes the bits out by itself then
	[ "$2" != root ] ||
		has "$who: $1: cp -p says so" "$(cat "$W/err")" "preserving permissions for '/work/two': Operation not permitted"
	has "$who: $1: tar says so" "$(cat "$W/err")" 'Cannot change mode to rwsr-sr-x: Operation not permitted'
	is "$who: $1: what tar unpacked is there" "$(cat "$P/src/planted/program")" 'a program'
	left "$1: programs"
}

# With SYS_ADMIN and no filter of the job's a mount could do it, and a read-only one becomes writable.
mounting() {
	[ "$who" != one ] || return
	allow=seccomp,capabilities
	fresh
	spec '  container: {seccomp: unconfined, capabilities: {add: [SYS_ADMIN]}}' '  mounts: ["./src:/work"]'
	is "$who: an overlay over the folder" "$(run /probe /work overlay /planted)" 'mount EPERM
copy-up ENOENT
fsopen EPERM
bind done'
	left 'an overlay over the folder'
	fresh
	spec '  container: {seccomp: unconfined, capabilities: {add: [SYS_ADMIN]}}' '  mounts: ["./src:/work:ro"]'
	is "$who: a read-only mount that SYS_ADMIN could open" "$(run /probe /work overlay /planted | tail -n 1)" 'bind done'
	is "$who: and chmod there" "$(run sh -c 'touch /tmp/x; chmod 4755 /tmp/x 2>/dev/null; stat -c %a /tmp/x')" 644
	allow=
}

leaving() {
	row C31 check 'set-id bits leave an instance into a folder of the host'
	foreign=
	[ "$(uname -m)" != x86_64 ] || foreign='i386-chmod ENOSYS
x32-chmod ENOSYS'
	for user in root worker; do
		[ "$who:$user" != one:worker ] || continue
		spec "  user: $user" '  mounts: ["./src:/work"]'
		attempts "$user" "$user"
		allow=seccomp
		spec "  user: $user" '  mounts: ["./src:/work"]' '  container: {seccomp: unconfined}'
		attempts "$user, unconfined" "$user"
		allow=
	done
	mounting
	row
}

# Where the host has nothing to lose, packages with such programs can be installed.
own_root() {
	for mounts in '[]' '["./src:/work:ro"]' '[{tmpfs: /work}]'; do
		fresh
		spec "  mounts: $mounts"
		is "$who: mounts $mounts: a set-id program of its own" \
			"$(run sh -c 'touch /tmp/x; chmod 6755 /tmp/x; stat -c %a /tmp/x')" 6755
	done
	spec '  mounts: ["./src:/work"]'
	fresh
	chmod 2777 "$P/src"
	run mkdir /work/shared
	is "$who: a folder in one with S_ISGID has it too" "$(stat -c %a "$P/src/shared")" 2755
	has "$who: --explain says which filter" \
		"$(as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" --explain -- true)" 'no set-id    '
	spec '  mounts: ["./src:/work:ro"]'
	is "$who: --explain without a writable folder" \
		"$(as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" --explain -- true | grep -c 'no set-id')" 0
}

# A file capability that root inside gives would be one for every user of the host.
capability() {
	[ "$who" != one ] || return
	row C31 check "${row_what[C31]}"
	allow=capabilities
	fresh
	spec '  container: {capabilities: {add: [SETFCAP]}}' '  mounts: ["./src:/work"]'
	run /probe /work capability >"$W/out"
	code=$?
	if [ "$who" = root ]; then
		is 'root: SETFCAP and a writable folder' $code 125
		has 'root: it is said' "$(cat "$W/err")" 'SETFCAP and a writable folder of the host'
		spec '  container: {capabilities: {add: [SETFCAP]}}' '  mounts: ["./src:/work:ro"]'
		is 'root: SETFCAP and a read-only one' "$(run /probe /work capability | head -n 1)" 'capability EROFS'
	else
		# of the caller's own namespaces only: magic 3, and whose namespace
		is "$who: file capabilities are the caller's" \
			"$($PYTHON -c 'import os, struct, sys
print(struct.unpack("<IIIIII", os.getxattr(sys.argv[1], "security.capability"))[::5])' "$P/src/capability")" \
			"($((0x3000001)), $(as "$who" id -u))"
	fi
	allow=
	spec '  mounts: ["./src:/work"]'
	run /probe /work capability >"$W/out"
	is "$who: without SETFCAP" "$(tail -n 1 "$W/out")" 'capability EPERM'
	row
}

# owners NAME: of all that is in the folder
owners() {
	(cd "$P/src" && find . -mindepth 1 -printf '%P %U:%G\n' | sort)
}

# What is made in somebody's folder is that somebody's, whoever the job's user is inside.
theirs() {
	for owner in 1000:1001 33:44 1:0 100000:100001; do
		for user in root worker 33:7; do
			fresh "$owner"
			spec "  user: \"$user\"" '  workdir: /work/deep/dir' \
				'  mounts: ["./src:/work", {tmpfs: /work/point/mount}]'
			run sh -c 'touch /work/file; mkdir /work/folder; chmod 600 /work/file; cat /work/file' ||
				not_ok "$owner: $user: $(cat "$W/err")"
			is "$owner: $user: files are the owner's" "$(owners)" "deep $owner
deep/dir $owner
file $owner
folder $owner
point $owner
point/mount $owner"
			is "$owner: $user: it sees its own" "$(run stat -c %u:%g /work /work/file | uniq)" "$(run sh -c 'echo $(id -u):$(id -g)')"
		done
	done
	theirs_and_root
	# two folders of different owners, and a file, at once
	fresh 1000:1001
	mkdir "$P/src/b"
	echo x >"$P/src/c"
	chown 2000:2001 "$P/src/b"
	chown 3000:3001 "$P/src/c"
	spec '  user: worker' '  mounts: ["./src:/work", "./src/b:/mnt", "./src/c:/planted/c"]'
	run sh -c 'touch /work/a /mnt/a; echo y >/planted/c; stat -c %u /work /mnt /planted/c' >"$W/out"
	is 'each folder has its owner' "$(owners)" 'a 1000:1001
b 2000:2001
b/a 2000:2001
c 3000:3001'
	is 'and each is the job'"'"'s' "$(uniq "$W/out")" 1000
}

# The host's root is nobody in somebody's folder: its files are not the job's, nothing becomes root's.
theirs_and_root() {
	fresh 1000:1001
	echo secret >"$P/src/of-root"
	echo open >"$P/src/for-all"
	echo other >"$P/src/other"
	mkdir -m 755 "$P/src/folder-of-root"
	chmod 600 "$P/src/of-root" "$P/src/other"
	chown 33:44 "$P/src/other"
	spec '  mounts: ["./src:/work"]'
	is 'a file of root: whose' "$(run stat -c %u:%g /work/of-root)" 65534:65534
	is 'a file of root: read' "$(run cat /work/of-root)" ''
	is 'a file of root for all' "$(run cat /work/for-all)" open
	run sh -c 'echo x >>/work/for-all'
	has 'a file of root: written' "$(cat "$W/err")" 'Permission denied'
	run touch /work/folder-of-root/x
	is 'a folder of root' "$(ls "$P/src/folder-of-root")" ''
	run chmod 777 /work/folder-of-root
	is 'chmod of it' "$(stat -c %a "$P/src/folder-of-root")" 755
	is 'a file of another id stands for itself' "$(run sh -c 'stat -c %u:%g /work/other; cat /work/other')" '33:44
other'
	run sh -c 'touch /work/mine /work/given; chown 33:44 /work/given; chown 1000:1001 /work/mine'
	is 'what is given away' "$(stat -c %n:%u:%g "$P/src/given" | sed 's,.*/,,')" given:33:44
	is 'nothing becomes root'"'"'s' "$(find "$P/src" -newer "$P/duet.yaml" \( -uid 0 -o -gid 0 \) ! -path '*root*' ! -name for-all)" ''
}

ownership() {
	[ "$who" = root ] || return
	theirs
	fresh root
	spec '  user: worker' '  mounts: ["./src:/work"]'
	chmod 755 "$P/src"
	run touch /work/file
	is "a folder of root's" "$(owners)" 'file 0:0'
}

# The same attempts in a tool without that filter, so that each of them is known to bite.
leaving_control() {
	row C31 check "${row_what[C31]}"
	program=$(missing bwrap)
	[ -z "$program" ] || {
		control none "$program is not installed"
		return
	}
	fresh root
	bwrap --bind "$SMALL" / --dev /dev --proc /proc --bind "$P/src" /work /probe /work >/dev/null
	found=$(cd "$P/src" && find . -perm /6000 -printf '%P\n' | sort)
	all=$(for name in $refused openat2; do echo "$name"; done | sed '/io_uring/d; s/socket-.*/socket/' | sort)
	[ "$(echo "$all" | comm -23 - <(echo "$found") | grep -v '^fchmodat2')" = '' ]
	control_if $? "bubblewrap: set-id: $(echo "$found" | tr '\n' ' ')"
}

for who in $(all_users); do
	user_folders "$who" || continue
	for part in leaving own_root capability ownership; do
		$part
	done
	no_leftovers "$who" "$store"
done
if [ "$(id -u)" = 0 ]; then
	who=root P=$W/project-root
	leaving_control
else
	row C31 check "${row_what[C31]}"
	control none 'the control needs root'
fi
finish
