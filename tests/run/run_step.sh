#!/bin/bash
# Run steps: what a command sees, what its layer holds, when it runs again, what its failure says; as
# root, as a user with subuids and as a user without; the same layers from all that can give them.
# Package managers: managers.sh.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
small_tools="$small_tools ln chmod chown mkfifo mv sleep touch grep"
small_root
mkdir -p "$SMALL/var/old" "$SMALL/opt/gone"
echo old >"$SMALL/var/old/file"
echo gone >"$SMALL/opt/gone/file"
find "$SMALL" -exec touch -h -d '2024-01-02 03:04:05 UTC' {} +
pack "$SMALL" "$W/root.tar.zst"
touch -d '1 hour ago' "$W/root.tar.zst"

# spec LINES: steps over the small root
spec() {
	printf '%s\n' 'duet: 1' 'name: stepped' 'image:' "  from: {archive: $W/root.tar.zst}" \
		'  steps:' "$@" >"$P/duet.yaml"
}

build() {
	as "$who" "$DUET" build --store "$store" -f "$P/duet.yaml" "$@" 2>"$W/err"
}

run() {
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" -- "$@" </dev/null 2>"$W/err"
}

# layer: the list of the newest blob, which is a run step's layer
layer() {
	# layers are zstd; what the steps were made from is a text
	newest=$(find "$store/v1/blobs/sha256" -type f -printf '%T@ %p\n' | sort -n |
		while read -r time file; do
			[ "$(head -c 4 "$file" | od -An -tx1)" = ' 28 b5 2f fd' ] && echo "$time $file"
		done | tail -n 1)
	zstd -dc <"${newest#* }" | tar --numeric-owner -tvf - | sed 's/  */ /g'
}

# What a command sees, and that only what it changed is in its layer.
sees() {
	spec '    - run: id -u; pwd; echo $NAME; echo "$HOME"; cat /etc/hosts; ls /run/secrets; echo x >/seen' \
		'      environment: {NAME: value}' '      workdir: /srv/work'
	build >"$W/id"
	is "$who: a step: exit code" $? 0
	is "$who: what it sees" "$(grep -v '^run \|^archive' "$W/err")" "0
/srv/work
value
/root
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
127.0.1.1 build
ls: cannot access '/run/secrets': No such file or directory"
	is "$who: its layer" "$(layer)" '-rw-r--r-- 0/0 2 1980-01-02 00:00 seen
drwxr-xr-x 0/0 0 1980-01-02 00:00 srv/
drwxr-xr-x 0/0 0 1980-01-02 00:00 srv/work/'
	is "$who: it is run once" "$(build && cat "$W/err")" "$(cat "$W/id")"
	spec "    - run: ['/bin/sh', '-c', 'echo \"\$0\" >/list', 'a b']"
	build >/dev/null
	is "$who: a list" "$(run cat /list)" 'a b'
	if [ "$who" = one ]; then
		spec '    - run: true' '      user: daemon'
		build >/dev/null
		is "$who: another user cannot be: exit code" $? 1
		has "$who: and it is said" "$(cat "$W/err")" 'in single-uid mode there is only root'
		return
	fi
	spec '    - run: id -u; touch /tmp/mine' '      user: daemon'
	build >/dev/null
	is "$who: a user" "$(head -n 1 "$W/err")" 1
	has "$who: owns what it makes" "$(layer)" '-rw-r--r-- 1/1 0 1980-01-02 00:00 tmp/mine'
}

# Every kind of entry and of change.
changes() {
	spec '    - run: |' \
		'        rm /var/old/file; rm -r /opt/gone; mkdir /opt/gone; echo new >/opt/gone/new' \
		'        mkdir /d; echo a >/d/a; ln /d/a /d/b; ln -s a /d/l; mkfifo /d/p; chmod 4755 /d/a' \
		"        touch -d '2000-01-01 UTC' /d/early; touch -d '2030-01-01 UTC' /d/late"
	build >"$W/id.$who"
	is "$who: changes: exit code" $? 0
	is "$who: changes: the layer" "$(layer)" 'drwxr-xr-x 0/0 0 1980-01-02 00:00 d/
-rwsr-xr-x 0/0 2 1980-01-02 00:00 d/a
hrwsr-xr-x 0/0 0 1980-01-02 00:00 d/b link to d/a
-rw-r--r-- 0/0 0 1980-01-02 00:00 d/early
lrwxrwxrwx 0/0 0 1980-01-02 00:00 d/l -> a
-rw-r--r-- 0/0 0 1980-01-02 00:00 d/late
prw-r--r-- 0/0 0 1980-01-02 00:00 d/p
drwxr-xr-x 0/0 0 1980-01-02 00:00 opt/
drwxr-xr-x 0/0 0 1980-01-02 00:00 opt/gone/
-rw-r--r-- 0/0 0 1980-01-02 00:00 opt/gone/.wh..wh..opq
-rw-r--r-- 0/0 4 1980-01-02 00:00 opt/gone/new
drwxr-xr-x 0/0 0 1980-01-02 00:00 var/
drwxr-xr-x 0/0 0 1980-01-02 00:00 var/old/
-rw-r--r-- 0/0 0 1980-01-02 00:00 var/old/.wh.file'
	is "$who: changes: the result" "$(run sh -c 'ls /opt/gone /var/old; cat /d/b; readlink /d/l')" \
		'/opt/gone:
new

/var/old:
a
a'
	is "$who: the same layers as root's" "$(cat "$W/id.$who")" "$(cat "$W/id.root")"
	build --no-cache >"$W/again"
	is "$who: the same layers another time" "$(cat "$W/again")" "$(cat "$W/id.$who")"
	[ "$who" = one ] && return
	spec '    - run: echo x >/x; chown 7:8 /x; mkdir /y; chown 9 /y; chmod 700 /'
	build >"$W/owner.$who"
	is "$who: owners, and the root's mode" "$(layer)" 'drwx------ 0/0 0 1980-01-02 00:00 ./
-rw-r--r-- 7/8 2 1980-01-02 00:00 x
drwxr-xr-x 9/0 0 1980-01-02 00:00 y/'
	is "$who: owners: the same as root's" "$(cat "$W/owner.$who")" "$(cat "$W/owner.root")"
}

failures() {
	spec '    - run: true' '    - run: |' '        echo first >&2; echo last; exit 7'
	build >/dev/null
	is "$who: a failure: exit code" $? 1
	# what was printed is there once as it came, and once in the error
	has "$who: place, command and code" "$(cat "$W/err")" \
		"$P/duet.yaml:7:7: error[run.failed]: build stepped: run echo first >&2; echo last; exit 7: ended with code 7; its last lines:
first
last"
	is "$who: a failure: tmp is empty" "$(ls -A "$store/v1/tmp")" ''
	spec '    - run: for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do echo "line $i"; done; exit 1'
	build >/dev/null
	is "$who: twenty lines are kept" "$(sed '1,/last lines/d' "$W/err" | grep line | sed -n '1p;$p')" 'line 3
line 22'
	build -q >/dev/null
	is "$who: with -q its end is in the error alone" "$(grep -c line "$W/err"):$(head -n 1 "$W/err" | grep -c last)" 21:1
	spec '    - run: echo printed; echo printed >&2'
	is "$who: with -q a step that ends well prints nothing" "$(build -q --no-cache >/dev/null; cat "$W/err")" ''
	build --no-cache >/dev/null
	is "$who: without it both come" "$(grep -c '^printed' "$W/err")" 2
	spec '    - run: no-such-program-here'
	build >/dev/null
	has "$who: not found" "$(cat "$W/err")" 'ended with code 127'
	spec "    - run: [no-such-program-here]"
	build >/dev/null
	is "$who: a list that is not found: duet's code, not a job's" $? 1
	has "$who: a list that is not found" "$(cat "$W/err")" \
		'error[run.failed]: build stepped: run no-such-program-here: exec no-such-program-here: No such file'
	spec '    - run: touch /var/.wh.old'
	build >/dev/null
	is "$who: a name of a whiteout: exit code" $? 1
	has "$who: it is named" "$(cat "$W/err")" 'pack /var/.wh.old: a name that begins with ".wh."'
	printf '%s\n' 'duet: 1' 'name: none' 'image: {from: scratch, steps: [{run: "true"}]}' >"$P/duet.yaml"
	build >/dev/null
	is "$who: nothing to run: exit code" $? 1
	has "$who: with a mend" "$(cat "$W/err")" 'begin with another image'
}

# Caches stay from build to build and out of the layer; gc takes them when nobody needs them.
caches() {
	spec '    - run: ls /var/cache/x; echo 1 >/var/cache/x/one; touch /made' '      cache: [/var/cache/x, /opt/gone]'
	build >/dev/null
	is "$who: a cache: exit code" $? 0
	has "$who: it is not in the layer" "$(layer)" '-rw-r--r-- 0/0 0 1980-01-02 00:00 made'
	is "$who: nor is its mount point" "$(layer | wc -l)" 1
	build --no-cache >/dev/null
	is "$who: it was kept" "$(head -n 1 "$W/err")" one
	as "$who" "$DUET" gc --store "$store" >/dev/null
	build --no-cache >/dev/null
	is "$who: also by gc" "$(head -n 1 "$W/err")" one
	find "$store/v1/caches" -name ok -exec touch -d '31 days ago' {} +
	as "$who" "$DUET" gc --store "$store" >/dev/null
	is "$who: until nobody asked for it for a month" "$(find "$store/v1/caches" -name ok)" ''
	build --no-cache >/dev/null
	as "$who" "$DUET" gc --all --store "$store" >/dev/null
	is "$who: gc --all" "$(find "$store/v1/caches" -name ok)" ''
	# whoever a step runs as may write there
	if [ "$who" != one ]; then
		spec '    - run: touch /c/by-root' '      cache: [/c]' \
			'    - run: touch /c/by-another; ls /c | wc -l' '      cache: [/c]' '      user: "7:8"'
		build >/dev/null
		is "$who: a cache, and another user: exit code" $? 0
		has "$who: a cache, and another user" "$(cat "$W/err")" '2
run touch'
	fi
	# one build at a time has it
	spec '    - run: test ! -e /c/held && touch /c/held && sleep 0.4 && rm /c/held' '      cache: [/c]'
	build --no-cache >/dev/null &
	other=$!
	as "$who" "$DUET" build --no-cache --store "$store" -f "$P/duet.yaml" >/dev/null 2>"$W/err2"
	is "$who: two builds: one" $? 0
	wait $other
	is "$who: two builds: the other" $? 0
}

# Folders of other images, read-only.
mounts() {
	spec '    - run: cat /from/etc/passwd | wc -l; cat /one; cat /linked/file; touch /from/x; touch /ok' \
		'      mounts: [{from: other, to: /from}, {from: other, source: /made/one, to: /one}, {from: other, source: /link, to: /linked}]'
	printf '%s\n' 'images:' '  other:' "    from: {archive: $W/root.tar.zst}" '    steps:' \
		'      - run: mkdir /made; echo first >/made/one; ln -s /var/old /link; rm -r /opt/gone' >>"$P/duet.yaml"
	build >/dev/null
	is "$who: mounts: exit code" $? 0
	has "$who: mounts: what is seen" "$(cat "$W/err")" "2
first
old
touch: cannot touch '/from/x': Read-only file system"
	is "$who: mounts: the layer" "$(layer)" '-rw-r--r-- 0/0 0 1980-01-02 00:00 ok'
	printf '%s\n' 'duet: 1' 'name: stepped' 'image:' "  from: {archive: $W/root.tar.zst}" \
		'  steps: [{run: "true", mounts: [{from: other, source: /none, to: /x}]}]' \
		'images: {other: {from: scratch}}' >"$P/duet.yaml"
	build >/dev/null
	has "$who: a source that is not there" "$(cat "$W/err")" 'mount /none of another image: No such file'
}

secrets() {
	spec '    - run: ls -l /run/secrets; cat /run/secrets/token | wc -c; cat /run/secrets/other; touch /done' \
		'      secrets: [token, other]'
	printf '%s\n' 'secrets: {token: {env: DUET_TEST_TOKEN}, other: {file: ./other}}' >>"$P/duet.yaml"
	echo of-a-file >"$P/other"
	build >/dev/null
	is "$who: a secret that is not there: exit code" $? 2
	has "$who: a secret that is not there" "$(cat "$W/err")" "duet.yaml:8:11: error[spec.missing]: secret token: \$DUET_TEST_TOKEN is not set"
	has "$who: with a mend" "$(cat "$W/err")" "set DUET_TEST_TOKEN in duet's environment"
	is "$who: nothing was run" "$(grep -c 'total' "$W/err")" 0
	DUET_TEST_TOKEN=0123456789 build >/dev/null
	is "$who: secrets: exit code" $? 0
	has "$who: secrets are there" "$(cat "$W/err")" '
10
of-a-file'
	is "$who: secrets: for the user alone" "$(grep -c '^-r--------' "$W/err")" 2
	is "$who: secrets: not in the layer" "$(layer)" '-rw-r--r-- 0/0 0 1980-01-02 00:00 done'
	DUET_TEST_TOKEN=another build >"$W/out"
	is "$who: their values are in no key" "$(grep -c total "$W/err")" 0
	[ "$who" = one ] && return
	spec '    - run: cat /run/secrets/token' '      secrets: [token]' '      user: daemon'
	printf '%s\n' 'secrets: {token: {env: DUET_TEST_TOKEN}}' >>"$P/duet.yaml"
	DUET_TEST_TOKEN=mine build >/dev/null
	has "$who: secrets of another user" "$(cat "$W/err")" mine
}

# What a failed step had written, and a shell on it.
failed() {
	spec '    - run: echo below >/below' '    - run: mkdir /half; echo written >/half/file; rm /var/old/file; exit 3' \
		'      workdir: /srv/there' '      environment: {HERE: there}'
	build >/dev/null
	has "$who: a failed step: mend" "$(cat "$W/err")" 'duet shell --failed'
	out=$(as "$who" "$DUET" shell --failed --store "$store" -f "$P/duet.yaml" -- \
		sh -c 'pwd; echo $HERE; cat /below /half/file; ls /var/old; touch /half/more; echo err >&2; exit 5' 2>"$W/err2")
	is "$who: shell --failed: exit code" $? 5
	is "$who: shell --failed" "$out" '/srv/there
there
below
written'
	is "$who: shell --failed: errors apart" "$(cat "$W/err2")" err
	as "$who" "$DUET" gc --store "$store" >/dev/null
	out=$(echo 'ls /half' | as "$who" "$DUET" shell --failed --store "$store" -f "$P/duet.yaml" 2>&1)
	is "$who: shell --failed, again, after gc" "$out" 'file
more'
	find "$store/v1/failed" -name ok -exec touch -d '25 hours ago' {} +
	as "$who" "$DUET" gc --store "$store" >/dev/null
	is "$who: kept for a day" "$(find "$store/v1/failed" -name ok)" ''
	as "$who" "$DUET" shell --failed --store "$store" -f "$P/duet.yaml" 2>"$W/err" </dev/null
	is "$who: nothing has failed: exit code" $? 125
	has "$who: nothing has failed" "$(cat "$W/err")" 'no step of stepped has failed lately'
	spec
	sed -i '/steps:/d' "$P/duet.yaml"
	is "$who: shell" "$(echo 'cat /var/old/file' | as "$who" "$DUET" shell --store "$store" -f "$P/duet.yaml" 2>/dev/null)" old
}

# A build that wants disks alone, after its layers were made so: the trees are made when a command runs.
disks() {
	spec '    - copy: ./other' '      to: /copied'
	echo "target: {vm: {kernel: $KERNEL}}" >"$P/vm"
	echo text >"$P/other"
	sed -i "2r $P/vm" "$P/duet.yaml"
	build --on vm >/dev/null
	printf '%s\n' '    - run: cat /copied /var/old/file' >>"$P/duet.yaml"
	build --on vm >"$W/id"
	has "$who: on layers that are disks" "$(cat "$W/err")" 'text
old'
	is "$who: the same image as of trees" "$(build)" "$(cat "$W/id")"
}

KERNEL=
if (vm_kernel) >/dev/null 2>&1; then
	vm_kernel
fi
# --no-cache reaches what is copied out of another image, and nothing else does.
stages() {
	cat >"$P/duet.yaml" <<-END
		duet: 1
		name: stepped
		images:
		  made:
		    from: {archive: $W/root.tar.zst}
		    steps: [{run: cat /proc/sys/kernel/random/uuid >/uuid}]
		image:
		  from: {archive: $W/root.tar.zst}
		  steps: [{copy: /uuid, from: made, to: /}]
	END
	build >/dev/null
	is "$who: out of another image: exit code" $? 0
	one=$(run cat /uuid)
	is "$who: out of another image: again" "$(build >/dev/null; run cat /uuid)" "$one"
	build --no-cache >/dev/null
	two=$(run cat /uuid)
	is "$who: out of another image: 36 letters" "${#one} ${#two}" '36 36'
	[ "$one" != "$two" ] || not_ok "$who: out of another image: not made again with --no-cache"
}

# What differs is told, and nothing else is.
explains() {
	spec '    - run: echo x >/x' '      environment: {A: 1}'
	build >/dev/null
	build --explain-cache >/dev/null
	has "$who: explained: found" "$(cat "$W/err")" 'run echo x >/x: found'
	spec '    - run: echo y >/x' '      environment: {A: 2}'
	build --explain-cache >/dev/null
	has "$who: explained: two inputs" "$(cat "$W/err")" \
		'run echo y >/x: made, because the command and the environment differ'
	touch -d '2024-05-06' "$SMALL/opt/newer"
	pack "$SMALL" "$W/newer.tar.zst"
	sed -i "s,$W/root.tar.zst,$W/newer.tar.zst," "$P/duet.yaml"
	build --explain-cache >/dev/null
	has "$who: explained: the layers below" "$(cat "$W/err")" 'made, because the layers below differ
'
	rm -f "$SMALL/opt/newer"
}

for who in $(all_users); do
	user_folders "$who" || continue
	sees
	changes
	failures
	caches
	mounts
	secrets
	failed
	stages
	explains
	[ -z "$KERNEL" ] || disks
	no_leftovers "$who" "$store"
	is_sound "$who" "$who" "$store"
done
finish
