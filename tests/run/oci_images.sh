#!/bin/bash
# Images from a real registry, made by umoci, buildah and skopeo: what a container and a VM of them show is
# what `umoci unpack` makes of them, entry by entry; nothing is fetched twice, and nothing is left.
#
#	oci_images.sh [NAME...]	these images alone
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
# shellcheck source=tests/run/registry_lib.sh
. "$SRC/tests/run/registry_lib.sh"

[ "$(id -u)" = 0 ] || skip 'not root: umoci and buildah could not set owners'
need docker-registry umoci buildah skopeo curl
vm_kernel
export XDG_DATA_HOME=$W/data STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot TMPDIR=$W
registry_start stored
registry_allow
strip -o "$W/list" "$BUILD/tests/run/lister" || exit 99
chmod 755 "$W/list"

# ---- the images -----------------------------------------------------------------------------------

copy() {
	skopeo copy -q "$@" || {
		not_ok "skopeo copy $*"
		exit 1
	}
}

# by_umoci NAME: its layers as they were made, in the layout $W/layout
by_umoci() {
	umoci new --image "$W/layout:$1" || exit 1
	for layer in "$W/layers/$1"/*.tar; do
		umoci raw add-layer --image "$W/layout:$1" --history.created 2024-01-02T03:04:05Z \
			"$layer" || exit 1
	done
	umoci config --image "$W/layout:$1" --config.cmd /list --config.cmd / \
		--created 2024-01-02T03:04:05Z || exit 1
}

# push NAME [OPTION OF SKOPEO...]
push() {
	name=$1
	shift
	copy --dest-tls-verify=false "$@" "oci:$W/layout:$name" "docker://$REGISTRY/$name:v1"
}

build() {
	buildah --root "$W/buildah" --runroot "$W/buildah.run" "$@" || {
		not_ok "buildah $*"
		exit 1
	}
}

# Docker's format from nothing; one over it in OCI's; an index of two platforms.
by_buildah() {
	below=$(build from scratch)
	build copy -q "$below" "$W/list" /list >/dev/null
	build copy -q --chown 33:34 --chmod 2711 "$below" "$W/layers/twice/01.tar" /srv/made/file >/dev/null
	build config --cmd '["/list", "/"]' --env A=below "$below"
	build commit -q --format docker --timestamp 1600000000 "$below" below >/dev/null
	above=$(build from localhost/below)
	build add -q "$above" "$W/layers/attributes/01.tar" / >/dev/null
	build config --env B=above --workingdir /srv "$above"
	build commit -q --timestamp 1600000001 "$above" above >/dev/null
	build config --arch arm64 "$above"
	build commit -q --timestamp 1600000001 "$above" other >/dev/null
	build push -q --tls-verify=false below "docker://$REGISTRY/below:v1"
	build push -q --tls-verify=false above "docker://$REGISTRY/above:v1"
	build manifest create both >/dev/null
	build manifest add both localhost/below >/dev/null
	build manifest add both localhost/other >/dev/null
	build manifest push -q --tls-verify=false --all both "docker://$REGISTRY/both:v1" >/dev/null
}

make_images() {
	$PYTHON "$SRC/tests/run/oci_images.py" "$W/layers" "$W/list" "$FILES" || exit 1
	umoci init --layout "$W/layout" || exit 1
	for name in $all; do
		[ ! -d "$W/layers/$name" ] || by_umoci "$name"
	done
	for name in $all; do
		case $name in
		docker | flips | opaque) push "$name" --format v2s2 ;;
		zstd | sixty)
			copy --dest-compress-format zstd "oci:$W/layout:$name" "oci:$W/zstd:$name"
			copy --dest-tls-verify=false --preserve-digests "oci:$W/zstd:$name" \
				"docker://$REGISTRY/$name:v1" ;;
		plain)
			copy --dest-decompress "oci:$W/layout:plain" "dir:$W/dir"
			copy --dest-oci-accept-uncompressed-layers "dir:$W/dir" "oci:$W/plain:plain"
			copy --dest-tls-verify=false --preserve-digests "oci:$W/plain:plain" \
				"docker://$REGISTRY/plain:v1" ;;
		below | above | both) ;;
		*) push "$name" ;;
		esac
	done
	by_buildah
}

# ---- what is expected of them ----------------------------------------------------------------------

# The runner's own: mount points and what it writes; and times that an unpacker makes up.
words() {
	printf '%s\n' -dev -proc -sys -run -tmp/duet =etc -etc/hosts -etc/hostname -etc/machine-id \
		-etc/resolv.conf
	[ ! -e "$W/layers/$1/times" ] || sed 's/^/=/' "$W/layers/$1/times"
}

# expected NAME [OPTION OF SKOPEO...]: what umoci makes of what the registry has, as a list
expected() {
	name=$1
	shift
	rm -rf "$W/bundle" "$W/again"
	# gzip: umoci knows no other
	copy --src-tls-verify=false --dest-compress-format gzip "$@" "docker://$REGISTRY/$name:v1" \
		"oci:$W/again:$name"
	umoci unpack --image "$W/again:$name" "$W/bundle" 2>"$W/umoci.log" || {
		cat "$W/umoci.log"
		exit 1
	}
	mapfile -t list_words < <(words "$name")
	"$W/list" "$W/bundle/rootfs" "${list_words[@]}"
	rm -rf "$W/bundle" "$W/again"
}

# ---- pulled and run ---------------------------------------------------------------------------------

# spec NAME: a project that runs it
spec() {
	mkdir -p "$P/$1"
	cat >"$P/$1/duet.yaml" <<-END
		duet: 1
		name: $1
		image: {from: "$REGISTRY/$1:v1"}
		target:
		  vm: {kernel: $KERNEL, memory: 512M, accel: tcg}
	END
}

# show NAME RUNNER [WORD...]: what the image's own program sees there, sorted into $P/NAME.RUNNER
show() {
	name=$1 on=$2
	shift 2
	mapfile -t list_words < <(words "$name")
	as "$who" "$DUET" run -q --store "$store" -f "$P/$name/duet.yaml" --on "$on" -- \
		/list / "${list_words[@]}" "$@" </dev/null >"$P/$name.$on" 2>"$P/$name.$on.err"
	echo $? >"$P/$name.$on.code"
}

# same NAME RUNNER LIST
same() {
	if [ "$(cat "$P/$1.$2.code")" != 0 ]; then
		not_ok "$who: $1: $2: exit code $(cat "$P/$1.$2.code"): $(head -c 1000 "$P/$1.$2.err")"
	elif ! cmp -s "$3" "$P/$1.$2"; then
		not_ok "$who: $1: $2 (< umoci, > duet)
$(diff "$3" "$P/$1.$2" | head -12 | cut -c1-300)"
	elif [ "$(wc -l <"$3")" -lt 4 ]; then
		not_ok "$who: $1: $2: next to nothing is there"
	else
		ok "$who: $1: $2: $(wc -l <"$3") entries"
	fi
}

pull() {
	as "$who" "$DUET" pull -q --store "$store" --on all "$@" </dev/null
}

# as_user USER NAME...
as_user() {
	who=$1
	shift
	P=$W/project-$who
	store=$W/store-$who
	mkdir -p "$P" "$store"
	chmod 755 "$P"
	case $who in
	many | one) make_user "$who" && chown "duet-$who-$$" "$store" ;;
	esac
	alter=
	[ "$who" != one ] || alter=owners
	for name; do
		id=$(pull "$REGISTRY/$name:v1" 2>"$W/err") || not_ok "$who: pull $name: $(cat "$W/err")"
		has "$who: pull $name prints the id" "$id" sha256:
		spec "$name"
	done
	asked=$(registry_asked blobs)
	# the first saves a VM's state, which the others begin with
	show "$1" vm ${alter:+$alter}
	for name; do
		show "$name" container ${alter:+$alter}
		[ "$name" = "$1" ] || show "$name" vm ${alter:+$alter}
	done
	is "$who: what was pulled is not fetched again" "$(registry_asked blobs)" "$asked"
	for name; do
		for on in container vm; do
			same "$name" $on "$W/expected/$name${alter:+.$alter}"
		done
	done
}

# What is left of the store when its images are removed.
nothing_stays() {
	is_sound "$who" "$who" "$store"
	no_leftovers "$who" "$store"
	as "$who" "$DUET" gc --all --store "$store" >/dev/null 2>"$W/err" || not_ok "$who: gc: $(cat "$W/err")"
	is "$who: gc leaves nothing" "$(find "$store"/v1/{blobs,trees,erofs,steps,images} -type f 2>&1)" ''
	is_sound "$who" "$who" "$store"
}

# ---- what it says -----------------------------------------------------------------------------------

# refused NAME PART MEND-PART OPERANDS...: in one line without a place, and one with the mend
refused() {
	name=$1 part=$2 mend=$3
	shift 3
	said=$(as root "$DUET" pull --store "$store" "$@" 2>&1 </dev/null)
	is "$name: exit code" $? 1
	has "$name" "$said" "$part"
	has "$name: the mend" "$said" "$mend"
	is "$name: it begins so" "${said%%[*}" 'duet: error'
	is "$name: lines" "$(echo "$said" | wc -l)" 2
}

errors() {
	refused 'unknown tag' "$REGISTRY/oci:nothing: there is no such image (404); the" 'check name and tag' \
		"$REGISTRY/oci:nothing"
	refused 'unknown repository' "$REGISTRY/nobody:v1: there is no such image (404); the" 'check name and tag' \
		"$REGISTRY/nobody:v1"
	refused 'unknown host' 'nowhere.invalid/image:v1: after 3 tries: ' 'check the name' \
		nowhere.invalid/image:v1
	refused 'nobody listens' ': 127.0.0.1:1/x:v1: after 3 tries: connect to 127.0.0.1 port 1: Connection refused' \
		'check the network' 127.0.0.1:1/x:v1
	mv "$XDG_CONFIG_HOME/duet/config.yaml" "$W/config.kept"
	refused 'no TLS, and not named' "error[fetch.failed]: $REGISTRY/oci:v1: the server does not speak TLS" \
		"registries: {\"$REGISTRY\": {plain_http: true}}" "$REGISTRY/oci:v1"
	mv "$W/config.kept" "$XDG_CONFIG_HOME/duet/config.yaml"
	refused 'no such platform' 'not there for linux/riscv64' \
		'it is there for linux/amd64, linux/arm64' --platform linux/riscv64 "$REGISTRY/both:v1"
	refused 'one platform' 'the image is for linux/amd64, not for linux/arm64' \
		'--platform' --platform linux/arm64 "$REGISTRY/oci:v1"
	has 'the other platform is pulled' \
		"$("$DUET" pull -q --store "$store" --platform linux/arm64 "$REGISTRY/both:v1" 2>&1)" sha256:
	registry_stop
	registry_start stored auth= port="${REGISTRY#*:}"
	refused 'private' 'wants a login' "duet login $REGISTRY" "$REGISTRY/oci:v1"
}

# ---- all of it --------------------------------------------------------------------------------------

# umoci takes its time: all of them in soak
FILES=${DUET_IMAGE_FILES:-${DUET_SOAK:+100000}}
FILES=${FILES:-20000}
all='docker oci zstd plain implied whiteouts opaque sixty twice hardlinks flips attributes names
same-twice empty bare below above both many'
[ $# = 0 ] || all=$*
make_images
mkdir -p "$W/expected"
for name in $all; do
	expected "$name" >"$W/expected/$name" || exit 1
	sed -E 's/^([^ ]+ [0-7]+) [0-9]+:[0-9]+/\1/' "$W/expected/$name" >"$W/expected/$name.owners"
done

# shellcheck disable=SC2086 # words on purpose
as_user root $all
nothing_stays
if [ $# = 0 ]; then
	for who in $(all_users); do
		[ "$who" != root ] || continue
		case $who in
		# a tree with a folder of mode 0 cannot be published in single-uid mode
		one) as_user one implied whiteouts hardlinks names ;;
		*) as_user "$who" implied whiteouts hardlinks attributes names above ;;
		esac
		nothing_stays
	done
	store=$W/store-root
	errors
fi
finish
