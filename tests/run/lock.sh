#!/bin/bash
# duet.lock: written by the first build, the same bytes each time; what --locked and --frozen refuse;
# what `duet lock --check` sees and --update takes. Archives over https, images of a real registry, a
# Debian suite; those that cannot be here are left out, and that is said.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
# shellcheck source=tests/run/registry_lib.sh
. "${srcdir:-.}/tests/run/registry_lib.sh" || exit 99
need openssl
small_root
P=$W/project
S=$W/store
mkdir -p "$P" "$W/served"
chmod 755 "$P"
servers=

clean_up_more() {
	registry_stop
	for server in $servers; do
		kill "$server" 2>/dev/null
	done
}

# spec LINE...: the lines below `image:`
spec() {
	printf '%s\n' 'duet: 1' 'name: locked' 'image:' "$@" 'target: {command: [cat, /hello]}' \
		>"$P/duet.yaml"
}

# duet WORD...: in the project; $code and $err
duet() {
	"$DUET" "$1" --store "$S" -C "$P" "${@:2}" >"$W/out" 2>"$W/err" </dev/null
	code=$?
	err=$(cat "$W/err")
	out=$(cat "$W/out")
}

# fails NAME WHAT WORD...
fails() {
	duet "${@:3}"
	is "$1: exit code" $code 1
	has "$1: the cause" "$err" "$2"
}

# works NAME WORD...
works() {
	duet "${@:2}"
	is "$1: exit code ($err)" $code 0
}

mark() {
	stat -c '%i %y' "$P/duet.lock"
}

# ---- archives -------------------------------------------------------------------------------------

certificate server
export SSL_CERT_FILE=$W/server.crt
mkdir "$W/tool"
echo hello >"$W/tool/hello"
pack "$W/tool" "$W/served/tool.tar.gz"
sum=$(sha256sum "$W/served/tool.tar.gz")
sum=${sum%% *}
(cd "$W/served" && exec "$PYTHON" "$SRC/tests/run/tls_server.py" "$W/server.crt" "$W/server.key") \
	>"$W/port" 2>"$W/served.log" &
servers="$servers $!"
wait_for "$W/port"
url=https://127.0.0.1:$(cat "$W/port")/tool.tar.gz

spec "  from: {directory: $SMALL}"
works 'nothing from outside' build
is 'nothing from outside: no lock' "$(ls -A "$P")" duet.yaml
works 'nothing from outside, locked' build --frozen

archive_spec() {
	spec "  from: {directory: $SMALL}" "  steps: [{archive: \"$url\", sha256: $sum, to: /}]"
}
archive_spec
fails 'locked without a lock' "has no entry for archive $url" build --locked
has 'locked without a lock: the mend' "$err" 'run `duet build` or `duet lock`'
is 'locked without a lock: nothing is written' "$(ls -A "$P")" duet.yaml
works plan plan
is 'a plan writes no lock' "$(ls -A "$P")" duet.yaml
if unshare -m sh -c "mount --bind '$P' '$P' && mount -o remount,ro,bind '$P'" 2>/dev/null; then
	got=$(unshare -m sh -c 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" &&
		exec "$0" lock --store "$2" -C "$1"' "$DUET" "$P" "$W/store-ro" 2>&1)
	is 'duet lock where nothing can be written: exit code' $? 1
	has 'duet lock where nothing can be written' "$got" 'error['
	has 'duet lock where nothing can be written: why' "$got" 'Read-only file system'
fi
works 'the first build' build
id=$out
is 'the first build: what is locked' "$(sed -n '/archives/,$p' "$P/duet.lock")" "  \"archives\": {
    \"$url\": {
      \"sha256\": \"$sum\",
      \"bytes\": $(stat -c %s "$W/served/tool.tar.gz")
    }
  }
}"
is 'the mode' "$(stat -c %a "$P/duet.lock")" 644
before=$(mark)
works 'the second build' build
is 'the second build: the lock is not written again' "$(mark)" "$before"
cp "$P/duet.lock" "$W/kept.lock"
rm "$P/duet.lock"
works 'a lock that was lost' build
is 'a lock that was lost: the same bytes' "$(cmp "$P/duet.lock" "$W/kept.lock" 2>&1)" ''
rm "$P/duet.lock"
works 'duet lock' lock
is 'duet lock: the same bytes' "$(cmp "$P/duet.lock" "$W/kept.lock" 2>&1)" ''
S=$W/store-second
rm "$P/duet.lock"
works 'duet lock in an empty store' lock
is 'duet lock in an empty store: the same bytes' "$(cmp "$P/duet.lock" "$W/kept.lock" 2>&1)" ''
is 'duet lock in an empty store: nothing was built' "$(ls "$S/v1/images" 2>/dev/null)" ''
S=$W/store
works locked build --locked
is 'locked: the same image' "$out" "$id"
works 'run --locked' run --locked
is 'run --locked: it runs' "$out" hello
if [ "$(id -u)" = 0 ]; then
	got=$(unshare -n "$DUET" build --frozen --store "$S" -C "$P" 2>"$W/err")
	is 'frozen, without a network: the same image' "$got" "$id"
fi
S=$W/store-third
fails 'frozen in an empty store' "archive tool.tar.gz sha256:$sum is not in the store; it would come from $url" \
	build --frozen
S=$W/store
works 'lock --check' lock --check
is 'lock --check: nothing to tell' "$out" ''

# images that are built side by side, each by a process of its own
echo second >"$W/tool/hello"
pack "$W/tool" "$W/served/second.tar.gz"
other=$(sha256sum "$W/served/second.tar.gz")
printf '%s\n' 'duet: 1' 'name: locked' 'images:' \
	"  one: {from: {archive: \"$url\", sha256: $sum}}" \
	"  two: {from: {archive: \"${url%/*}/second.tar.gz\", sha256: ${other%% *}}}" 'image:' \
	"  from: {directory: $SMALL}" \
	'  steps: [{copy: /hello, from: one, to: /one}, {copy: /hello, from: two, to: /two}]' >"$P/duet.yaml"
rm "$P/duet.lock"
S=$W/store-beside
works 'side by side' build
is 'side by side: both are locked' "$(grep -c '"bytes"' "$P/duet.lock")" 2
works 'side by side, locked' build --locked
S=$W/store
cp "$W/kept.lock" "$P/duet.lock"
archive_spec

# what the lock says is believed only as far as it holds
sed "s/\"bytes\": [0-9]*/\"bytes\": 9/" "$W/kept.lock" >"$P/duet.lock"
fails 'another size, locked' "would change: change archive $url" build --locked
S=$W/store-third
fails 'another size, fetched' 'fetch.' build
S=$W/store
sed 's/"sha256"/"sha512"/' "$W/kept.lock" >"$P/duet.lock"
fails 'an unknown member' "archives: $url: sha512: this duet does not know such a member" build
sed 's/"version": 1/"version": 7/' "$W/kept.lock" >"$P/duet.lock"
fails 'an unknown version' 'version: it is 7' build
sed 's/"plan": ".*"/"plan": "duet-plan-0"/' "$W/kept.lock" >"$P/duet.lock"
before=$(mark)
works 'formats of another duet' build
has 'formats of another duet: a note' "$err" 'note: duet.lock was written by a duet of other formats'
is 'formats of another duet: left alone' "$(mark)" "$before"
fails 'formats of another duet, locked' 'of other formats: duet-plan-0' build --locked
works 'duet lock takes it over' lock
is 'duet lock takes it over: the same bytes' "$(cmp "$P/duet.lock" "$W/kept.lock" 2>&1)" ''
fails 'update of what is not there' 'has no entry `tool`' lock --update tool
has 'update of what is not there: what there is' "$err" "it has \`$url\`"
works 'update of all' lock --update
is 'update of all: the same bytes' "$(cmp "$P/duet.lock" "$W/kept.lock" 2>&1)" ''

# a source that serves something else now
cp "$W/served/tool.tar.gz" "$W/first.tar.gz"
echo other >"$W/tool/hello"
pack "$W/tool" "$W/served/tool.tar.gz"
fails 'lock --check of another archive' '' lock --check
has 'lock --check of another archive: the drift' "$out" "archive $url: "
works 'the locked one is in the store' build --locked
is 'the locked one is in the store: the same image' "$out" "$id"

# other names, links, and folders that cannot be written
mv "$P/duet.yaml" "$P/web.yaml"
works 'another name of the spec' build -f web.yaml
is 'another name of the spec: its lock' "$(cmp "$P/web.lock" "$W/kept.lock" 2>&1)" ''
mv "$P/web.yaml" "$P/duet.yaml"
rm "$P/web.lock" "$P/duet.lock"
mkfifo "$P/duet.lock"
fails 'a fifo as the lock' 'duet.lock' build
rm "$P/duet.lock"
if [ "$(id -u)" = 0 ] && make_user one; then
	sum=$(sha256sum "$W/served/tool.tar.gz")
	spec "  from: {archive: \"$url\", sha256: ${sum%% *}}"
	as one "$DUET" build --store "$W/home-one/store" -C "$P" >"$W/out" 2>"$W/err"
	has 'a folder of others: a warning' "$(cat "$W/err")" 'the lock is not kept: '
	is 'a folder of others: nothing is left' "$(ls -A "$P")" duet.yaml
	sum=$(sha256sum "$W/first.tar.gz")
	sum=${sum%% *}
	archive_spec
fi
works 'written again' build
spec "  from: {directory: $SMALL}"
fails 'an entry too many, locked' "would change: drop archive $url" build --locked
works 'an entry too many' build
is 'an entry too many: it is gone' "$(grep -c tool "$P/duet.lock")" 0
rm "$P/duet.lock"

# ---- twice the same -------------------------------------------------------------------------------

# twice NAME WORD...: what --check-reproducible says; the store is left as it was
twice() {
	duet build --check-reproducible "${@:2}"
	is "$1: nothing is left" "$(ls -A "$S/v1/tmp")" ''
}

# differs NAME WHAT
differs() {
	twice "$1"
	is "$1: exit code" $code 1
	has "$1: the difference" "$err" "error[build.differs]: build locked twice: $2"
	is "$1: no id" "$out" ''
}

mkdir "$P/site"
echo one >"$P/site/index"
spec "  from: {directory: $SMALL}" '  steps:' '    - {copy: ./site, to: /srv}' \
	"    - {archive: \"$url\", sha256: $(sha256sum <"$W/served/tool.tar.gz" | cut -d ' ' -f 1), to: /opt}" \
	'    - run: umask; mkdir /made; echo "$TZ$LC_ALL$HOME" >/made/file; touch /made/other'
: >"$W/served.log"
twice 'twice the same'
is "twice the same: exit code ($err)" $code 0
has 'twice the same: what was varied' "$err" "umask, time zone, locale, home, the folder's spelling, the host's ids"
is 'twice the same: fetched once' "$(grep -c 'GET /tool' "$W/served.log")" 1
id=$out
works 'twice the same: a build' build
is 'twice the same: its id' "$out" "$id"
rm -f "$P/duet.lock"
spec '  from: scratch' '  steps:' '    - {copy: ., to: /all}' \
	"    - {archive: \"$url\", sha256: $(sha256sum <"$W/served/tool.tar.gz" | cut -d ' ' -f 1), to: /opt}"
works 'a copy of the whole folder' build
id=$out
[ -s "$P/duet.lock" ] && ok || not_ok 'a copy of the whole folder: no lock was written'
works 'a copy of the whole folder, with the lock there' build
is 'the lock is no part of it' "$out" "$id"
echo '!duet.lock' >"$P/.duetignore"
works 'a rule takes it back' build
has 'a rule takes it back' "$(duet export --format tar - && tar -tf "$W/out")" 'all/duet.lock'
rm "$P/.duetignore"
spec "  from: {directory: $SMALL}" '  steps: [{run: cat /proc/uptime >/up}]'
differs 'a step that looks at the clock' 'layer 2 of 2: up: content is '
spec "  from: {directory: $SMALL}" '  steps: [{run: "read -r up _ </proc/uptime; mkdir /at-$up"}]'
differs 'a step that makes other names' 'layer 2 of 2: at-'
if [ "$(id -u)" = 0 ]; then
	spec "  from: {directory: $SMALL}" '  steps: [{run: cat /proc/self/uid_map >/map}]'
	differs 'a step that looks at the ids of the host' 'layer 2 of 2: map: content is '
fi
spec "  from: {directory: $SMALL}" '  config: {environment: {HERE: "${HOME}"}}'
differs 'a config by the environment' "config: is \"HERE=$HOME\", then \"HERE="
spec "  from: {directory: $SMALL}" '  steps: [{copy: ./site, to: /srv}]'
(
	until compgen -G "$S/v1/tmp/*/first/v1/images/locked" >/dev/null || [ $SECONDS -gt 600 ]; do
		:
	done
	echo two >"$P/site/index"
) &
differs 'a file that changes in between' 'layer 2 of 2: srv/index: content is '
wait $!
spec "  from: {directory: $SMALL}" '  steps: [{run: "false"}]'
twice 'a step that fails'
is 'a step that fails: exit code' $code 1
has 'a step that fails: said so' "$err" 'the first build of locked failed'
rm -f "$P/duet.lock"

# ---- images of a registry -------------------------------------------------------------------------

# push TEXT: what web:1 has in /hello from now on
push() {
	rm -rf "$W/layout"
	umoci init --layout "$W/layout" && umoci new --image "$W/layout:t" &&
		echo "$1" >"$SMALL/hello" && umoci insert --rootless --image "$W/layout:t" "$SMALL" / &&
		skopeo copy -q --dest-tls-verify=false "oci:$W/layout:t" "docker://$host/team/web:1"
	rm -f "$SMALL/hello"
}

images() {
	registry_start web
	registry_allow
	host=$REGISTRY
	push first >"$W/push.log" 2>&1 || {
		echo "images: left out: $(tail -n 1 "$W/push.log")"
		return
	}
	spec "  from: $host/team/web:1"
	works 'image: the first build' build
	id=$out
	has 'image: it is locked' "$(cat "$P/duet.lock")" "\"$host/team/web:1 linux/"
	cp "$P/duet.lock" "$W/kept.lock"
	works 'image: lock --check' lock --check
	push second >"$W/push.log" 2>&1
	works 'image: the tag moved: a build' build
	is 'image: the tag moved: a build keeps the old one' "$out" "$id"
	S=$W/store-images
	works 'image: the tag moved: locked, in an empty store' build --locked
	is 'image: the tag moved: locked, in an empty store: the old one' "$out" "$id"
	works 'image: the tag moved: it runs' run --locked
	is 'image: the tag moved: what was in it' "$out" first
	fails 'image: the tag moved: lock --check' '' lock --check
	has 'image: the tag moved: the drift' "$out" "image $host/team/web:1 linux/"
	has 'image: the tag moved: what is locked' "$out" \
		"locked is $(sed -n 's/.*"manifest": "\(.*\)",/\1/p' "$P/duet.lock")"
	is 'image: lock --check writes nothing' "$(cmp "$P/duet.lock" "$W/kept.lock" 2>&1)" ''
	works 'image: lock --update' lock --update "$host/team/web"
	works 'image: updated: it runs' run --locked
	is 'image: updated: what is in it' "$out" second
	works 'image: updated: lock --check' lock --check
	first=$(sed -n 's/.*"manifest": "\(.*\)",/\1/p' "$W/kept.lock")
	spec "  from: $host/team/web:1@$first"
	fails 'image: a digest in the spec that is not the locked one: locked' 'names another digest of' \
		build --locked
	works 'image: a digest in the spec that is not the locked one' build
	is 'image: the digest in the spec is what is built' "$out" "$id"
	has 'image: and what is locked' "$(cat "$P/duet.lock")" "\"manifest\": \"$first\""
	spec "  from: $host/team/web:1" '  platform: linux/arm64'
	fails 'image: known already, for another platform' 'not for linux/arm64' build
	spec "  from: $host/team/web:1"
	works 'image: without a digest again' lock --update "$host/team/web"
	S=$W/store-bare
	works 'image: a store' build --locked
	rm -f "$S"/v1/images/*
	works 'image: that has no layers any more' gc
	fails 'image: frozen, the layers gone' " is not in the store; it would come from $host/team/web:1" \
		build --frozen
	works 'image: and with the network' build --locked
	S=$W/store-images
	registry_stop
	works 'image: frozen, the registry gone' build --frozen
	S=$W/store-empty
	fails 'image: frozen, an empty store' "$host/team/web" build --frozen
	has 'image: frozen, an empty store: its digest' "$err" \
		"$(sed -n 's/.*"manifest": "\(.*\)",/\1/p' "$P/duet.lock")"
	S=$W/store
}

missing=$(missing docker-registry umoci skopeo curl)
if [ -n "$missing" ]; then
	echo "images: left out: $missing is not installed"
else
	images
fi
rm -f "$P/duet.lock"

# ---- Debian ---------------------------------------------------------------------------------------

# moved FILE: as if the archive had had another apt when it was locked
moved() {
	"$PYTHON" - "$1" <<-'END'
		import hashlib, json, sys
		lock = json.load(open(sys.argv[1]))
		for entry in lock["debian"].values():
		    entry["packages"] = sorted(line.replace("apt 2", "apt 1", 1) if line.startswith("apt 2")
		                               else line for line in entry["packages"])
		    text = "".join(line + "\n" for line in entry["packages"])
		    entry["list"] = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
		open(sys.argv[1], "w").write(json.dumps(lock, indent=2) + "\n")
	END
}

debian() {
	spec "  from: {debian: bookworm, mirror: \"$mirror\"}"
	works 'debian: the first build' build
	id=$out
	made=$(grep -c 'InRelease$' "$W/asked")
	has 'debian: the packages are locked' "$(cat "$P/duet.lock")" '"base-files '
	is 'debian: and all of them' "$(grep -cE '^ *"[^ ]+ [^ ]+ (amd64|all) [0-9a-f]{64}",?$' "$P/duet.lock")" \
		"$("$DUET" run --store "$S" -C "$P" -- sh -c 'dpkg-query -f "x\n" -W | grep -c x' </dev/null 2>/dev/null)"
	works 'debian: the second build' build
	works 'debian: locked' build --locked
	is 'debian: the same image' "$out" "$id"
	is 'debian: nothing was asked again' "$(grep -c 'InRelease$' "$W/asked")" "$made"
	cp "$P/duet.lock" "$W/kept.lock"
	rm "$P/duet.lock"
	works 'debian: a lock that was lost' build
	is 'debian: a lock that was lost: the same bytes' "$(cmp "$P/duet.lock" "$W/kept.lock" 2>&1)" ''
	is 'debian: a lock that was lost: nothing was asked' "$(grep -c 'InRelease$' "$W/asked")" "$made"
	works 'debian: lock --check' lock --check
	if [ "$(id -u)" = 0 ]; then
		got=$(unshare -n "$DUET" build --frozen --store "$S" -C "$P" 2>"$W/err")
		is 'debian: frozen, without a network' "$got" "$id"
	fi
	store=$S
	S=$W/store-debian
	fails 'debian: frozen in an empty store' "debian bookworm $(sed -n 's/.*"list": "\(.*\)",/\1/p' \
		"$P/duet.lock") is not in the store; it would come from $mirror" build --frozen
	S=$store
	moved "$P/duet.lock"
	fails 'debian: the archive moved on' 'the archive has moved on: it gives apt 2' build --locked
	has 'debian: the archive moved on: what is locked' "$err" 'locked is apt 1'
	has 'debian: the archive moved on: the mend' "$err" 'duet lock --update debian'
	works 'debian: lock --update' lock --update debian
	is 'debian: lock --update: as it was' "$(cmp "$P/duet.lock" "$W/kept.lock" 2>&1)" ''
	works 'debian: updated' build --locked
	is 'debian: updated: the same image' "$out" "$id"
	twice 'debian: twice the same'
	is "debian: twice the same: exit code ($err)" $code 0
	is 'debian: twice the same: its id' "$out" "$id"
	[ -n "${DUET_SOAK-}" ] || return 0
	for example in "$SRC"/examples/*/; do
		rm -rf "$P"
		cp -r "$example" "$P"
		DUET_DEBIAN_MIRROR=$mirror twice "$example"
		is "$example: exit code ($err)" $code 0
	done
}

upstream=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\?\([a-z]*:[^ ]*\) bookworm main.*/\2/p' \
	/etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
if ! command -v mmdebstrap >/dev/null || ! command -v gpgv >/dev/null || [ -z "$upstream" ] ||
	! curl -fsS -o /dev/null "$upstream/dists/bookworm/InRelease" 2>/dev/null; then
	echo 'debian: left out: mmdebstrap, gpgv, curl or a mirror is missing'
else
	"$PYTHON" "$SRC/tests/run/mirror.py" "$upstream" "$W/asked" "$W/cut" >"$W/mirror-port" 2>"$W/mirror.log" &
	servers="$servers $!"
	wait_for "$W/mirror-port"
	mirror=http://127.0.0.1:$(cat "$W/mirror-port")/debian
	debian
fi
no_leftovers "$([ "$(id -u)" = 0 ] && echo root || echo self)" "$S"
finish
