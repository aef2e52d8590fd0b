#!/bin/bash
# What an archive or an image can try against duet and its host: every attempt ends with a refusal
# that names it, or without effect; a folder that stands for the rest of the host stays as it was.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
small_root
victim=$(mktemp -d /tmp/duet-victim.XXXXXX)
cases=$W/cases
mkdir -p "$cases" "$W/cwd"

clean_up_more() {
	rm -rf "$victim"
}

echo secret >"$W/cwd/cwdsecret"
$PYTHON "$SRC/tests/run/hostile_tars.py" "$cases" "$victim" "$W/cwd" || exit 1
chmod 755 "$cases" "$W/cwd"
pack "$SMALL" "$W/root.tar.gz"
touch -d '1 hour ago' "$W/root.tar.gz" "$cases"/*

# spec LINES: a spec in the project of $who
spec() {
	printf '%s\n' 'duet: 1' 'name: hostile' "$@" >"$P/duet.yaml"
}

# spec_over STEP-LINES: steps over the small root
spec_over() {
	spec 'image:' "  from: {archive: \"$W/root.tar.gz\"}" '  steps:' "$@"
}

build() {
	(cd "$W/cwd" && as "$who" $PYTHON "$SRC/tests/run/box.py" 30 256 \
		"$DUET" build --store "$store" -f "$P/duet.yaml" >"$W/out" 2>"$W/err")
}

run() {
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" -- "$@" </dev/null 2>"$W/err"
}

# What stands for the host: as the attempts left it, where they were made.
victim_state() {
	watched $PYTHON "$SRC/tests/run/state.py" "$victim"
	tree_state "$W/cwd"
}

intact() {
	is "$1: the victim is intact" "$(victim_state)" "$untouched"
	is "$1: nothing is written outside" "$(outside)" ''
}

trees() {
	ls "$store"/v1/trees/* 2>/dev/null
}

# clean_fail NAME CODE SHOWN: refused, with one message, and nothing has come of it
clean_fail() {
	messages=$(grep -c 'error\[' "$W/err")
	if [ "$2" != 1 ] || [ "$messages" != 1 ]; then
		not_ok "$1: exit code $2, $messages messages: $(cat "$W/err")"
	else
		has "$1: the message" "$(cat "$W/err")" "$3"
		# a worker that died refused nothing
		case $(cat "$W/err") in
		*'error[layer.'* | *'error[fetch.digest]'*) ok "$1: its class" ;;
		*) not_ok "$1: its class: $(cat "$W/err")" ;;
		esac
	fi
	is "$1: one line or two" "$([ "$(wc -l <"$W/err")" -le 2 ] || cat "$W/err")" ''
	is "$1: no byte that moves a terminal" "$(LC_ALL=C tr -d '\n\040-\176\200-\377' <"$W/err")" ''
	is "$1: nothing published" "$(trees)" "$trees_before"
	is "$1: tmp is empty" "$(ls -A "$store/v1/tmp")" ''
}

# one_case NAME VERDICT SHOWN STEP-LINES
one_case() {
	name="$who: $1" verdict=$2 shown=$3
	shift 3
	spec_over "$@"
	trees_before=$(trees)
	build
	code=$?
	case $verdict:$code in
	refuse:* | any:1) clean_fail "$name" $code "$shown" ;;
	*:0) ok "$name is taken" ;;
	*) not_ok "$name: exit code $code: $(cat "$W/err")" ;;
	esac
	intact "$name"
}

archives() {
	spec_over
	sed -i '/^  steps:/d' "$P/duet.yaml"
	build || not_ok "$who: the root alone: $(cat "$W/err")"
	while IFS='	' read -r file verdict shown; do
		id=${file%%-*}
		case $id in
		t1[678]) tier=check+soak ;;
		*) tier=check ;;
		esac
		row "T${id#t}" $tier "${what[T${id#t}]}"
		# bytes are the same to everybody; what reaches out is not
		case ${DUET_SOAK-}$who:$file in
		many:t1[678]* | one:t1[678]*) continue ;;
		esac
		one_case "$file" "$verdict" "$shown" "    - archive: $cases/$file"
		# and packed anew for a folder; names are cut, so that fewer of them are wrong
		[ "$who" = root ] || [ -n "${DUET_SOAK-}" ] || continue
		[ "$verdict" != refuse ] || verdict=any
		one_case "$file to /opt" "$verdict" '' "    - archive: $cases/$file" '      to: /opt/x'
	done <"$cases/cases"
	row T9 check "${what[T9]}"
	is_sound "$who: after all archives" "$who" "$store"
	is "$who: no device in the store" "$(find "$store" \( -type b -o -type c \) -printf '%p %l\n' |
		head -n 3)" ''
	row T4 check "${what[T4]}"
	is "$who: no file of others was linked" "$(find "$store" -samefile "$victim/hello")" ''
}

# T11: attributes of an overlay change nothing of what is seen
attributes() {
	row T11 check "${what[T11]}"
	for file in t11-plain t11-xattrs; do
		spec_over "    - archive: $cases/$file.tar"
		run ls -lR /etc >"$W/$file.seen"
	done
	has "$who: T11: the files below are there" "$(cat "$W/t11-plain.seen")" passwd
	is "$who: T11: the same view" "$(cat "$W/t11-xattrs.seen")" "$(cat "$W/t11-plain.seen")"
}

# T13: a name that no layer can say
unsayable() {
	row T13 check "${what[T13]}"
	mkdir -p "$P/site"
	touch "$P/site/.wh.etc"
	spec_over '    - copy: ./site' '      to: /'
	trees_before=$(trees)
	build
	clean_fail "$who: T13" $? .wh.etc
	rm "$P/site/.wh.etc"
}

# over NAME TYPE TARGET: a root whose NAME is replaced, from its own archive
replaced() {
	rm -rf "$W/evil"
	cp -a "$SMALL" "$W/evil"
	rm -rf "$W/evil/${1:?}"
	ln -s "$2" "$W/evil/$1"
	pack "$W/evil" "$W/evil.tar"
	chmod 644 "$W/evil.tar"
}

# ends_well NAME: the last run worked or was refused as duet refuses; then the victim is intact
ends_well() {
	case $2 in
	0 | 125) ok "$1: exit code $2" ;;
	*) not_ok "$1: exit code $2: $(cat "$W/err")" ;;
	esac
	[ "$2" = 0 ] || is "$1: one message" "$(grep -c 'error\[' "$W/err")" 1
	intact "$1"
}

# C6, C7, C9: folders that setting up goes through are links
linked_folders() {
	for pair in "dev $victim" 'dev /' "proc $victim" 'proc /x' 'sys /' "tmp $victim" "etc $victim" \
		"root $victim"; do
		case $pair in
		dev*) row C7 check "${what[C7]}" ;;
		proc* | sys*) row C6 check "${what[C6]}" ;;
		*) row C9 check "${what[C9]}" ;;
		esac
		replaced "${pair% *}" "${pair#* }"
		spec 'image:' "  from: {archive: $W/evil.tar}" 'target:' '  hostname: evil'
		seen=$(run sh -c 'echo alive; cat /dev/hello /proc/hello /tmp/hello /etc/hello /root/hello')
		code=$?
		[ $code != 1 ] || code=0 # cat found nothing
		ends_well "$who: /${pair% *} -> ${pair#* }" $code
		is "$who: /${pair% *} -> ${pair#* }: nothing of the host is seen" "${seen#alive}" ''
	done
	replaced w "$victim"
	for workdir in /w/new /w /w/sub/../../x; do
		spec 'image:' "  from: {archive: $W/evil.tar}" 'target:' "  workdir: $workdir"
		seen=$(run sh -c 'ls; cat hello')
		code=$?
		[ $code != 1 ] || code=0
		[ $code != 2 ] || code=125
		ends_well "$who: workdir $workdir" $code
		is "$who: workdir $workdir: nothing of the host is seen" "$seen" ''
	done
	spec 'image:' "  from: {archive: $W/evil.tar}" 'target:' \
		'  mounts: [{tmpfs: /w/in}, {bind: ./site, to: /w/bound}]'
	run true
	ends_well "$who: mounts below a link" $?
}

# C3: descriptors of the host as a workdir
descriptors() {
	row C3 check "${what[C3]}"
	for fd in 0 1 2 3 4 5 6 7 8 9 10 11 12 20 63; do
		for form in /proc/self/fd/$fd /proc/1/fd/$fd /dev/fd/$fd; do
			spec_over 'target:' "  workdir: $form"
			sed -i '/^  steps:/d' "$P/duet.yaml"
			out=$(as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" -- pwd \
				</dev/null 9</root 2>"$W/err")
			is "$who: workdir $form" "$?:$out" 125:
		done
	done
	spec_over
	sed -i '/^  steps:/d' "$P/duet.yaml"
	out=$(as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" -- \
		sh -c 'ls /proc/self/fd /proc/1/fd' </dev/null 7</root 9</etc/passwd 2>/dev/null)
	is "$who: C3: only 0, 1, 2 and what ls opens" \
		"$(echo "$out" | sed -n '/self/,/^$/p' | grep -c '^[0-9]')" 4
}

# passwd_with LINE: a root whose passwd has one line more, in $W/evil.tar, and a spec over it
passwd_with() {
	rm -rf "$W/evil"
	cp -a "$SMALL" "$W/evil"
	echo "$1" >>"$W/evil/etc/passwd"
	pack "$W/evil" "$W/evil.tar"
	chmod 644 "$W/evil.tar"
}

# as_user USER: what a job of that user says of itself, behind the exit code
as_user() {
	spec 'image:' "  from: {archive: $W/evil.tar}" 'target:' "  user: \"$1\""
	out=$(run id -u)
	echo "$?:$out"
}

# C14: whom a user string names; never root by accident
users() {
	row C14 check "${what[C14]}"
	passwd_with '1000:x:0:0::/root:/bin/sh'
	is "$who: C14: the probe works" "$(as_user root)" 0:0
	for user in 4294967296 4294967295 2147483648 -1 +0 0x0 ' 0' '0 ' 1000: :0 1000:0x0 nobody-here '' \
		99999999999999999999; do
		is "$who: C14: user \"$user\"" "$(as_user "$user")" 125:
	done
	[ "$who" = one ] ||
		is "$who: C14: digits are a number, never a name" "$(as_user 1000)" 0:1000
	for line in 'evil:x:4294967296:0::/:/bin/sh' 'evil:x:-1:-1::/:/bin/sh' 'evil:x:0x0:0::/:/bin/sh' \
		'evil:x::0::/:/bin/sh' 'evil:x'; do
		passwd_with "$line"
		is "$who: C14: line $line" "$(as_user evil)" 125:
	done
}

# C15: passwd and group as traps
user_files() {
	row C15 check "${what[C15]}"
	for trap in fifo zero huge long folder; do
		rm -rf "$W/evil"
		cp -a "$SMALL" "$W/evil"
		rm "$W/evil/etc/passwd" "$W/evil/etc/group"
		for file in passwd group; do
			case $trap in
			fifo) mkfifo "$W/evil/etc/$file" ;;
			zero) ln -s /dev/zero "$W/evil/etc/$file" ;;
			huge) truncate -s 2G "$W/evil/etc/$file" ;;
			long) head -c 900000 /dev/zero | tr '\0' x >"$W/evil/etc/$file" ;;
			folder) mkdir "$W/evil/etc/$file" ;;
			esac
		done
		tar -S -C "$W/evil" -cf "$W/evil.tar" .
		chmod 644 "$W/evil.tar"
		spec 'image:' "  from: {archive: $W/evil.tar}" 'target:' '  user: daemon'
		as "$who" "$DUET" build --store "$store" -f "$P/duet.yaml" >/dev/null 2>"$W/err" || {
			not_ok "$who: C15 $trap: $(cat "$W/err")"
			continue
		}
		as "$who" $PYTHON "$SRC/tests/run/box.py" 10 64 "$DUET" run --store "$store" \
			-f "$P/duet.yaml" -- true </dev/null >"$W/out" 2>"$W/err"
		is "$who: C15: $trap passwd" $? 125
		is "$who: C15: $trap passwd: one message" "$(grep -c 'error\[' "$W/err")" 1
	done
	spec 'image:' "  from: {archive: $W/root.tar.gz}" 'target:' '  environment: {HOME: "a\nroot:x:0:0"}'
	run true
	case $? in
	0 | 125) ok "C15: HOME with a line feed" ;;
	*) not_ok "$who: C15: HOME with a line feed: $(cat "$W/err")" ;;
	esac
}

# C22: the caller's environment; C28: names
environment_and_names() {
	row C22 check "${what[C22]}"
	spec 'image:' "  from: {archive: $W/root.tar.gz}"
	out=$(export DUET_SECRET=s3cr3t; run sh -c 'env; cat /proc/1/environ /proc/self/environ' |
		tr '\0' '\n')
	is "$who: C22: nothing of the caller's environment" "$(printf '%s' "$out" | grep -c s3cr3t)" 0
	has "$who: C22: the probe works" "$out" PATH=
	row C28 check "${what[C28]}"
	long=$(head -c 65536 /dev/zero | tr '\0' n)
	for name in ../x a/b "$long" '' . .. .hidden '-x' 'a b' 'a\0b' 'a\nb'; do
		printf 'duet: 1\nname: "%s"\nimage: {from: scratch}\n' "$name" >"$P/duet.yaml"
		build
		is "$who: C28: name \"${name:0:12}\"" "$?:$(grep -c 'error\[spec' "$W/err")" 2:1
	done
	intact "$who: C28"
	row C6 check "${what[C6]}"
	for at in /proc /proc/self/attr /sys /sys/fs /dev/../proc /; do
		spec 'image: {from: scratch}' 'target:' "  mounts: [{tmpfs: $at}]"
		build
		is "$who: C6: a mount at $at" "$?:$(grep -c 'error\[spec' "$W/err")" 2:1
	done
}

# shellcheck source=tests/run/hostile_controls.sh
. "$SRC/tests/run/hostile_controls.sh"

# The oracle itself: what is written outside is seen, whoever writes it; what is not, is not.
oracle() {
	row INTACT check 'the host is intact: nothing outside of store, project and runtime folders'
	if ! watch_start; then
		row_left_out 'no mount namespace with an overlay can be had here'
		control none 'without it only the victim is watched'
		return
	fi
	is 'the oracle: nothing was written' "$(outside)" ''
	watched sh -c 'echo x >/etc/duet-control; rm -r /usr/share/doc/libc6; mkdir /dev/duet-control'
	has 'the oracle: a file that is made' "$(outside)" /etc/duet-control
	has 'the oracle: a folder that is removed' "$(outside)" /usr/share/doc/libc6
	has 'the oracle: a folder in /dev' "$(outside)" /dev/duet-control
	is 'the oracle: the host has none of it' "$(ls -d /etc/duet-control /dev/duet-control 2>/dev/null)" ''
	control_if $? 'a run that writes to /etc and /dev, and removes from /usr'
	watch_stop
	watch_start
}

make_victim() {
	mkdir -p "$victim/sub"
	echo secret >"$victim/hello"
	echo secret >"$victim/ptmx"
	chmod 640 "$victim/hello"
	chmod 1755 "$victim/sub"
	# root and users alike could write there: it is our checks that keep them off
	chmod 777 "$victim"
	touch -d @1700000000 "$victim"
}

declare -A what=(
	[T1]='an entry named . or / replaces the root'
	[T2]='.., /.. and absolute names'
	[T3]='a symbolic link, then a write through it'
	[T4]='hard links to outside, absolute, to the working folder'
	[T5]='a hard link to a symbolic link, then a write by its name'
	[T6]='mode and owner of a path that became a link'
	[T7]='what is set at the end follows a link made later'
	[T9]='device nodes, and the one that is a whiteout'
	[T11]='overlay attributes in a layer'
	[T12]='malformed whiteouts'
	[T13]='names that a layer cannot say'
	[T16]='headers that lie'
	[T17]='bombs'
	[T18]='two archives in one, data behind the end'
	[C3]='a descriptor of the host as workdir'
	[C6]='/proc and /sys are links; mounts over them'
	[C7]='/dev is a link to a folder of the host'
	[C9]='workdir and mounts through a link'
	[C14]='user strings'
	[C15]='passwd and group as traps'
	[C22]='the environment of the host'
	[C28]='names with / and ..'
)
make_victim
for who in $(all_users); do
	case $who in
	many | one) make_user $who ;;
	esac
done
oracle
row
untouched=$(victim_state)
for who in $(all_users); do
	P=$W/project-$who
	store=$W/store-$who
	mkdir -p "$P" "$store"
	[ "$who" = root ] || [ "$who" = self ] || chown "duet-$who-$$" "$store"
	for part in archives attributes unsayable linked_folders descriptors users user_files \
		environment_and_names; do
		$part
	done
	row C28 check "${what[C28]}"
	control none "a rule of duet's own language: nobody else reads its names"
	row
	no_leftovers "$who" "$store"
done
who=$(all_users | head -n 1)
archive_controls
overlay_controls
if [ "$who" = root ]; then
	container_controls
fi
finish
