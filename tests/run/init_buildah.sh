#!/bin/bash
# Dockerfiles whose images are built by duet, from the spec that `duet init` makes of them, and by buildah:
# the same trees (paths, types, modes, owners, sizes, contents, targets, attributes; times left out) and the same
# configs. What differs by design is named where it is taken out of the comparison.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
# shellcheck source=tests/run/registry_lib.sh
. "${srcdir:-.}/tests/run/registry_lib.sh" || exit 99

need buildah busybox
[ "$(id -u)" = 0 ] || skip 'not root: buildah could not set owners'
[ -c /dev/net/tun ] || skip 'there is no /dev/net/tun, and a RUN has a network'
LIST=$BUILD/tests/run/lister
P=$W/web
S=$W/store
mkdir -p "$P"
cd "$P" || exit 99

buildah() {
	command buildah --root "$W/buildah" --runroot "$W/buildah-run" --storage-driver vfs "$@"
}

clean_up_more() {
	registry_stop
	[ -z "${mounted-}" ] || buildah umount "$mounted" >/dev/null
}

# ---- what there is to copy --------------------------------------------------------------------------

# A root of some tools: links, a folder for everybody, users with names.
make_root() {
	mkdir -p "$W/root/usr/bin" "$W/root/etc" "$W/root/tmp" "$W/root/root" "$W/root/usr/local/bin"
	ln -s usr/bin "$W/root/bin"
	cp "$(command -v busybox)" "$W/root/usr/bin/"
	for tool in cat chmod chown echo env grep id ln ls mkdir mknod mv pwd rm sh sort tar test touch; do
		ln -s busybox "$W/root/usr/bin/$tool"
	done
	chmod 1777 "$W/root/tmp"
	chmod 700 "$W/root/root"
	printf 'root:x:0:0:root:/root:/bin/sh\nweb:x:12:34:web:/srv:/bin/sh\n' >"$W/root/etc/passwd"
	printf 'root:x:0:\nweb:x:34:\nmore:x:35:web\n' >"$W/root/etc/group"
	pack "$W/root" root.tar
}

make_context() {
	mkdir -p site/sub conf parts
	echo a >site/a.html
	echo hidden >site/.hidden.html
	echo b >site/b.txt
	echo b >site/sub/b.html
	echo c >conf/c.conf
	echo d >conf/d.conf
	echo x >conf/x
	echo odd >'with blank'
	ln -s a.html site/link
	ln -s nowhere site/dangling
	tar -C conf --owner=7 --group=8 -czf parts/more.tar.gz d.conf
	tar -C conf --owner=0 --group=0 -cf parts/other.tar c.conf
	echo plain >parts/plain
	cp "$(command -v busybox)" .
	chmod -R u=rwX,go=rX .
	chmod 755 conf/x
}

# ---- the comparison ---------------------------------------------------------------------------------

# Places that only one of both writes, none of them the Dockerfile's: where a RUN gets its mounts.
# buildah leaves the mount points in the layer, duet takes them out again.
mounts='-dev -proc -sys -run -etc/hosts -etc/hostname -etc/resolv.conf'

# by_duet NAME: the spec of the Dockerfile here, and its image; what init said in $W/said
by_duet() {
	rm -f duet.yaml duet.lock
	"$DUET" init --from Dockerfile 2>"$W/said"
	"$DUET" build -q --store "$S" >/dev/null 2>"$W/err" && return
	not_ok "$1: $(cat "$W/err")"
	return 1
}

# list_duet NAME: its tree as $W/NAME.ours
list_duet() {
	"$DUET" export -q --format tar --store "$S" web "$W/root-ours.tar" 2>"$W/err" ||
		not_ok "$1: $(cat "$W/err")"
	rm -rf "$W/tree"
	mkdir "$W/tree"
	tar -C "$W/tree" --numeric-owner --xattrs --xattrs-include='*' -xpf "$W/root-ours.tar"
	# shellcheck disable=SC2086 # words on purpose
	"$LIST" "$W/tree" times $mounts >"$W/$1.ours"
}

# Docker's own format: OCI's has no SHELL.
by_buildah() {
	buildah bud --isolation chroot --format docker --tls-verify=false -t "localhost/$1" . >"$W/buildah.log" 2>&1 || {
		not_ok "$1: buildah: $(tail -n 3 "$W/buildah.log")"
		return 1
	}
	buildah inspect --type image "localhost/$1" >"$W/theirs.json"
}

list_buildah() {
	mounted=$(buildah from "localhost/$1")
	# shellcheck disable=SC2086 # words on purpose
	"$LIST" "$(buildah mount "$mounted")" times $mounts >"$W/$1.theirs"
	buildah umount "$mounted" >/dev/null
	mounted=
}

# The configs, as text.
of_duet() {
	$PYTHON "$SRC/tests/run/image_config.py" "$S/v1/images/web"
}

of_buildah() {
	$PYTHON "$SRC/tests/run/image_config.py" "$W/theirs.json"
}

# same NAME WHAT-INIT-SAYS ENTRIES [SED-SCRIPT WHY]...: the Dockerfile here; of theirs, what the scripts
# change is different by design. At least ENTRIES are compared.
same() {
	name=$1
	by_duet "$name" || return
	is "$name: what init says" "$(cat "$W/said")" "$2"
	by_buildah "$name" || return
	is "$name: the same config" "$(of_duet)" "$(of_buildah)"
	list_duet "$name"
	list_buildah "$name"
	entries=$3
	shift 3
	while [ $# -gt 0 ]; do
		[ -n "${2-}" ] || not_ok "$name: no reason for $1"
		sed "$1" "$W/$name.theirs" >"$W/changed"
		# what no longer differs is not to be named
		! cmp -s "$W/changed" "$W/$name.theirs" || not_ok "$name: nothing is different: $2"
		mv "$W/changed" "$W/$name.theirs"
		shift 2
	done
	is "$name: the same tree (< buildah, > duet)" "$(diff "$W/$name.theirs" "$W/$name.ours" | cut -c1-200)" ''
	is "$name: there is enough to compare" "$(($(wc -l <"$W/$name.theirs") >= entries))" 1
}

# has_entry NAME PATH REST: buildah's tree has it so; for what the comparison must not have lost
has_entry() {
	has "$1: $2" "$(grep -F "$2 " "$W/$1.theirs")" "$2 $3"
}

sha() {
	printf '%s\n' "$*" | sha256sum | cut -d ' ' -f 1
}

make_root
make_context

# ---- RUN --------------------------------------------------------------------------------------------

# HOSTNAME is buildah's own, and random. Its CMD and ENTRYPOINT do not go by SHELL, as Docker's and ours do: that
# they do is in tests/golden/dockerfile/shell.yaml.
cat >Dockerfile <<'END'
FROM scratch
ADD root.tar /
ARG GREETING=hi
ARG OTHER="a b"
ENV A=1 B="two words"
RUN echo "$A $B $GREETING $OTHER" >/words
RUN ["/bin/sh", "-c", "echo $0 \"$A\" '$B' >/exec-form", "zero"]
RUN [ "/bin/mkdir", "/exec form", "/it's" ]
WORKDIR /srv/deep
RUN pwd >where; umask >mask; echo "$(id -u):$(id -g)" >who; echo gone >gone
WORKDIR sub
RUN pwd >where && \
	# a comment between
	echo "$HOME" >home; \
	rm ../gone
USER 12:34
RUN echo "$(id -u):$(id -g)" >/tmp/numbers; echo "$HOME" >/tmp/home
USER web
RUN echo "$(id -un):$(id -gn)" >/tmp/names; umask 077; mkdir /tmp/private
USER root
ENV PATH=/opt/bin:$PATH A=2
ARG LATE=late-$A
RUN echo "$PATH $LATE" >/path; env | grep -v HOSTNAME= | sort >/environment
RUN mkdir -m 2755 /made && touch /made/x && ln -s ../etc /made/link && ln /made/x /made/hard && \
	chown 7:8 /made/x && chmod 4755 /made/x && mknod /made/fifo p && mkdir -m 1777 /made/all
RUN rm -r /made/link && mkdir /made/link && echo new >/made/link/file && mv /exec-form /moved
ARG A=argument
RUN echo "$A" >/who-wins
CMD last of all
SHELL ["/bin/sh", "-ec"]
RUN echo "$0 $-" >/by-shell
END
same run '' 50
has_entry run moved "100644 0:0 10 $(sha "zero 1 \$B")"
has_entry run tmp/names "100644 12:34 8 $(sha web:web)"
has_entry run who-wins "100644 0:0 2 $(sha 2)"

# What is in a cache is kept in the image by neither.
cat >Dockerfile <<'END'
FROM scratch
ADD root.tar /
RUN --mount=type=cache,target=/var/cache/x echo x >/var/cache/x/file && ls /var/cache/x >/listed
END
same cache '' 25 '/^var/d' 'the mount point of a cache goes, too'

# ---- COPY and ADD -----------------------------------------------------------------------------------

cat >Dockerfile <<'END'
FROM scratch AS base
ADD root.tar /
ARG WHO=5:6
ARG PLACE=/srv/some
COPY site/*.html /srv/html/
COPY site/?.txt conf/[cd].conf $PLACE/
COPY conf /etc/conf
COPY conf /etc/conf/again/
COPY conf/c.conf conf/d.conf /etc/two/
COPY --chown=$WHO --chmod=640 conf/c.conf /srv/html/owned
COPY --chown=9 conf/x /srv/html/one-id
COPY --chown=5:6 conf /etc/conf
COPY ["with blank", "/srv/with blank/"]
COPY conf/c.conf /srv/renamed
COPY site /srv/site
COPY s*e/sub /srv/sub
COPY */?.txt /srv/only
COPY conf/x /tmp
COPY conf/x /bin
COPY conf/x /usr/local/bin/renamed
ADD parts/more.tar.gz /etc/added/
ADD parts/more.tar.gz conf/x /etc/mixed/
ADD parts/* /etc/many/
ADD conf/c.conf /srv/as-copy
WORKDIR /srv/www
COPY site/a.html .
COPY site/b.txt ./
COPY site/b.txt sub/renamed
COPY conf/d.conf /srv/www
FROM base AS second
COPY --from=base /srv/html/a* /from/
COPY --from=0 /etc/conf/ /from/conf
COPY --from=base /srv/html/owned /from/kept
COPY --chown=1:2 --from=base /srv/html/owned /from/given
RUN rm /etc/added/d.conf && ls /srv >/list && ln -s ../etc/passwd /srv/link
FROM second AS third
COPY --from=second /srv/link /followed
FROM third
COPY --from=second /list /srv
COPY . /all
END
same copy '' 100
has_entry copy bin '120777 0:0 ->usr/bin'
has_entry copy usr/bin/x "100755 0:0 2 $(sha x)"
has_entry copy srv/html/.hidden.html "100644 0:0 7 $(sha hidden)"
has_entry copy etc/many/d.conf "100644 7:8 2 $(sha d)"

cat >Dockerfile <<'END'
FROM scratch
COPY busybox /bin/
COPY conf /etc/conf
COPY --chown=5:6 --chmod=640 conf/c.conf /etc/conf/
WORKDIR /srv/www
COPY site .
COPY site/a.html sub/c.html
ADD parts/more.tar.gz /etc/added/
ENV A=1 B="two words" C=$A
ENV A=3 PRICE='5$'
LABEL one=1 org.example.two="a b"
EXPOSE 80 53/udp
VOLUME /srv/data
STOPSIGNAL SIGQUIT
CMD ["/bin/busybox", "cat", "a b"]
END
same whole '' 15

# By design, each for its own reason; what init can know of it, it says.
mkdir modes
echo x >modes/secret
chmod 600 modes/secret
mkdir -m 700 modes/closed
cat >Dockerfile <<'END'
FROM scratch AS base
ADD root.tar /
COPY --chown=5:6 conf/c.conf /new/folder/
COPY modes /modes
COPY site/link /linked
WORKDIR /never/used
FROM base
RUN touch /etc/.d
FROM base
COPY --from=1 /etc/*d /taken/
END
rm -f site/dangling
same design 'duet: warning: Dockerfile:5: ./site/link: a symbolic link is copied as one, not what it leads to
duet: note: Dockerfile:10: /etc/*d: here it matches no name that begins with a "."' 30 \
	's,^\(new[^ .]* 040755\) 5:6,\1 0:0,' 'folders above a target belong to root, whoever owns what is copied' \
	's,^\(modes/secret\) 100600,\1 100644,; s,^\(modes/closed\) 040700,\1 040755,' \
	'the modes of the host do not count: its umask is not in the Dockerfile' \
	'/^taken\/\.d /d' 'wildcards match no hidden names, as in a shell' \
	's,^\(linked\) .*,\1 120777 0:0 ->a.html,' 'links are copied as they are' \
	'/^never/d' 'a WORKDIR that nothing goes into is made when the job starts'
is 'design: the WORKDIR of a job' "$("$DUET" run -q --store "$S" -- /bin/sh -c pwd 2>&1 </dev/null)" /never/used

# ---- .dockerignore ----------------------------------------------------------------------------------

rm -r modes
# with the same rules the same things are left out
cat >.dockerignore <<'END'
# a comment
*.tar
site/sub
**/*.conf
!conf/d.conf
?onf/x
/parts
.d*ignore
duet.lock
END
cat >Dockerfile <<'END'
FROM scratch
ADD root.tar /
COPY . /all
COPY site conf /some/
COPY conf/* /files/
END
sed -i '/^ADD/d' Dockerfile
"$DUET" init -f other.yaml --from Dockerfile 2>"$W/err"
is 'a .dockerignore is taken' "$? $(cat "$W/err")" '0 duet: note: copy steps go by .duetignore, which was made from .dockerignore'
is 'a .dockerignore is taken: its rules, and what duet writes' "$(cat .duetignore)" "$(cat .dockerignore)
# of duet
/.duetignore
/other.yaml
/other.lock"
rm other.yaml
same ignored '' 15
is 'ignored: what is left' "$(grep -c -e 'all/site/sub' -e c.conf -e /x -e parts -e root.tar "$W/ignored.theirs")" 0
has_entry ignored all/conf/d.conf "100644 0:0 2 $(sha d)"
rm .dockerignore .duetignore

# ---- configs ----------------------------------------------------------------------------------------

cat >Dockerfile <<'END'
FROM scratch
COPY busybox /bin/
ENV A=1 B="two words" C=$A D='$A' E=a\ b F="q\"uote" G=${A:+set} H=${NONE:-none}
ENV OLD form  of it
ENV A=3 PRICE='5$'
LABEL one=1 org.example.two="a b" dollar='$x' "three"='3' multi="a\
 b"
LABEL four four-old form
EXPOSE 80 53/udp 7000-7002/tcp
EXPOSE $A
VOLUME /srv/data
VOLUME ["/a b", "/c"]
STOPSIGNAL SIGQUIT
USER web:more
WORKDIR /x
WORKDIR $A/y/
CMD ["/bin/busybox", "cat", "a b", "$HOME", "\"", "\u00e9"]
END
same config '' 2 '/^x /d; /^x\//d' 'a WORKDIR that nothing goes into is made when the job starts'

# what each form becomes, in a stage and in one on top of it: ENTRYPOINT takes the CMD below away
forms='ENTRYPOINT ["/bin/busybox"]
ENTRYPOINT exec busybox "$A"
ENTRYPOINT []
CMD ["a", "b c"]
CMD echo "$A" && true
CMD []'
# as what lies below: two of them, in soak all
below_forms='ENTRYPOINT ["/bin/busybox"]
CMD ["a", "b c"]'
[ -z "${DUET_SOAK-}" ] || below_forms=$forms
number=0
while read -r below; do
	while read -r above; do
		number=$((number + 1))
		printf 'FROM scratch AS below\nCOPY busybox /bin/\nENV A=1\n%s\nFROM below\nENV B=${A}2\n%s\n' \
			"$below" "$above" >Dockerfile
		by_duet forms && by_buildah forms || continue
		is "$below, then $above: all of it is said" "$(cat "$W/said")" ''
		is "$below, then $above" "$(of_duet)" "$(of_buildah)"
	done <<<"$forms"
done <<<"$below_forms"
is 'pairs of forms' "$number" "$([ -z "${DUET_SOAK-}" ] && echo 12 || echo 36)"

# ---- stages -----------------------------------------------------------------------------------------

cat >Dockerfile <<'END'
FROM scratch AS base
COPY busybox /bin/
ENV A=1
WORKDIR /srv
CMD ["lost"]
FROM base
COPY site/a.html x
ENV A=${A}2 B=${NONE:-b}
USER 12:34
ENTRYPOINT ["/bin/busybox"]
END
same stages '' 4

cat >Dockerfile <<'END'
FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
WORKDIR /srv
COPY conf/d.conf /etc/
ENTRYPOINT exec busybox
CMD echo shell form
END
same shell '' 5 '/^srv/d' 'a WORKDIR that nothing goes into is made when the job starts'

# ---- a base image -----------------------------------------------------------------------------------

# What is in it is not known to init: it says what it takes it for.
of_registry() {
	tool=$(missing docker-registry curl)
	[ -z "$tool" ] || {
		echo "a base image: left out: $tool is not installed"
		return
	}
	registry_start base
	registry_allow
	cat >Dockerfile <<-'END'
		FROM scratch
		ADD root.tar /
		ENV PATH=/usr/local/bin:/usr/bin KEPT=yes
		LABEL below=yes
		EXPOSE 1
		WORKDIR /srv/below
		COPY conf/c.conf .
		USER web
		ENTRYPOINT ["/bin/echo"]
		CMD ["below"]
	END
	by_buildah base && buildah push -q --tls-verify=false localhost/base "docker://$REGISTRY/base:v1" >"$W/push.log" 2>&1 || {
		not_ok "buildah pushes no base: $(cat "$W/push.log")"
		return
	}
	printf 'FROM %s/base:v1
' "$REGISTRY" >Dockerfile
	cat >>Dockerfile <<-'END'
		RUN echo "$(id -un) $KEPT $PATH" >/tmp/inherited; pwd >/tmp/where
		COPY conf/d.conf /tmp
		COPY conf/d.conf /usr/local/bin
		COPY conf/d.conf /usr/local/bin/tool
		USER root
		ENV ADDED=1
		RUN echo "$(id -un) $ADDED" >/root/root
		WORKDIR /srv/above
		RUN pwd >where
		LABEL above=yes
		EXPOSE 2
		CMD ["above"]
	END
	same base "duet: note: Dockerfile:2: run as root: write a USER above it if the base image has one
duet: note: Dockerfile:5: /usr/local/bin/tool: taken for the name of a file; write /usr/local/bin/tool/ if it is a folder there" 30 \
		"s,^\\(tmp/where 100644\\) 12:34,\\1 0:0,; s,^tmp/inherited .*,tmp/inherited 100644 0:0 33 $(
			sha root yes /usr/local/bin:/usr/bin)," 'run steps are run as root unless they name a user'
	sed -i '2i USER web' Dockerfile
	same named "duet: note: Dockerfile:6: /usr/local/bin/tool: taken for the name of a file; write /usr/local/bin/tool/ if it is a folder there" 30
	has_entry named tmp/inherited "100644 12:34 32 $(sha web yes /usr/local/bin:/usr/bin)"
	printf 'FROM %s/base:v1\nENV PATH=/opt:$PATH\nWORKDIR below\n' "$REGISTRY" >Dockerfile
	by_duet paths
	is 'PATH and WORKDIR of the base image: named' "$(cat "$W/said")" 'duet: warning: Dockerfile:2: PATH of the base image: taken to be the usual one
duet: warning: Dockerfile:3: WORKDIR of the base image: taken to be /'
}
of_registry
finish
