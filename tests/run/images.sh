#!/bin/bash
# Images of one spec that take from each other: in which order they are built, side by side, errors of
# theirs, kills in the middle, gc.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99

build() {
	as "$who" "$DUET" build --store "$store" -f "$P/duet.yaml" 2>"$W/err"
}

images() {
	as "$who" "$DUET" images --store "$store" | awk 'NR > 1 { print $1 }' | xargs
}

# All that the topmost layer of the store's last image has in /o.
holds() {
	cat "$store"/v1/trees/*/*/tree/o/"$1"
}

make_project() {
	mkdir -p "$P"
	for name in one two three; do
		mkdir -p "$P/$name"
		echo "$name" >"$P/$name/$name"
	done
	chmod -R a+rX "$P"
}

# base, two that take from it, and an image that takes from both
diamond() {
	rm -rf "$store"/v1
	cat >"$P/duet.yaml" <<-'END'
		duet: 1
		name: diamond
		images:
		  left: {from: {image: base}, steps: [{copy: one, to: /left}]}
		  right:
		    from: scratch
		    steps: [{copy: '/b/*', from: base, to: /right/}, {copy: two, to: /right/two/}]
		  base: {from: scratch, steps: [{copy: three, to: /b}]}
		  unused: {from: scratch, steps: [{copy: one, to: /unused}]}
		image:
		  from: scratch
		  steps:
		    - {copy: [/left, /b/three], from: left, to: /o/}
		    - {copy: '/right/**', from: right, to: /o/}
	END
	id=$(build)
	is "$who: diamond: it is built" $? 0
	is "$who: diamond: what comes from where" "$(holds one; holds two; holds three)" 'one
two
three
three'
	is "$who: diamond: what is told, line by line" "$(sort "$W/err" | grep -v ' from ')" \
		'base: copy three to /b
left: copy one to /left
right: copy two to /right/two/'
	is "$who: diamond: what nobody needs is not built" "$(images)" \
		'diamond diamond/base diamond/left diamond/right'
	is "$who: diamond: again" "$(build; cat "$W/err")" "$id"
	as "$who" "$DUET" gc --store "$store" >"$W/gc"
	mkdir -p "$W/nothing"
	sleep 2.1
	build >/dev/null
	is "$who: diamond: gc keeps all of them" "$(DUET_LIBEXEC=$W/nothing build; cat "$W/err")" "$id"
	# what lies over another layer now is laid out anew, the other images are there
	sed -i 's,to: /left}\],to: /left/deep}],' "$P/duet.yaml"
	build >/dev/null
	is "$who: diamond: a change in one" "$(cat "$W/err")" 'copy one to /left/deep
copy left, ... from left to /o/
copy ** from right to /o/'
	is_sound "$who: diamond" "$who" "$store"
}

# each takes from the one before
chain() {
	rm -rf "$store"/v1
	{
		printf '%s\n' 'duet: 1' 'name: chain' 'images:' '  s0: {from: scratch, steps: [{copy: one, to: /f}]}'
		for number in $(seq 20); do
			echo "  s$number: {from: scratch, steps: [{copy: /f, from: s$((number - 1)), to: /f}]}"
		done
		printf '%s\n' 'image: {from: scratch, steps: [{copy: /f, from: s20, to: /o}]}'
	} >"$P/duet.yaml"
	id=$(build) || cat "$W/err"
	is "$who: chain: to the end" "$(holds one)" one
	is "$who: chain: all are there" "$(images | wc -w)" 22
	is "$who: chain: again" "$(build; cat "$W/err")" "$id"
	echo more >"$P/one/more"
	chmod a+r "$P/one/more"
	other=$(build)
	[ "$id" != "$other" ] && ok 'a change at the start' || not_ok "$who: chain: a change at the start"
	rm "$P/one/more"
	is "$who: chain: and back" "$(build)" "$id"
}

fails() {
	rm -rf "$store"/v1
	cat >"$P/duet.yaml" <<-'END'
		duet: 1
		name: broken
		images:
		  good: {from: scratch, steps: [{copy: one, to: /f}]}
		  bad:
		    from: scratch
		    steps:
		      - {copy: /nowhere, from: good, to: /x}
		  later: {from: scratch, steps: [{copy: /x, from: bad, to: /f}]}
		image:
		  from: scratch
		  steps: [{copy: /f, from: good, to: /o}, {copy: /f, from: later, to: /o}]
	END
	build >"$W/out"
	is "$who: a stage fails" "$?:$(cat "$W/out")" 2:
	has "$who: its place and words come whole" "$(cat "$W/err")" "duet.yaml:8:9: error[spec.missing]: \
build bad: copy nowhere from good to /x: /nowhere: it is not in the image"
	is "$who: what was built stays, nothing later is begun" "$(images)" 'broken/good'
	is "$who: tmp is empty" "$(ls "$store/v1/tmp")" ''
	as "$who" "$DUET" gc --store "$store" >/dev/null
	is_sound "$who: after a failure" "$who" "$store"
}

kills() {
	mkdir -p "$P/much"
	for file in $(seq 200); do
		head -c 30000 /dev/urandom >"$P/much/$file"
	done
	chmod -R a+rX "$P/much"
	cat >"$P/duet.yaml" <<-'END'
		duet: 1
		name: killed
		images:
		  a: {from: scratch, steps: [{copy: much, to: /a}]}
		  b: {from: scratch, steps: [{copy: much, to: /b}]}
		  c: {from: {image: a}, steps: [{copy: /b, from: b, to: /c}]}
		image: {from: scratch, steps: [{copy: /c, from: c, to: /o}, {copy: /b, from: b, to: /p}]}
	END
	rm -rf "$store"/v1
	id=$(build)
	for tenths in 05 15 3; do
		rm -rf "$store"/v1
		as "$who" "$DUET" build --store "$store" -f "$P/duet.yaml" >"$W/out" 2>&1 &
		job=$!
		# with another user there is a shell around it
		until victim=$(pgrep -o -f "^$DUET build --store $store "); do
			sleep 0.01
		done
		sleep 0.$tenths
		kill -9 "$victim" 2>/dev/null
		wait $job 2>/dev/null
		soon_none "$who: killed after 0.$tenths s: no process is left" pgrep -f "$store"
		is "$who: killed after 0.$tenths s: the next build" "$(build)" "$id"
		is "$who: killed after 0.$tenths s: tmp is empty" "$(ls "$store/v1/tmp")" ''
		is_sound "$who: killed after 0.$tenths s" "$who" "$store"
	done
}

for who in $(all_users); do
	user_folders "$who" || continue
	make_project
	for part in diamond chain fails kills; do
		$part
	done
	no_leftovers "$who" "$store"
done
finish
