#!/bin/bash
# Caches of run steps: whose they are (the project's, or of those that share them by name and leave), what
# of them gets into layers and to whom, and who waits for whom, also for the other locks of a store.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
small_tools="$small_tools mkfifo touch"
small_root
pack "$SMALL" "$W/root.tar.zst"
touch -d '1 hour ago' "$W/root.tar.zst"

# spec PROJECT LINES: steps over the small root
spec() {
	mkdir -p "$1"
	printf '%s\n' 'duet: 1' 'name: cached' 'image:' "  from: {archive: $W/root.tar.zst}" '  steps:' \
		"${@:2}" >"$1/duet.yaml"
}

# build PROJECT OPTIONS: what its commands print is in $W/err
build() {
	as "$who" "$DUET" build --store "$store" -f "$1/duet.yaml" "${@:2}" 2>"$W/err" >/dev/null
}

# run PROJECT FILE: a file of the image that was built last
run() {
	as "$who" "$DUET" run --store "$store" -f "$1/duet.yaml" "${@:3}" -- cat "$2" </dev/null 2>"$W/err"
}

# ---- whose a cache is --------------------------------------------------------------------------

two_projects() {
	row B15 check "one project's step poisons another's"
	spec "$P/a" '    - run: echo evil >/c/tool' '      cache: [/c]'
	spec "$P/b" '    - run: "cat /c/tool; true"' '      cache: [/c]'
	build "$P/a"
	is "$who: the first writes to its cache" $? 0
	build "$P/b"
	is "$who: the second: exit code" $? 0
	is "$who: the second has one of its own" "$(grep -c evil "$W/err")" 0
	build "$P/b" --no-cache
	is "$who: also another time" "$(grep -c evil "$W/err")" 0
	# the same step in both: a layer of the one's cache is not taken for the other
	spec "$P/a" '    - run: cat /c/tool >/out; true' '      cache: [/c]'
	build "$P/a"
	is "$who: the first has it in its layer" "$(run "$P/a" /out)" evil
	spec "$P/b" '    - run: cat /c/tool >/out; true' '      cache: [/c]'
	build "$P/b"
	is "$who: the second has not" "$(run "$P/b" /out)" ''
	build "$P/a"
	is "$who: the first's is found again" "$(grep -c '^run' "$W/err")" 0
	is "$who: and is what it was" "$(run "$P/a" /out)" evil
	# by way of a stage of the same name and plan
	for project in a b; do
		spec "$P/$project" '    - copy: /out' '      from: stage' '      to: /' 'images:' '  stage:' \
			"    from: {archive: $W/root.tar.zst}" \
			'    steps: [{run: "cat /c/tool >/out; echo >>/out", cache: [/c]}]'
		build "$P/$project"
	done
	is "$who: nor out of a stage" "$(run "$P/b" /out)" ''
	# control: what is shared by name, with leave, gets across
	spec "$P/a" '    - run: echo evil >/c/tool' '      cache: [{path: /c, share: tools}]'
	spec "$P/b" '    - run: cat /c/tool' '      cache: [{path: /c, share: tools}]'
	build "$P/a" --allow caches=tools
	is "$who: shared: the first" $? 0
	build "$P/b" --allow caches
	grep -q '^evil' "$W/err"
	control_if $? 'the same two with share and leave: the second sees what the first wrote'
	row
}

# A secret is no part of a key either.
two_secrets() {
	for project in a b; do
		spec "$P/$project" '    - run: cat /run/secrets/s >/out' '      secrets: [s]'
		printf '%s\n' 'secrets: {s: {file: ./s}}' >>"$P/$project/duet.yaml"
		echo "of $project" >"$P/$project/s"
		build "$P/$project"
		is "$who: $project has the layer of its own secret" "$(run "$P/$project" /out)" "of $project"
	done
}

moved() {
	spec "$P/m" '    - run: ls /c; touch /c/there' '      cache: [/c]'
	build "$P/m"
	build "$P/m" --no-cache
	is "$who: a project has its cache again" "$(grep -c '^there' "$W/err")" 1
	ln -sfn m "$P/link"
	build "$P/link" --no-cache
	is "$who: also by a link to it" "$(grep -c '^there' "$W/err")" 1
	cp -r "$P/m" "$P/copied"
	build "$P/copied"
	is "$who: a copy has not, and its step is run" "$(grep -c '^there' "$W/err"):$(grep -c '^run' "$W/err")" 0:1
	mv "$P/m" "$P/moved"
	build "$P/moved"
	is "$who: nor has a moved one" "$(grep -c '^there' "$W/err"):$(grep -c '^run' "$W/err")" 0:1
	# the folder becomes a link to another project: that one's spec, and that one's cache
	ln -sfn copied "$P/m"
	build "$P/m" --no-cache
	is "$who: a folder that became a link" "$(grep -c '^there' "$W/err")" 1
	rm "$P/m" "$P/link"
}

# A name that leads to two projects in turn: text and folder are of the same one.
swapped() {
	for project in x y; do
		mkdir -p "$P/$project"
		touch "$P/$project/only-$project"
		printf '%s\n' 'duet: 1' 'name: s' "image: {from: scratch, steps: [{copy: ./only-$project, to: /f}]}" \
			>"$P/$project/duet.yaml"
	done
	ln -sfn x "$P/now"
	ln -sfn y "$P/then"
	mkfifo "$W/stop"
	$PYTHON "$SRC/tests/run/swap.py" "$P/now" "$P/then" <"$W/stop" >"$W/swapping" 2>&1 &
	swapper=$!
	exec 5>"$W/stop"
	wait_for "$W/swapping"
	mixed=0
	for _ in $(seq 300); do
		as "$who" "$DUET" plan --store "$store" -f "$P/now/duet.yaml" >/dev/null 2>"$W/err" || mixed=$((mixed + 1))
	done
	exec 5>&-
	wait $swapper
	is "$who: both were there, exchanged" $? 0
	rm "$W/stop"
	is "$who: a spec is read in the folder that it speaks for" "$mixed" 0
	rm "$P/now" "$P/then"
}

shares() {
	spec "$P/a" '    - run: touch /before' '    - run: echo shared >/c/file' \
		'      cache: [/d, {path: /c, share: tools}]'
	build "$P/a"
	is "$who: shared without leave: exit code" $? 1
	has "$who: place and cause" "$(cat "$W/err")" \
		"duet.yaml:8:19: error[allow.missing]: reaches outside the project: cache /c shared as tools"
	has "$who: the word that would do" "$(cat "$W/err")" "--allow 'caches=tools'"
	is "$who: nothing was built before" "$(grep -c '^run' "$W/err")" 0
	as "$who" "$DUET" run --explain --store "$store" -f "$P/a/duet.yaml" </dev/null >/dev/null 2>"$W/err"
	is "$who: nor is it run to explain something" "$?:$(grep -c 'allow.missing' "$W/err")" 125:1
	for word in caches=tool caches=toolss caches=other mounts seccomp; do
		build "$P/a" --allow "$word"
		is "$who: --allow $word is not it" $? 1
	done
	for word in caches=tools/x caches= caches=../tools caches=; do
		build "$P/a" --allow "$word"
		has "$who: --allow $word means nothing" "$(cat "$W/err")" 'is nothing that can be allowed'
	done
	has "$who: plan lists it" "$(as "$who" "$DUET" plan --store "$store" -f "$P/a/duet.yaml")" \
		'
  cache /c shared as tools'
	has "$who: plan lists it, as JSON" "$(as "$who" "$DUET" plan --json --store "$store" -f "$P/a/duet.yaml")" \
		'cache /c shared as tools'
	build "$P/a" --allow mounts,caches=tools
	is "$who: with leave" $? 0
	as "$who" "$DUET" build --check-reproducible --allow caches=tools --store "$store" -f "$P/a/duet.yaml" \
		>/dev/null 2>"$W/err"
	is "$who: with leave, twice" $? 0
	echo "allow: [\"paths=$W\", caches=tools]" >"$W/config/duet/config.yaml"
	build "$P/a"
	is "$who: with leave by the file" $? 0
	config
	# name and path together are a cache; the project's own at the same path is another
	spec "$P/b" '    - run: cat /e/file' '      cache: [{path: /e, share: tools}]'
	build "$P/b" --allow all
	has "$who: shared at another path: another cache" "$(cat "$W/err")" 'No such file'
	spec "$P/a" '    - run: cat /c/file' '      cache: [/c]'
	build "$P/a" --no-cache
	has "$who: the project's own at that path" "$(cat "$W/err")" 'No such file'
	# in a stage
	spec "$P/b" '    - copy: /x' '      from: stage' '      to: /' 'images:' '  stage:' \
		"    from: {archive: $W/root.tar.zst}" \
		'    steps: [{run: "cat /c/file; touch /x", cache: [{path: /c, share: tools}]}]'
	has "$who: plan lists a stage's" "$(as "$who" "$DUET" plan --store "$store" -f "$P/b/duet.yaml")" \
		'  cache /c shared as tools'
	build "$P/b"
	is "$who: a stage takes leave, too" "$?:$(grep -c 'allow.missing' "$W/err")" 1:1
	build "$P/b" --allow caches=tools
	has "$who: a stage with leave" "$(cat "$W/err")" 'shared'
}

# Caches under the hash of their path alone, as an older duet kept them.
old_ones() {
	map=$(ls "$store/v1/caches")
	hex=$(printf /c | sha256sum | cut -c 1-64)
	for name in "$hex" "${hex%??}00"; do
		as "$who" mkdir -p "$store/v1/caches/$map/$name/data"
		as "$who" touch "$store/v1/caches/$map/$name/ok"
	done
	echo evil >"$store/v1/caches/$map/$hex/data/old"
	find "$store/v1/caches/$map/${hex%??}00/ok" -exec touch -d '31 days ago' {} +
	spec "$P/o" '    - run: ls /c; true' '      cache: [/c]'
	build "$P/o"
	is "$who: nobody has an old cache" "$(grep -c '^old' "$W/err")" 0
	as "$who" "$DUET" gc --store "$store" >/dev/null
	is "$who: gc takes one that is unused for long" \
		"$(ls -d "$store/v1/caches/$map/"{"$hex","${hex%??}00"} 2>/dev/null)" "$store/v1/caches/$map/$hex"
	as "$who" "$DUET" gc --all --store "$store" >/dev/null
	is "$who: gc --all takes all" "$(ls "$store/v1/caches/$map")" ''
}

# ---- who waits for whom ------------------------------------------------------------------------

# start NAME COMMAND...: in the background, with the signals of a terminal; its pid is in $store/NAME.pid,
# its errors in $W/NAME.err, its job in $job
start() {
	rm -f "$store/$1.pid"
	: >"$W/$1.err" # here, not when the job comes to it: what the last one said is not to be taken for its word
	as "$who" env --default-signal=INT,QUIT,HUP,TERM sh -c 'echo $$ >"$1"; shift; exec "$@"' sh \
		"$store/$1.pid" "${@:2}" </dev/null >/dev/null 2>>"$W/$1.err" &
	job=$!
}

# waits NAME WHAT: until it says that it waits
waits() {
	for _ in $(seq 600); do
		[ ! -s "$W/$1.err" ] && kill -0 $job 2>/dev/null || break
		sleep 0.05
	done
	has "$who: $1 says what it waits for" "$(cat "$W/$1.err")" "duet: note: waiting for $2: process "
}

# killed NAME: each signal ends a process that waits, and nothing of it remains. start_it starts it.
killed() {
	for signal in INT:130 TERM:143 HUP:129; do
		before=$(own_processes | sort; ls "$store/v1/tmp")
		start_it
		waits "$1" "$2"
		kill -"${signal%:*}" "$(cat "$store/$1.pid")"
		wait $job
		is "$who: $1 ends on ${signal%:*}" $? "${signal#*:}"
		is "$who: $1, ${signal%:*}: it said so once" "$(grep -c waiting "$W/$1.err")" 1
		is "$who: $1, ${signal%:*}: nothing is left" "$(own_processes | sort; ls "$store/v1/tmp")" "$before"
	done
}

# hold FILE: a lock on it, held until `let_go`
hold() {
	rm -f "$W/gate" "$W/held"
	mkfifo "$W/gate"
	flock "$1" sh -c 'echo held >"$1"; cat "$2"' sh "$W/held" "$W/gate" &
	holder=$!
	wait_for "$W/held"
}

let_go() {
	: >"$W/gate"
	wait $holder
}

wait_for_cache() {
	spec "$P/w" '    - run: rm -f /c/gate; mkfifo /c/gate; echo up >/c/up; cat /c/gate' '      cache: [/c]'
	start first "$DUET" build --no-cache --store "$store" -f "$P/w/duet.yaml"
	first=$job
	up=
	for _ in $(seq 200); do
		up=$(find "$store/v1/caches" -name up -size +0 2>/dev/null)
		[ -z "$up" ] || break
		kill -0 $first 2>/dev/null || break
		sleep 0.05
	done
	[ -n "$up" ] || {
		not_ok "$who: the first build does not come up: $(cat "$W/first.err")"
		return
	}
	start_it() {
		start second "$DUET" build --no-cache --store "$store" -f "$P/w/duet.yaml"
	}
	killed second 'the cache /c'
	has "$who: second: it names the one that has it" "$(cat "$W/second.err")" \
		"process $(cat "$store/first.pid") (duet) uses it"
	# two that wait, and each has its turn
	start_it
	second=$job
	waits second 'the cache /c'
	# another project's has nothing to wait for
	spec "$P/v" '    - run: touch /c/x' '      cache: [/c]'
	build "$P/v"
	is "$who: another project does not wait" "$?:$(grep -c waiting "$W/err")" 0:0
	rm -f "$up"
	: >"${up%/up}/gate"
	wait $first
	is "$who: the first ends" $? 0
	wait_for "$up"
	: >"${up%/up}/gate"
	wait $second
	is "$who: the second has its turn" $? 0
	is "$who: it said so once" "$(grep -c waiting "$W/second.err")" 1
	rm -f "${up%/up}/gate"
}

wait_for_store() {
	hold "$store/v1/lock"
	start_it() {
		start images "$DUET" images --store "$store"
	}
	killed images "the store $store/v1"
	has "$who: images: for whom it waits" "$(cat "$W/images.err")" "process $holder (flock) uses it"
	start_it
	waits images "the store $store/v1"
	let_go
	wait $job
	is "$who: images: it goes on" $? 0
}

wait_for_logins() {
	as "$who" mkdir -p "$store/logins"
	hold "$store/logins"
	start_it() {
		start login env REGISTRY_AUTH_FILE="$store/logins/auth.json" sh -c \
			'echo secret | exec "$@"' sh "$DUET" login --no-verify --password-stdin -u me host.example
	}
	start_it
	waits login "the logins in $store/logins"
	has "$who: login: for whom it waits" "$(cat "$W/login.err")" "process $holder (flock) uses it"
	let_go
	wait $job
	is "$who: login: it goes on" $? 0
}

for who in $(all_users); do
	user_folders "$who" || continue
	two_projects
	two_secrets
	moved
	shares
	wait_for_cache
	wait_for_store
	wait_for_logins
	old_ones
	[ "$who" = one ] || swapped
	no_leftovers "$who" "$store"
	is_sound "$who" "$who" "$store"
done
finish
