#!/bin/bash
# duet init: a first spec; and Dockerfiles whose images are built by duet, from the spec that it makes
# of them, and by buildah: the same files with the same modes and owners, the same config.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh"
mkdir "$W/first"
cd "$W/first" || exit 99
"$DUET" init 2>"$W/err"
is 'a first spec' "$? $(cat "$W/err")" '0 '
is 'it is valid' "$("$DUET" check 2>&1)" 'duet: note: duet.yaml is a valid spec'
has 'it has the name of the folder' "$(cat duet.yaml)" 'name: first'
before=$(cat duet.yaml)
"$DUET" init 2>"$W/err"
is 'it is not written over' "$? $(cat duet.yaml)" "2 $before"
has 'and says so' "$(cat "$W/err")" 'error[usage]: make duet.yaml: File exists'
ln -s nowhere link.yaml
"$DUET" init -f link.yaml 2>/dev/null
is 'a link is not followed' "$? $(ls)" "2 duet.yaml
link.yaml"
"$DUET" init -f other.yaml --from missing 2>"$W/err"
has 'a Dockerfile that is not there' "$? $(cat "$W/err")" '1 duet: error[host.system]: open missing'

for tool in buildah busybox; do
	command -v $tool >/dev/null || {
		echo "$tool is not installed: nothing to compare with"
		finish
	}
done
[ "$(id -u)" = 0 ] || finish
P=$W/web
mkdir -p "$P/site/sub" "$P/conf"
cd "$P" || exit 99
cp "$(command -v busybox)" busybox
echo a >site/a.html
echo b >site/sub/b.html
echo c >conf/c.conf
echo d >conf/d.conf
chmod 755 site site/sub conf busybox
chmod 644 site/*.html site/sub/*.html
chmod 644 conf/*
tar -C conf --owner=7 --group=8 -czf more.tar.gz d.conf
buildah() {
	command buildah --root "$W/buildah" --runroot "$W/buildah-run" --storage-driver vfs "$@"
}

clean_up_more() {
	[ -z "${mounted-}" ] || buildah umount "$mounted" >/dev/null
}

cat >"$W/config.py" <<'END'
"""What an image's config says: buildah's inspect, or a record of duet's store, made alike."""
import json, sys
text = open(sys.argv[1]).read()
if text.startswith("duet-image"):
    text = text[text.index("{"):text.rindex("}") + 1]
config = json.loads(text)
config = config.get("OCIv1", config).get("config", {})
labels = {k: v for k, v in (config.get("Labels") or {}).items() if not k.startswith("io.buildah")}
ports = sorted(p if "/" in p else p + "/tcp" for p in config.get("ExposedPorts") or {})
# buildah writes the usual PATH into every image, duet gives it to every job
usual = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
environment = sorted(e for e in config.get("Env") or [] if e != usual)
for key, value in (("env", environment), ("user", config.get("User") or ""),
                   ("workdir", (config.get("WorkingDir") or "/")),
                   ("entrypoint", config.get("Entrypoint") or []), ("cmd", config.get("Cmd") or []),
                   ("labels", sorted(labels.items())), ("ports", ports),
                   ("volumes", sorted(config.get("Volumes") or {})),
                   ("stop", config.get("StopSignal") or "")):
    print(key, value)
END
# files alone, and none that each run makes: who owns the folders above them is not said by a Dockerfile
list='./bin/busybox find bin etc srv ! -type d ! -path etc/hosts ! -path etc/machine-id | ./bin/busybox sort | while read -r f; do
	./bin/busybox stat -c "%n %F %a %u:%g %s" "$f"; done'

# same NAME: the Dockerfile here
same() {
	rm -f duet.yaml
	"$DUET" init --from Dockerfile 2>"$W/err"
	is "$1: nothing is lost" "$? $(cat "$W/err")" '0 '
	"$DUET" build --store "$W/store" >"$W/out" 2>"$W/err" || cat "$W/err"
	buildah bud --isolation chroot -t "localhost/$1" . >"$W/buildah.log" 2>&1 || cat "$W/buildah.log"
	buildah inspect --type image "localhost/$1" >"$W/theirs.json"
	is "$1: the same config" "$($PYTHON "$W/config.py" "$W/store/v1/images/web")" \
		"$($PYTHON "$W/config.py" "$W/theirs.json")"
	# the list is made by a command, which an entrypoint would swallow
	grep -q '^ENTRYPOINT' Dockerfile && return
	mounted=$(buildah from "localhost/$1")
	root=$(buildah mount "$mounted")
	(cd "$root" && ./bin/busybox sh -c "$list") >"$W/theirs"
	"$DUET" run -q --store "$W/store" -- /bin/busybox sh -c "cd / && $list" >"$W/ours" 2>&1 </dev/null
	is "$1: the same files" "$(cat "$W/ours")" "$(cat "$W/theirs")"
	has "$1: there are files" "$(cat "$W/theirs")" 'bin/busybox regular file 755 0:0'
	buildah umount "$mounted" >/dev/null
	mounted=
}

cat >Dockerfile <<'END'
FROM scratch
COPY busybox /bin/
COPY conf /etc/conf
COPY --chown=5:6 --chmod=640 conf/c.conf /etc/more/
WORKDIR /srv/www
COPY site .
COPY site/a.html sub/c.html
ADD more.tar.gz /etc/added/
ENV A=1 B="two words" C=$A
ENV A=3 PRICE='5$'
LABEL one=1 org.example.two="a b"
EXPOSE 80 53/udp
VOLUME /srv/data
STOPSIGNAL SIGQUIT
CMD ["/bin/busybox", "cat", "a b"]
END
same whole

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
same stages

cat >Dockerfile <<'END'
FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
WORKDIR /srv
COPY conf/d.conf /etc/
ENTRYPOINT exec busybox
CMD echo shell form
END
same shell
finish
