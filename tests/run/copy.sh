#!/bin/bash
# The copy step: patterns, several sources, .duetignore, out of other images of the spec; what it
# remembers; that it stays in its folder (B9) and gives everybody the same bytes (B13).
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99

# spec LINES: what stands below `steps` of an image from scratch
spec() {
	printf '%s\n' 'duet: 1' 'name: copied' 'image:' '  from: scratch' '  steps:' "$@" >"$P/duet.yaml"
}

build() {
	as "$who" "$DUET" build --store "$store" -f "$P/duet.yaml" 2>"$W/err"
}

# What the steps LINES give: names of the topmost layer, folders with a slash.
gives() {
	rm -rf "$store"/v1
	spec "$@"
	build >/dev/null || {
		cat "$W/err"
		return
	}
	for tree in "$store"/v1/trees/*/*/tree; do
		find "$tree" -mindepth 1 -type d -printf '%P/\n' -o -mindepth 1 -printf '%P\n'
	done | LC_ALL=C sort -u | tr '\n' ' '
}

# refused NAME WHAT LINES: a failure, WHAT in the message with a place, nothing in the store
refused() {
	name=$1 what=$2
	shift 2
	rm -rf "$store"/v1
	spec "$@"
	build >/dev/null
	is "$who: $name: exit code" "$(case $? in 1 | 2) echo failed ;; *) echo $? ;; esac)" failed
	has "$who: $name: why" "$(cat "$W/err")" "$what"
	has "$who: $name: where" "$(cat "$W/err")" "duet.yaml:"
	is "$who: $name: nothing is left" "$(find "$store/v1/blobs" "$store/v1/trees" "$store/v1/tmp" \
		-type f 2>/dev/null)" ''
}

make_project() {
	mkdir -p "$P/src/sub/deep" "$P/site/img" "$P/empty" "$P/one" "$P/two"
	for file in a.c b.c b.h .hidden.c sub/c.c sub/deep/d.c; do
		echo "$file" >"$P/src/$file"
	done
	echo page >"$P/site/index"
	echo dot >"$P/site/img/dot"
	echo obj >"$P/site/x.o"
	ln -s index "$P/site/link"
	echo 1 >"$P/one/both"
	echo 2 >"$P/two/both"
	echo 1 >"$P/one/first"
	touch "$P/a b" "$P/[x]" "$P/star*"
	find "$P" -type d -exec chmod 755 {} +
	find "$P" -type f -exec chmod 644 {} +
}

patterns() {
	is "$who: a pattern" "$(gives '    - copy: "src/*.c"' '      to: /o/')" 'o/ o/a.c o/b.c '
	is "$who: hidden files are named" "$(gives '    - copy: "src/.*.c"' '      to: /o/')" \
		'o/ o/.hidden.c '
	is "$who: ? and []" "$(gives '    - copy: "src/[ab].?"' '      to: /o/')" 'o/ o/a.c o/b.c o/b.h '
	is "$who: any depth" "$(gives '    - copy: "src/**/*.c"' '      to: /o/')" \
		'o/ o/a.c o/b.c o/c.c o/d.c '
	is "$who: depth in the middle" "$(gives '    - copy: "**/deep/*"' '      to: /o/')" 'o/ o/d.c '
	is "$who: of a folder what is in it" "$(gives '    - copy: "src/s*"' '      to: /o/')" \
		'o/ o/c.c o/deep/ o/deep/d.c '
	is "$who: a backslash" "$(gives '    - copy: ["\\[x\\]", "star\\*", "a b"]' '      to: /o/')" \
		'o/ o/[x] o/a b o/star* '
	is "$who: several" "$(gives '    - copy: [src/a.c, site]' '      to: /o/')" \
		'o/ o/a.c o/img/ o/img/dot o/index o/link o/x.o '
	is "$who: an empty folder" "$(gives '    - copy: ./empty' '      to: /o')" 'o/ '
	gives '    - copy: [one, two]' '      to: /o/' >/dev/null
	is "$who: the last one stays" "$(cat "$store"/v1/trees/*/*/tree/o/both)" 2
	gives '    - copy: [two, one]' '      to: /o/' >/dev/null
	is "$who: in the order of the spec" "$(cat "$store"/v1/trees/*/*/tree/o/both)" 1
	refused 'no match' 'nothing*: nothing matches' '    - copy: "nothing*"' '      to: /o/'
	refused 'no match among others' 'src/no*: nothing matches' '    - copy: [site, "src/no*"]' \
		'      to: /o/'
	mkdir -p "$P/clash/both"
	chmod 755 "$P/clash" "$P/clash/both"
	refused 'a file over a folder' 'lands where another source' \
		'    - copy: [one, clash]' '      to: /o/'
	rm -r "$P/clash"
	for lines in '    - copy: "src/*"' '    - copy: [one, two]'; do
		refused 'no folder to land in' 'write to: /o/' "$lines" '      to: /o'
	done
	mkfifo "$P/src/fifo"
	refused 'a fifo' 'fifo' '    - copy: src' '      to: /o'
	rm "$P/src/fifo"
	touch "$P/src/.wh.b.c"
	refused 'a name that would be a whiteout (T13)' '.wh.' '    - copy: src' '      to: /o'
	rm "$P/src/.wh.b.c"
}

ignores() {
	printf '%s\n' '# objects' '**/*.o' 'src/sub/' '!src/sub/c.c' '.duetignore' >"$P/.duetignore"
	is "$who: ignored" "$(gives '    - copy: site' '      to: /o')" 'o/ o/img/ o/img/dot o/index o/link '
	is "$who: taken back, with its folder" "$(gives '    - copy: src' '      to: /o')" \
		'o/ o/.hidden.c o/a.c o/b.c o/b.h o/sub/ o/sub/c.c '
	is "$who: for patterns too" "$(gives '    - copy: "site/*"' '      to: /o/')" \
		'o/ o/dot o/index o/link '
	refused 'a source that is ignored' 'leaves it out' '    - copy: site/x.o' '      to: /o'
	refused 'all matches are ignored' 'nothing matches' '    - copy: "site/*.o"' '      to: /o/'
	printf '%s\n' '*' '!index' '!x.o' >"$P/site/.duetignore"
	is "$who: and the folder's own" "$(gives '    - copy: site' '      to: /o')" 'o/ o/index o/x.o '
	mkdir -p "$P/whole/.git"
	touch "$P/whole/duet.yaml" "$P/whole/duet.lock" "$P/whole/.git/HEAD"
	chmod -R a+rX "$P/whole"
	is "$who: nothing is ignored unless named" "$(gives '    - copy: whole' '      to: /o')" \
		'o/ o/.git/ o/.git/HEAD o/duet.lock o/duet.yaml '
	rm -r "$P/whole"
	printf 'a\n../b\n' >"$P/.duetignore"
	rm -rf "$store"/v1
	spec '    - copy: site' '      to: /o'
	build >/dev/null
	has "$who: a bad rule has a place" "$(cat "$W/err")" ".duetignore:2:1: error[spec.value]"
	rm "$P/.duetignore" "$P/site/.duetignore"
}

# From one image of the spec into another: $1 are the lines of the copy.
between() {
	rm -rf "$store"/v1
	cat >"$P/duet.yaml"
	build >/dev/null || {
		cat "$W/err"
		return
	}
	for tree in "$store"/v1/trees/*/*/tree; do
		[ ! -d "$tree/o" ] || (cd "$tree" && find o -printf '%p %U:%G %m %l\n')
	done | LC_ALL=C sort | sed 's/ $//'
}

# What uid 0 and 33 inside are on this host for $who.
outside() {
	case $who in
	root) echo $((1879048192 + $1)) ;;
	one) id -u "duet-one-$$" ;;
	self) id -u ;;
	many) if [ "$1" = 0 ]; then
			id -u "duet-many-$$"
		else
			echo $(($(sed -n "s/^duet-many-$$:\([0-9]*\):.*/\1/p" /etc/subuid) + $1 - 1))
		fi ;;
	esac
}

images() {
	rm -rf "$W/up"
	mkdir -p "$W/up/data/site" "$W/up/data/src/sub/deep"
	touch "$W/up/data/site/.wh.x.o" "$W/up/data/src/sub/deep/.wh..wh..opq"
	pack "$W/up" "$P/up.tar"
	chmod 644 "$P/up.tar"
	base="duet: 1
name: copied
images:
  base:
    from: scratch
    steps:
      - {copy: ./site, to: /data/site, owner: '33:33', mode: 0640}
      - {copy: ./src, to: /data/src}
      - {archive: ./up.tar}
      - {copy: ./links, to: /}
image:
  from: scratch
  steps:"
	mkdir -p "$P/links"
	ln -sfn /data/site "$P/links/abs"
	ln -sfn ../../../../data/site/index "$P/links/up"
	ln -sfn /etc "$P/links/host"
	chmod 755 "$P/links"
	root=$(outside 0) www=$(outside 33)
	# a user's gid is not his uid
	gids() {
		sed 's/:[0-9]* / /'
	}
	is "$who: from: owners and modes are kept, what is hidden is not there" "$(between <<-END | gids
		$base
		    - {copy: /data/site, from: base, to: /o}
		END
	)" "o $root 755
o/img $www 750
o/img/dot $www 640
o/index $www 640
o/link $www 777 index"
	is "$who: from: links to what is named are followed inside" "$(between <<-END | gids
		$base
		    - {copy: [/up, 'abs/im*', '/data/**/[cd].c'], from: base, to: /o/, owner: 0}
		END
	)" "o $root 755
o/c.c $root 644
o/dot $root 640
o/up $root 640"
	between >"$W/out" <<-END
		$base
		    - {copy: /host/passwd, from: base, to: /o/}
		END
	has "$who: from: a link cannot leave the image" "$(cat "$W/out")" \
		'/host/passwd: it is not in the image'
	between >"$W/out" <<-END
		$base
		    - {copy: '/data/site/*.o', from: base, to: /o/}
		END
	has "$who: from: nothing matches" "$(cat "$W/out")" '/data/site/*.o: nothing matches'
	rm -r "$P/links" "$P/up.tar"
}

remembers() {
	spec '    - copy: "src/**"' '      to: /o/' '    - copy: [site, one]' '      to: /p/'
	sleep 2.1
	build >/dev/null
	mkdir -p "$W/nothing"
	is "$who: nothing changed: no worker is started" \
		"$(DUET_LIBEXEC=$W/nothing build | wc -l; cat "$W/err")" 1
	as "$who" "$DUET" gc --store "$store" >/dev/null
	is "$who: nor after a gc" "$(DUET_LIBEXEC=$W/nothing build | wc -l; cat "$W/err")" 1
	for change in 'touch site/index' 'chmod 755 site/index' 'touch src/new' 'rm src/new' \
		'ln -sfn x site/link' 'ln -sfn index site/link' 'chmod 644 site/index' \
		'echo "**/*.h" >.duetignore' 'rm .duetignore'; do
		(cd "$P" && eval "$change")
		DUET_LIBEXEC=$W/nothing build >/dev/null
		is "$who: $change: it is looked at again" $? 1
		build >/dev/null
		sleep 2.1
		build >/dev/null
	done
}

# B9: reads stay in the context
stays() {
	row B9 check 'what is copied stays in its folder: links, patterns, ignore files'
	local -x XDG_CONFIG_HOME=$W/no-config
	mkdir -p "$W/secret"
	echo "secret-$$" >"$W/secret/file"
	chmod -R a+rX "$W/secret"
	ln -sfn "$W/secret" "$P/out"
	ln -sfn ../../secret "$P/site/up"
	ln -sfn "$W/secret/file" "$P/file"
	refused 'through a link' 'reaches outside the project: copy out/file' '    - copy: out/file' '      to: /o'
	refused 'through a link below' 'reaches outside the project: copy site/up/file' '    - copy: site/up/file' '      to: /o'
	for pattern in 'out/*' 'site/up/*' 'ou*/file' '**/file/x'; do
		refused "the pattern $pattern" error "    - copy: \"$pattern\"" '      to: /o/'
	done
	# a link that stays inside is the user's own
	ln -sfn site "$P/inside"
	is "$who: a link inside is followed" "$(gives '    - copy: inside/index' '      to: /o')" 'o '
	is "$who: not by a pattern" "$(gives '    - copy: "**/index"' '      to: /o/')" 'o/ o/index '
	gives '    - copy: [file, site]' '      to: /o/' >"$W/out"
	is "$who: a link is copied as it is" "$(readlink "$store"/v1/trees/*/*/tree/o/file)" "$W/secret/file"
	is "$who: no byte of the host's is in the store" "$(grep -rl "secret-$$" "$store/v1/trees")" ''
	for folder in . site; do
		ln -sfn "$W/secret/file" "$P/$folder/.duetignore"
		refused "$folder/.duetignore is a link" '.duetignore: it is a symbolic link' \
			'    - copy: site' '      to: /o'
		rm "$P/$folder/.duetignore"
		mkfifo "$P/$folder/.duetignore"
		refused "$folder/.duetignore is a fifo" 'not a regular file' '    - copy: site' '      to: /o'
		rm "$P/$folder/.duetignore"
	done
	cp -rL "$P/out/file" "$W/copied" && grep -q "secret-$$" "$W/copied"
	control_if $? 'cp -L follows the link'
	rm "$P/out" "$P/site/up" "$P/file" "$P/inside" "$W/copied"
	row
}

# B13: the same bytes for everybody, however the folder came to be
reproduces() {
	row B13 check '20 runs with another umask, user, time zone, folder and order of making: one digest'
	digests=$W/digests controls=$W/controls
	touch "$digests" "$controls"
	for run in $(seq 20); do
		who=self
		[ "$(id -u)" != 0 ] || who=$(echo root many one | cut -d ' ' -f $((run % 3 + 1)))
		P=$W/made-$run store=$W/store-$run
		(
			umask "$(echo 022 077 002 | cut -d ' ' -f $((run % 3 + 1)))"
			mkdir -p "$P/in/x" "$P/in/y" "$store"
			for name in $(shuf -e a b c d e f g); do
				echo "$name" >"$P/in/$name"
				echo "$name" >"$P/in/x/$name"
				ln -s "$name" "$P/in/y/$name"
			done
			chmod u+x "$P/in/c"
		)
		touch -d "$((run * 100)) days ago" "$P/in/a"
		spec '    - copy: in' '      to: /all' '    - copy: ["in/[a-c]", "in/**/d"]' '      to: /some/'
		case $who in
		many | one) chown -R "duet-$who-$$" "$P" "$store" ;;
		esac
		TZ=$(echo UTC Asia/Tokyo America/Lima | cut -d ' ' -f $((run % 3 + 1))) build >>"$digests" ||
			cat "$W/err"
		find "$store/v1/blobs" -type f -printf '%f\n' | sort >>"$digests"
		tar -C "$P" -c in | sha256sum >>"$controls"
		rm -rf "$P" "$store"
	done
	is '20 runs give one image, two layers and one list of inputs' "$(sort "$digests" | uniq -c | awk '{ print $1 }' | xargs)" \
		'20 20 20 20'
	[ "$(sort -u "$controls" | wc -l)" -gt 1 ]
	control_if $? 'tar of the same folders: differing digests'
	row
}

# The same inputs through buildah's COPY: names, owners, modes.
as_buildah() {
	command -v buildah >/dev/null && [ "$(id -u)" = 0 ] || {
		echo 'no buildah, or not root: no comparison'
		return
	}
	who=root P=$W/compare store=$W/store-compare
	make_project
	printf '%s\n' '**/*.o' 'src/sub' '!src/sub/c.c' >"$P/.duetignore"
	cp "$P/.duetignore" "$P/.dockerignore"
	cat >"$P/Dockerfile" <<-'END'
		FROM scratch AS base
		COPY --chown=33:44 site /data/site
		COPY src/*.c site/i* /data/src/
		FROM scratch
		COPY site /o/site
		COPY one two /o/both/
		COPY --from=base /data/site /o/kept
		COPY --from=base --chown=7:8 /data/src /o/given
		COPY --from=base /data/src/*.c /data/site/index /o/some/
		COPY src /o/src
	END
	cat >"$P/duet.yaml" <<-'END'
		duet: 1
		name: compare
		images:
		  base:
		    from: scratch
		    steps:
		      - {copy: site, to: /data/site, owner: '33:44'}
		      - {copy: ['src/[ab].c', 'site/i*'], to: /data/src/}
		image:
		  from: scratch
		  steps:
		    - {copy: site, to: /o/site}
		    - {copy: [one, two], to: /o/both/}
		    - {copy: /data/site, from: base, to: /o/kept}
		    - {copy: /data/src, from: base, to: /o/given, owner: '7:8'}
		    - {copy: ['/data/src/*.c', /data/site/index], from: base, to: /o/some/}
		    - {copy: src, to: /o/src}
	END
	# its wildcards match hidden names, ours do not
	sed -i 's,COPY src/\*.c,COPY src/[ab].c,' "$P/Dockerfile"
	buildah --root "$W/ba" --runroot "$W/ba-run" --storage-driver vfs bud --isolation chroot \
		-t compare "$P" >"$W/buildah.log" 2>&1 || {
		echo "buildah cannot build here: $(tail -n 1 "$W/buildah.log")"
		return
	}
	buildah --root "$W/ba" --runroot "$W/ba-run" --storage-driver vfs push compare \
		"oci:$W/oci:compare" >>"$W/buildah.log" 2>&1
	theirs=$(find "$W"/ba/vfs/dir -path '*/o/src/a.c' | head -n 1)
	build >/dev/null || cat "$W/err"
	# one thing is different on purpose: a new folder at `to` is nobody's of the copy
	(cd "${theirs%/o/src/a.c}" && find o -printf '%p %U:%G %m %l\n') |
		sed 's,^o/given 7:8 ,o/given 0:0 ,' | LC_ALL=C sort -u >"$W/theirs"
	# the layers one over the other
	for tree in "$store"/v1/trees/*/*/tree; do
		[ ! -d "$tree/o" ] || (cd "$tree" && find o -printf '%p %U %G %m %l\n')
	done | awk '{ printf "%s %d:%d %s %s\n", $1, $2 - 1879048192, $3 - 1879048192, $4, $5 }' |
		LC_ALL=C sort -u >"$W/ours"
	is 'as with COPY: names, owners, modes' "$(cat "$W/ours")" "$(cat "$W/theirs")"
}

for who in $(all_users); do
	user_folders "$who" || continue
	make_project
	for part in patterns ignores images stays; do
		$part
	done
	[ "$who" != root ] && [ "$who" != self ] || remembers
	no_leftovers "$who" "$store"
done
reproduces
as_buildah
finish
