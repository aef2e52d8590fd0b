#!/bin/bash
# Rows B1 to B8 and B10 to B13 of the table of threats, and of C22, C23, C27 what concerns run steps: what
# a command of a build may not reach, leave or change. DUET_SOAK=1: more rounds.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
small_tools="$small_tools ln chmod mv sleep touch grep seq setsid"
small_root
pack "$SMALL" "$W/root.tar.zst"
touch -d '1 hour ago' "$W/root.tar.zst"
rounds=3
[ -z "${DUET_SOAK-}" ] || rounds=20
victim=$W/victim

make_victim() {
	rm -rf "$victim"
	mkdir -p "$victim"
	echo hello >"$victim/hello"
	chmod 777 "$victim"
	victim_was=$(tree_state "$victim")
}

intact() {
	is "$1: INTACT" "$(tree_state "$victim")" "$victim_was"
}

# spec LINES: steps over the small root; more LINES of $more at the end
spec() {
	printf '%s\n' 'duet: 1' 'name: rows' 'image:' "  from: {archive: $W/root.tar.zst}" '  steps:' \
		"$@" >"$P/duet.yaml"
	[ -z "${more-}" ] || printf '%s\n' "$more" >>"$P/duet.yaml"
}

build() {
	as "$who" "$DUET" build --store "$store" -f "$P/duet.yaml" "$@" 2>"$W/err"
}

run() {
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" -- "$@" </dev/null 2>/dev/null
}

b1() {
	row B1 check 'a mount of another image whose source is a link to /'
	make_victim
	more="images: {other: {from: {archive: $W/root.tar.zst}, steps: [{run: 'ln -s / /rootdir; echo of-the-image >/mark'}]}}"
	spec "    - run: cat /m/mark; ls /m$victim; echo x >/m$victim/out; echo x >/m/BIND_BREAKOUT; true" \
		'      mounts: [{from: other, source: /rootdir, to: /m}]'
	build >/dev/null
	is "$who: B1: exit code" $? 0
	is "$who: B1: it is the image's root" "$(grep -x of-the-image "$W/err")" of-the-image
	has "$who: B1: not the host's" "$(cat "$W/err")" "cannot access '/m$victim'"
	[ -e /BIND_BREAKOUT ] && not_ok "$who: B1: /BIND_BREAKOUT" || ok
	intact "$who: B1"
	other=$(find "$store/v1/trees" -name rootdir | head -n 1)
	ls "$other$victim" >/dev/null
	control_if $? 'ls TREE/rootdir/VICTIM, which follows the link on the host, lists the victim'
	row B10 check 'writes to what is mounted do not land in it'
	spec '    - run: echo x >/m/suid; chmod 4755 /m/suid; chmod 4755 /m/etc/passwd; true' \
		'      mounts: [{from: other, to: /m}]'
	build >/dev/null
	is "$who: B10: exit code" $? 0
	is "$who: B10: refused each time" "$(grep -c 'Read-only file system' "$W/err")" 2
	is "$who: B10: nothing is there" "$(find "$store/v1/trees" -name suid -o -perm -4000)" ''
	control_mutant bind-writable
	row B11 check 'a hard link to a file of a mount'
	spec '    - run: echo x >/c/f; ln /c/f /linked; ln /m/etc/passwd /passwd; ls /linked /passwd; true' \
		'      mounts: [{from: other, to: /m}]' '      cache: [/c]'
	build >/dev/null
	is "$who: B11: neither is there" "$(grep -c 'No such file' "$W/err")" 2
	control none 'the kernel refuses links across mounts; that packing refuses a name outside is in test_pack'
	more=
}

b2() {
	row B2 check 'the path of a cache leads out of the store'
	make_victim
	spec "    - run: ls -a /escape; echo x >/escape/x; cat /escape/hello" \
		"      cache: [/escape/../../../../../..$victim, /escape]"
	build >/dev/null
	[ "$(grep -c hello "$W/err")" = 0 ] && ok || has "$who: B2" "$(cat "$W/err")" 'No such file'
	intact "$who: B2"
	control_mutant cache-by-path
}

b3() {
	row B3 check 'options of mounts are no text'
	more="images: {other: {from: scratch}}"
	spec '    - run: true' '      mounts: [{from: other, to: /m, propagation: "rshared,bind=/"}]'
	build >/dev/null
	is "$who: B3: exit code" $? 2
	has "$who: B3: place" "$(cat "$W/err")" 'duet.yaml:7:38: error[spec.unknown-key]'
	more=
	control none 'the key table has no such word, and values are words of a list'
	row B12 check 'rights come from words of the spec alone'
	for line in 'privileged: true' 'capabilities: [SYS_ADMIN]' 'security: insecure' 'network: host'; do
		spec '    - run: true' "      $line"
		build >/dev/null
		is "$who: B12: $line" $? 2
	done
	spec '    - run: grep CapEff /proc/self/status'
	build >/dev/null
	has "$who: B12: capabilities" "$(cat "$W/err")" '000000008004' # SETFCAP, SYS_CHROOT and the default
	control none 'each word is refused by the key table'
}

b4() {
	row B4 check 'two builds and one cache'
	make_victim
	spec "    - run: mkdir /c/held || exit 9; for i in 0 1 2 3 4; do for j in 0 1 2 3 4 5 6 7; do rm -rf /c/sub; ln -s $victim /c/sub; echo x 2>/dev/null >/c/sub/x; rm /c/sub; mkdir /c/sub; done; done; rm -r /c/held" \
		'      cache: [/c]'
	for _ in $(seq $rounds); do
		build --no-cache >/dev/null &
		one=$!
		as "$who" "$DUET" build --no-cache --store "$store" -f "$P/duet.yaml" >/dev/null 2>&1
		is "$who: B4: one" $? 0
		wait $one
		is "$who: B4: other" $? 0
	done
	intact "$who: B4"
	control_mutant cache-unlocked
}

b5() {
	row B5 check 'mount points are replaced by links before the end'
	make_victim
	mkdir "$victim/c"
	victim_was=$(tree_state "$victim")
	spec "    - run: mv /stub /other; rm -rf /stub; ln -s $victim /stub; mv /proc /p; rmdir /run; ln -s $victim /run; echo x >/x" \
		'      cache: [/stub/c]' '      secrets: [s]'
	echo 'secrets: {s: {env: HOME}}' >>"$P/duet.yaml"
	build >"$W/out"
	is "$who: B5: exit code" $? 0
	intact "$who: B5"
	is "$who: B5: no mount point is left" "$(run ls -d /stub/c /run/secrets)" ''
	is "$who: B5: what was written is" "$(run cat /x)" x
	control_mutant stub-in-upper
}

# miss NAME / hit NAME: was the step run again?
miss() {
	build >/dev/null || not_ok "$who: B6: $1: $(cat "$W/err")"
	is "$who: B6: $1: run again" "$(grep -c '^ran$' "$W/err")" 1
}

hit() {
	build >/dev/null
	is "$who: B6: $1: not run again" "$(grep -c '^ran$' "$W/err")" 0
}

b6() {
	row B6 check 'a key that misses an input'
	export DUET_TEST_S=value
	# [COMMAND] [LINE]: the step in its plain form but for the one thing
	base() {
		spec "    - copy: ./below" "      to: /below" "    - run: ${1-echo ran}" \
			"      environment: {A: ${A-1}}" "      user: ${U-\"0\"}" "      workdir: ${D-/w}" \
			"      network: ${N-none}" "      cache: [${C-/c}]" "      secrets: [${S-s}]" \
			"      mounts: [{from: ${F-first}, source: ${M-/etc}, to: /m}]"
		printf '%s\n' 'secrets: {s: {env: DUET_TEST_S}, t: {env: DUET_TEST_S}}' 'images:' \
			"  first: {from: {archive: $W/root.tar.zst}, steps: [{copy: ./mounted, to: /etc/x}]}" \
			"  second: {from: {archive: $W/root.tar.zst}}" >>"$P/duet.yaml"
	}
	echo 1 >"$P/below"
	echo 1 >"$P/mounted"
	base && miss first
	base && hit none
	base "[/bin/sh, -c, 'echo ran; true']" && miss argv
	A=2 base && miss environment
	[ "$who" = one ] || { U='"1:1"' base && miss user; }
	U='"0:0"' base && miss 'user, as a text'
	D=/v base && miss workdir
	C=/d base && miss cache
	S=t base && miss secret
	F=second base && miss 'the mounted image'
	M=/usr base && miss 'source of a mount'
	echo 2 >"$P/mounted"
	base && miss 'content of the mounted image'
	echo 22 >"$P/below"
	base && miss 'layer below'
	DUET_TEST_S=other
	base && hit 'value of a secret'
	echo 1 >"$P/below"
	echo 1 >"$P/mounted"
	base && hit 'all as it was'
	touch "$P/below"
	(umask 077 && cd / && TZ=Asia/Tokyo base && hit 'the time of a file, umask, folder, time zone')
	build --no-cache >/dev/null
	is "$who: B6: --no-cache" "$(grep -c '^ran$' "$W/err")" 1
	control none 'rules, platform and network are in the unit test of plans'
}

# What is taken from an image is taken from it as it was built, by whichever spec and however often.
b6_images() {
	row B6 check 'what is taken from an image that gives something else each time'
	# [NAME] [COMMAND of the image] [SUFFIX of what is taken]
	base() {
		printf '%s\n' 'duet: 1' "name: ${1-rows}" 'images:' \
			"  other: {from: {archive: $W/root.tar.zst}, steps: [{run: '${2-cat /proc/sys/kernel/random/uuid >/id}'}]}" \
			'image:' "  from: {archive: $W/root.tar.zst}" '  steps:' \
			'    - run: echo ran; cat /m/id >/mounted'"${3-}" '      mounts: [{from: other, to: /m}]' \
			'    - copy: /id' '      from: other' "      to: /copied${3-}" >"$P/duet.yaml"
	}
	both() {
		run cat "/mounted${1-}" "/copied${1-}" | sort -u
	}
	base && build >/dev/null
	first=$(both)
	is "$who: B6: mounted and copied are one" "$(echo "$first" | wc -l)" 1
	base elsewhere "cat /proc/sys/kernel/random/uuid >/id" -2 && build --no-cache >/dev/null
	is "$who: B6: --no-cache: the image is made once" "$(grep -c '^other: run cat' "$W/err")$(grep -c '^run cat' "$W/err")" 01
	second=$(both -2)
	is "$who: B6: --no-cache: mounted and copied are one" "$(echo "$second" | wc -l)" 1
	[ "$first" != "$second" ] && ok || not_ok "$who: B6: the image gave the same twice"
	base && build >/dev/null
	is "$who: B6: what was built stays as it was" "$(both)" "$first"
	base third && miss 'the image as another spec built it'
	is "$who: B6: and its content is taken" "$(both)" "$second"
	base third 'echo same >/id' && miss 'another content'
	base third 'echo same >/id; true' && hit 'another way to the same content'
	is "$who: B6: all that was run" "$(grep -c '^run ' "$W/err"):$(grep -c '^copy ' "$W/err")" 1:0
	is_sound "$who: B6" "$who" "$store"
	control none 'the kernel gives another uuid each time'
}

# The digest of what is copied is taken before there is a plan; steps below may run for a long time then.
b6_changes() {
	row B6 check 'what is copied changes while a step below runs'
	spec '    - run: touch /c/runs; until [ -e /c/go ]; do sleep 0.1; done; rm /c/runs /c/go' \
		'      cache: [/c]' '    - {copy: ./it, to: /it}'
	echo first >"$P/it"
	build >/dev/null &
	until runs=$(find "$store/v1/caches" -name runs 2>/dev/null) && [ -n "$runs" ]; do
		kill -0 $! 2>/dev/null || break
		sleep 0.1
	done
	echo second >"$P/it"
	touch "${runs%/*}/go"
	wait $!
	is "$who: B6: changed: exit code" $? 1
	has "$who: B6: changed: the cause" "$(cat "$W/err")" 'the files changed while the image was built'
	echo first >"$P/it"
	sed -i 's,- run: .*,- run: "true",' "$P/duet.yaml"
	is "$who: B6: what was there is what is found" "$(run cat /it)" first
	cp "$P/it" "$W/it"
	echo second >"$W/it"
	[ "$(cat "$W/it")" = second ]
	control_if $? 'a copy of the file at that time has the other content'
}

# An image that begins with another has the steps of that one: made once, for all that take from it.
b6_begins() {
	row B6 check '--no-cache, and an image that two others begin with'
	printf '%s\n' 'duet: 1' 'name: rows' 'images:' \
		"  one: {from: {archive: $W/root.tar.zst}, steps: [{run: echo ran; cat /proc/sys/kernel/random/uuid >/id}]}" \
		'  two: {from: {image: one}, steps: [{run: cp /id /of-two}]}' 'image:' '  from: {image: two}' \
		'  steps: [{copy: /id, from: one, to: /of-one}, {copy: /of-two, from: two, to: /copied}]' \
		>"$P/duet.yaml"
	for how in '' --no-cache; do
		build ${how:+"$how"} >/dev/null
		is "$who: B6: begins $how: exit code" $? 0
		is "$who: B6: begins $how: it is run once" "$(grep -c '^ran$' "$W/err")" 1
		is "$who: B6: begins $how: one id" "$(run cat /id /of-one /of-two /copied | sort -u | wc -l)" 1
	done
	build --no-cache --explain-cache >/dev/null
	has "$who: B6: begins: why" "$(cat "$W/err")" '>/id: made, because --no-cache asks for it'
	control none 'the kernel gives another uuid each time'
}

b7() {
	row B7 check 'a secret that stays somewhere'
	DUET_TEST_S=$(head -c 32 /dev/urandom | sha256sum | head -c 64)
	export DUET_TEST_S
	more='secrets: {s: {env: DUET_TEST_S}}'
	spec '    - run: wc -c /run/secrets/s; test -z "$DUET_TEST_S"; sh -c "kill -SEGV \$\$"; ls /run/secrets >/listed' \
		'      secrets: [s]' \
		'    - run: ls /run/secrets; grep -r DUET_TEST /proc/[0-9]*/environ 2>/dev/null; true'
	build -v --explain-cache >"$W/out"
	is "$who: B7: exit code" $? 0
	is "$who: B7: it was there" "$(grep -c '^64 /run/secrets/s' "$W/err")" 1
	has "$who: B7: and gone in the next" "$(cat "$W/err")" "access '/run/secrets'"
	is "$who: B7: not in what was printed" "$(cat "$W/out" "$W/err" | grep -c "$DUET_TEST_S")" 0
	is "$who: B7: not in the store" "$(grep -rlF "$DUET_TEST_S" "$store")" ''
	is "$who: B7: not in its blobs" "$(find "$store/v1/blobs" -type f -exec zstd -qdc {} + 2>/dev/null |
		grep -acF "$DUET_TEST_S")" 0
	as "$who" "$DUET" images --json --store "$store" | grep -qF "$DUET_TEST_S" && not_ok "$who: B7: images" || ok
	is "$who: B7: no core dump" "$(find "$store" -name 'core*' -path '*trees*')" ''
	# a step that fails: what is kept does not have it either
	spec '    - run: "false"' '      secrets: [s]'
	build >/dev/null
	is "$who: B7: not in what a failure keeps" "$(grep -rlF "$DUET_TEST_S" "$store")" ''
	spec '    - run: cat /run/secrets/s >/kept' '      secrets: [s]'
	build >/dev/null
	grep -rqF "$DUET_TEST_S" "$store"
	control_if $? 'a step that copies its secret into the image is found by the same search'
	more=
	unset DUET_TEST_S
}

b8() {
	row B8 check 'somebody writes after the step has ended'
	spec '    - run: echo first >/out; exec 9>>/out; setsid sh -c "sleep 0.3; echo late >&9; echo late >>/c/out" & readlink /proc/self/ns/net >&2' \
		'      cache: [/c]'
	build >"$W/out"
	first=$(grep net: "$W/err")
	sleep 0.5
	is "$who: B8: nothing came late" "$(run cat /out)" first
	is "$who: B8: nor into the cache" "$(find "$store/v1/caches" -name out)" ''
	is_sound "$who: B8" "$who" "$store"
	# abstract sockets belong to it
	[ "$first" != "$(readlink /proc/self/ns/net)" ] && ok || not_ok "$who: B8: the host's network"
	control_mutant step-pid-namespace
}

b13() {
	row B13 check 'the same layer whoever builds it and when'
	spec '    - run: mkdir -p /z/y; for i in 5 1 3 2 4; do echo $i >/z/$i; done; ln -s y /z/l; rm /etc/group; date +%s%N >/dev/null 2>&1; chmod 750 /z'
	for i in $(seq $rounds); do
		(umask "$((i % 2 * 77))" && cd / && TZ=Asia/Tokyo build --no-cache >"$W/id")
		[ "$i$who" != 1root ] || first_id=$(cat "$W/id")
		is "$who: B13" "$(cat "$W/id")" "${first_id:-$(cat "$W/id")}"
	done
	control none 'times and order differ by nature; that packing sorts and clamps is seen in run_step.sh'
}

c22() {
	row C22 check 'the environment of the host in a step'
	spec '    - run: env'
	DUET_TEST_LEAK=leak build >/dev/null
	is "$who: C22: it is not there" "$(grep -c DUET_TEST_LEAK "$W/err")" 0
	has "$who: C22: its own is" "$(cat "$W/err")" HOME=/root
	DUET_TEST_LEAK=leak sh -c env | grep -q DUET_TEST_LEAK
	control_if $? 'a shell without the defence prints it'
}

c23() {
	row C23 check 'no network is no network'
	spec '    - run: cat /etc/resolv.conf; cat /proc/net/dev; cat /proc/net/route'
	build >/dev/null
	has "$who: C23: no resolver" "$(cat "$W/err")" "resolv.conf: No such file"
	is "$who: C23: loopback alone" "$(grep -c ':.*0' "$W/err")" "$(grep -c 'lo:' "$W/err")"
	control none 'the kernel gives an empty network namespace; nat is tried in net.sh'
}

c27() {
	row C27 check 'duet is killed in the middle of a step'
	spec '    - run: sleep 100'
	for i in $(seq $rounds); do
		as "$who" "$DUET" build --store "$store" -f "$P/duet.yaml" >/dev/null 2>&1 &
		pid=$!
		# with another user there is a shell around it
		until killed=$(pgrep -o -f "^$DUET build --store $store "); do
			sleep 0.01
		done
		sleep "0.$((RANDOM % 5))"
		kill -KILL "$killed" 2>/dev/null
		wait $pid 2>/dev/null
	done
	soon_none "$who: C27: no process is left" own_processes
	as "$who" "$DUET" images --store "$store" >/dev/null
	no_leftovers "$who: C27" "$store"
	control none 'a shell that starts the same sleep and is killed leaves it'
}

for who in $(all_users); do
	user_folders "$who" || continue
	more=
	for each in ${DUET_PARTS-b1 b2 b3 b4 b5 b6 b6_images b6_changes b6_begins b7 b8 b13 c22 c23 c27}; do
		$each
	done
	row
	no_leftovers "$who" "$store"
done
finish
