#!/bin/bash
# Building: archives, copies, folders; what a second build does again; identities; images, gc and
# store check; a layer's place over what lies below.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
small_root
pack "$SMALL" "$W/root.tar.zst"
touch -d '1 hour ago' "$W/root.tar.zst"

zeros=0000000000000000000000000000000000000000000000000000000000000000

# The same input for everybody, in the project folder $1.
make_project() {
	mkdir -p "$1/input/share" "$1/input/etc/app" "$1/site/sub" "$1/rootfs/opt"
	echo one >"$1/input/share/x"
	echo conf >"$1/input/etc/app/conf"
	ln -s conf "$1/input/etc/app/link"
	ln "$1/input/etc/app/conf" "$1/input/etc/app/hard"
	echo page >"$1/site/index"
	echo more >"$1/site/sub/more"
	printf '#!/bin/sh\necho tool\n' >"$1/site/tool"
	chmod 644 "$1/site/index" "$1/site/sub/more"
	chmod 755 "$1/site/tool" "$1/site" "$1/site/sub"
	echo in >"$1/rootfs/opt/file"
	chmod 750 "$1/rootfs/opt"
	find "$1/input" -exec touch -h -d '2024-05-06 07:08:09 UTC' {} +
	for kind in tar tar.gz tar.zst tar.xz; do
		pack "$1/input" "$1/input.$kind"
	done
	chmod 644 "$1"/input.*
	touch -d '1 hour ago' "$1"/input.*
}

# spec LINES: what stands below `duet` and `name`
spec() {
	printf '%s\n' 'duet: 1' 'name: built' "$@" >"$P/duet.yaml"
}

# over LINES: steps over the small root
over() {
	spec 'image:' "  from: {archive: $W/root.tar.zst}" '  steps:' "$@"
}

build() {
	as "$who" "$DUET" build --store "$store" -f "$P/duet.yaml" 2>"$W/err"
}

run() {
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" -- "$@" </dev/null 2>"$W/err"
}

# Names, inodes and times of all that is published, lest something be made twice.
published() {
	find "$store/v1/blobs" "$store/v1/trees" "$store/v1/steps" "$store/v1/images" \
		-printf '%p %i %T@ %C@\n' | sort
}

archives() {
	for kind in tar tar.gz tar.zst tar.xz; do
		over "    - archive: ./input.$kind"
		build >"$W/id.$kind" || not_ok "$who: build $kind: $(cat "$W/err")"
		is "$who: $kind" "$(run cat /etc/app/conf /share/x)" 'conf
one'
		is "$who: $kind: the same image" "$(cat "$W/id.$kind")" "$(cat "$W/id.tar")"
	done
	over '    - archive: ./input.tar.gz' '      to: /opt/in'
	is "$who: to" "$(run cat /opt/in/etc/app/hard)" conf
	over '    - archive: ./input.tar.gz' '      to: /opt/in' '      strip: 1'
	is "$who: to and strip" "$(run sh -c 'cd /opt/in && ls && cat app/link')" 'app
x
conf'
	over '    - archive: ./input.tar.xz' '      strip: 2'
	is "$who: strip alone" "$(run cat /conf)" conf
	sum=$(sha256sum "$P/input.tar")
	over '    - archive: ./input.tar' "      sha256: ${sum%% *}"
	is "$who: the right sha256" "$(run cat /etc/app/conf)" conf
	before=$(published)
	over '    - archive: ./input.tar.gz' "      sha256: $zeros"
	build >"$W/out"
	is "$who: a wrong sha256: exit code" $? 1
	has "$who: a wrong sha256 is said" "$(cat "$W/err")" 'error[fetch.digest]'
	has "$who: with its place" "$(cat "$W/err")" "$P/duet.yaml:6:7: "
	is "$who: and the store is unchanged" "$(published)" "$before"
	is "$who: and tmp is empty" "$(ls "$store/v1/tmp")" ''
}

copies() {
	over '    - copy: ./site/index' '      to: /srv/page'
	is "$who: copy a file" "$(run sh -c 'cat /srv/page; stat -c "%u:%g %a" /srv/page')" 'page
0:0 644'
	over '    - copy: ./site/index' '      to: /srv/'
	is "$who: copy a file into a folder" "$(run cat /srv/index)" page
	over '    - copy: ./site' '      to: /srv/site'
	is "$who: copy a folder" "$(run sh -c 'cd /srv/site && cat sub/more && ./tool && ls')" 'more
tool
index
sub
tool'
	over '    - copy: ./site' '      to: /srv/site' '      owner: 33:44' '      mode: 0640'
	# the folder itself is no part of the copy: where it is there, it stays as it is
	wanted='0:0 755 /srv/site
33:44 640 /srv/site/index
33:44 750 /srv/site/sub'
	[ "$who" != one ] || wanted=$(echo "$wanted" | sed 's/33:44/0:0/')
	is "$who: owner and mode" \
		"$(run stat -c '%u:%g %a %n' /srv/site /srv/site/index /srv/site/sub)" "$wanted"
	over '    - copy: ./site' '      to: /srv/none' '    - copy: ./nowhere' '      to: /x'
	build >/dev/null
	is "$who: a copy of nothing: exit code" $? 1
	has "$who: it is named with its place" "$(cat "$W/err")" "duet.yaml:8:7: "
	has "$who: and by its path" "$(cat "$W/err")" "$P/nowhere"
}

sources() {
	spec 'image:' '  from: {directory: ./rootfs}'
	if [ "$who" = one ] || [ "$who" = many ]; then
		chown -R "duet-$who-$$" "$P/rootfs"
	fi
	id=$(build) && ok 'from directory' || not_ok "$who: from directory: $(cat "$W/err")"
	file=$(find "$store"/v1/trees/*/*/tree/opt/file | head -n 1)
	is "$who: from directory keeps modes" "$(stat -c %a "${file%/file}")" 750
	spec 'image:' "  from: {directory: $SMALL}"
	[ "$who" != root ] || is "$who: from directory runs" "$(run sh -c 'echo in')" in
	spec 'image:' '  from: scratch' '  steps:' '    - copy: ./site' '      to: /'
	first=$(build) || not_ok "$who: from scratch: $(cat "$W/err")"
	is "$who: from scratch, again" "$(build)" "$first"
	spec 'image: {from: scratch}'
	is "$who: nothing at all has an id" "$(build | wc -c)" 72
}

again() {
	sleep 2.1 # what changed just now is not remembered by its times
	over '    - archive: ./input.tar.gz' '    - archive: ./input.tar.zst' '      to: /opt'
	id=$(build)
	before=$(published)
	mkdir -p "$W/nothing"
	# neither worker nor init is there: whatever started one would fail
	is "$who: a second build starts no worker" "$(DUET_LIBEXEC=$W/nothing build; cat "$W/err")" "$id"
	is "$who: and touches nothing" "$(published)" "$before"
	is "$who: and says nothing" "$(cat "$W/err")" ''
	has "$who: the probe bites" "$(
		over '    - archive: ./input.tar.gz' '      to: /elsewhere'
		DUET_LIBEXEC=$W/nothing build
		cat "$W/err"
	)" duet-worker
	over '    - archive: ./input.tar.gz' '    - copy: ./site' '      to: /srv' \
		'    - archive: ./input.tar' '      to: /last'
	id=$(build)
	is "$who: the steps built are told" "$(grep -c . "$W/err")" 2
	is "$who: with a copy, the same id again" "$(build)" "$id"
	is "$who: and nothing is built" "$(cat "$W/err")" ''
	echo changed >"$P/site/index"
	other=$(build)
	[ "$other" != "$id" ] && ok 'a changed input' || not_ok "$who: a changed input gives the same id"
	# the last one leaves /last to what is below it
	is "$who: it is built from that step on" "$(cat "$W/err")" "copy site to /srv
archive input.tar to /last"
	is "$who: the change is there" "$(run cat /srv/index)" changed
	echo page >"$P/site/index"
	is "$who: changed back: the first id" "$(build)" "$id"
	is "$who: and nothing is built again" "$(cat "$W/err")" ''
	touch -d '2020-01-01' "$P/site/index"
	is "$who: a time alone changes nothing" "$(build)" "$id"
	chmod 755 "$P/site/index"
	[ "$(build)" != "$id" ] && ok 'an exec bit' || not_ok "$who: an exec bit changes nothing"
	chmod 644 "$P/site/index"
}

# The id of the same spec here, for the comparison of users.
identity() {
	over '    - archive: ./input.tar.gz' '    - archive: ./input.tar' '      to: /opt' \
		'    - copy: ./site' '      to: /srv' '      owner: 33:44'
	id=$(build)
	is "$who: the same id for everybody" "$id" "${everybody:=$id}"
	is "$who: an id is a digest" "$(echo "$id" | grep -cE '^sha256:[0-9a-f]{64}$')" 1
	rm -rf "$W/elsewhere"
	cp -r --preserve=mode "$P" "$W/elsewhere"
	mkdir -p "$W/other-store"
	[ "$who" = root ] || [ "$who" = self ] || chown "duet-$who-$$" "$W/other-store"
	is "$who: another umask, time zone, language and folder" "$(
		umask 077
		export TZ=Asia/Tokyo LC_ALL=C
		cd / && as "$who" "$DUET" build --store "$W/other-store" -f "$W/elsewhere/duet.yaml" 2>&1 |
			tail -n 1
	)" "$id"
	rm -rf "$W/other-store" "$W/elsewhere"
}

# Where the trees that depend on what is below them have x.
chained() {
	find "$store"/v1/trees/*/*.chain/tree -path '*lib/x' | sed 's,.*/tree/,,' | sort
}

# A tar with lib/x and no lib: where it lands is what lies below.
implied() {
	rm -rf "$W/made"
	mkdir -p "$W/made/lib"
	echo one >"$W/made/lib/x"
	tar -C "$W/made" --owner=0 --group=0 -cf "$P/implied.tar" lib/x
	chmod 644 "$P/implied.tar"
	over '    - archive: ./implied.tar'
	is "$who: lib/x over lib -> usr/lib" \
		"$(run sh -c 'readlink /lib; cat /usr/lib/x; ls -A /usr | cat')" 'usr/lib
one
bin
lib
lib64
sbin'
	is "$who: as a tree" "$(chained)" usr/lib/x
	spec 'image:' '  from: scratch' '  steps:' '    - copy: ./site' '      to: /lib' \
		'    - archive: ./implied.tar'
	build >/dev/null || not_ok "$who: over a folder: $(cat "$W/err")"
	is "$who: another tree over another base" \
		"$(chained)" 'lib/x
usr/lib/x'
	mkdir -p "$W/made/tmp"
	echo t >"$W/made/tmp/t"
	tar -C "$W/made" --owner=0 --group=0 -cf "$P/tmp.tar" tmp/t
	chmod 644 "$P/tmp.tar"
	over '    - archive: ./tmp.tar'
	is "$who: an implied /tmp keeps its mode" "$(run stat -c %a /tmp)" 1777
}

whiteouts() {
	rm -rf "$W/over"
	mkdir -p "$W/over/etc" "$W/over/opt/d" "$W/upper/etc" "$W/upper/opt/d"
	echo gone >"$W/over/etc/gone"
	echo low >"$W/over/opt/d/low"
	echo low >"$W/over/opt/stays"
	touch "$W/upper/etc/.wh.gone" "$W/upper/opt/d/.wh..wh..opq"
	echo high >"$W/upper/opt/d/high"
	pack "$W/over" "$P/low.tar"
	pack "$W/upper" "$P/high.tar"
	chmod 644 "$P"/low.tar "$P"/high.tar
	over '    - archive: ./low.tar'
	is "$who: without them" "$(run cat /etc/gone /opt/d/low)" 'gone
low'
	over '    - archive: ./low.tar' '    - archive: ./high.tar'
	is "$who: a whiteout hides a file" "$(run sh -c 'cat /etc/gone 2>/dev/null; ls -A /etc')" 'group
hosts
machine-id
passwd'
	is "$who: an opaque folder hides all below" "$(run sh -c 'ls -A /opt/d; cat /opt/stays')" 'high
low'
	over '    - archive: ./low.tar' '    - archive: ./high.tar' '    - archive: ./low.tar'
	is "$who: and a layer above shows it again" "$(run cat /etc/gone /opt/d/low /opt/d/high)" 'gone
low
high'
}

house() {
	over '    - archive: ./input.tar.gz'
	id=$(build)
	as "$who" "$DUET" images --store "$store" >"$W/out"
	has "$who: images lists it" "$(cat "$W/out")" "built                ${id:0:19}"
	has "$who: images as JSON" "$(as "$who" "$DUET" images --store "$store" --json)" "\"id\": \"$id\""
	# a tree that no image needs, and one that a job uses
	over '    - copy: ./site' '      to: /job'
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" -- \
		sh -c 'echo started; cat; cat /job/index' <"$W/fifo" >"$W/job" 2>"$W/joberr" &
	job=$!
	exec 8>"$W/fifo"
	for _ in $(seq 100); do
		grep -q started "$W/job" && break
		sleep 0.1
	done
	over '    - archive: ./input.tar.gz'
	build >/dev/null
	as "$who" "$DUET" gc --store "$store" --json >"$W/gc"
	has "$who: gc removes what is unused" "$(grep -c '"trees": 0' "$W/gc"):" 0:
	kept=$(sed -n 's/.*"kept_in_use": \([0-9]*\).*/\1/p' "$W/gc")
	[ "${kept:-0}" -ge 1 ] && ok 'gc keeps what is in use' ||
		not_ok "$who: gc keeps what is in use: $(cat "$W/gc")"
	exec 8>&-
	wait $job
	is "$who: and the job ends well" "$?:$(cat "$W/job")" '0:started
page'
	is "$who: gc keeps the image" "$(DUET_LIBEXEC=$W/nothing build; cat "$W/err")" "$id"
	as "$who" "$DUET" gc --store "$store" >"$W/gc"
	has "$who: afterwards that goes too" "$(cat "$W/gc")" 'kept 0 in use'
	is_sound "$who: after gc" "$who" "$store"
	flip "$id"
	as "$who" "$DUET" gc --store "$store" --all >"$W/gc"
	is "$who: gc --all leaves nothing" "$(find "$store"/v1/{trees,steps,images,blobs} -type f)" ''
}

# A byte that changes in a file of a tree while all that stat tells stays the same.
flip() {
	file=$(find "$store"/v1/trees/*/*/tree -path '*/etc/app/conf' | head -n 1)
	time=$(stat -c %y "$file")
	printf X | dd of="$file" bs=1 seek=1 conv=notrunc status=none
	touch -d "$time" "$file"
	as "$who" "$DUET" store check --store "$store" >"$W/out" 2>&1
	is "$who: a flipped byte: exit code" $? 1
	has "$who: it is named" "$(cat "$W/out")" 'etc/app/conf'
	is "$who: the next build heals" "$(build)" "$1"
	is "$who: the content is right again" "$(run cat /etc/app/conf)" conf
	is_sound "$who: after healing" "$who" "$store"
	blob=$(find "$store/v1/blobs" -type f | head -n 1)
	[ -n "$blob" ] || return
	chmod u+w "$blob"
	printf X | dd of="$blob" bs=1 seek=9 conv=notrunc status=none
	as "$who" "$DUET" store check --store "$store" >"$W/out" 2>&1
	is "$who: a flipped byte of a blob" "$?:$(grep -c 'blob .*digest differs' "$W/out")" 1:1
}

# An archive from a TLS server of this test.
https() {
	command -v openssl >/dev/null || {
		echo 'openssl is not installed: no https'
		return
	}
	certificate server
	mkdir -p "$W/served"
	echo "$who" >"$P/input/share/who"
	pack "$P/input" "$W/served/tool.tar.gz"
	(cd "$W/served" && exec $PYTHON "$SRC/tests/run/tls_server.py" "$W/server.crt" "$W/server.key") \
		>"$W/port" 2>"$W/served.log" &
	server=$!
	wait_for "$W/port"
	url=https://127.0.0.1:$(cat "$W/port")/tool.tar.gz
	sum=$(sha256sum "$W/served/tool.tar.gz")
	over "    - archive: $url" "      sha256: ${sum%% *}"
	build >/dev/null
	is "$who: https: an unknown authority: exit code" $? 1
	has "$who: https: and it is said" "$(cat "$W/err")" 'error[fetch.failed]'
	export SSL_CERT_FILE=$W/server.crt
	chmod a+w "$P" # for duet.lock
	id=$(build)
	is "$who: https: what is told" "$(cat "$W/err")" "fetch tool.tar.gz
archive tool.tar.gz to /"
	is "$who: https: no progress off a terminal" "$(tr -dc '\r\033' <"$W/err" | wc -c)" 0
	over "    - archive: $W/served/tool.tar.gz"
	is "$who: https: as from a file" "$(build)" "$id"
	over "    - archive: $url" "      sha256: ${sum%% *}" '      to: /opt'
	build >/dev/null
	is "$who: https: fetched once" "$(grep -c 'GET /tool' "$W/served.log")" 1
	over "    - archive: $url" "      sha256: $zeros"
	before=$(published)
	build >/dev/null
	is "$who: https: a wrong sha256" "$?:$(grep -c 'error\[fetch.digest\]' "$W/err")" 1:1
	is "$who: https: the store is unchanged" "$(published)" "$before"
	kill $server
	wait $server 2>/dev/null
	over "    - archive: $url" "      sha256: ${sum%% *}"
	is "$who: https: nothing is asked when it is known" "$(build)" "$id"
	unset SSL_CERT_FILE
}

mkfifo "$W/fifo"
chmod 666 "$W/fifo"
everybody=
for who in $(all_users); do
	user_folders "$who" || continue
	make_project "$P"
	for part in archives copies sources again identity implied whiteouts https house; do
		$part
	done
	no_leftovers "$who" "$store"
done
finish
