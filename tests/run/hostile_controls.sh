# shellcheck shell=bash disable=SC2154 # what hostile.sh sets is used here
# Sourced by hostile.sh: the same attempts on what does not defend itself. The oracles must see them.

# anew: the victim as it was, and an empty $W/control/tree
anew() {
	rm -rf "$W/control"
	mkdir -p "$W/control/tree"
	if [ -n "$WATCH" ]; then
		watch_stop
		watch_start
	else
		rm -rf "${victim:?}/"*
		make_victim
	fi
}

touched() {
	[ "$(victim_state)" != "$untouched" ]
}

# reaches_out ID CASE TOOL...: run with the archive and the folder
reaches_out() {
	anew
	row "$1" check "${what[$1]}"
	archive=$cases/$2.tar
	shift 2
	(cd "$W/cwd" && watched "$@") >/dev/null 2>&1
	touched
	control_if $? "${1##*/}${2+ ${2##*/}}: ${archive##*/} reaches out"
}

naive() {
	watched $PYTHON "$SRC/tests/run/naive_untar.py" "$cases/$1.tar" "$W/control/tree" "$W/control" \
		2>/dev/null
}

archive_controls() {
	for pair in T1:t1-dot T2:t2-many T3:t3-absolute T4:t4-cwd T5:t5-over T6:t6-link T7:t7-inside; do
		reaches_out ${pair%:*} ${pair#*:} $PYTHON "$SRC/tests/run/naive_untar.py" \
			"$cases/${pair#*:}.tar" "$W/control/tree" "$W/control"
	done
	for pair in T2:t2-many T3:t3-absolute; do
		! command -v bsdtar >/dev/null || reaches_out ${pair%:*} ${pair#*:} \
			bsdtar -C "$W/control/tree" -xPf "$cases/${pair#*:}.tar"
	done
	row T9 check "${what[T9]}"
	anew
	naive t9-devices
	[ "$who" != root ] && control none 'only root makes devices' || {
		[ -c "$W/control/tree/mem" ]
		control_if $? 'naive_untar.py: a node of /dev/mem in the tree'
	}
	row T12 check "${what[T12]}"
	anew
	mkdir "$W/control/outer"
	mv "$W/control/tree" "$W/control/outer/"
	$PYTHON "$SRC/tests/run/naive_untar.py" "$cases/t12-2.tar" "$W/control/outer/tree" "$W/control" \
		2>/dev/null
	[ ! -e "$W/control/outer/tree" ]
	control_if $? 'naive_untar.py: ".wh..." removes what is above the root'
	row T16 check+soak "${what[T16]}"
	$PYTHON -c 'import sys, tarfile; sys.exit(len(tarfile.open(sys.argv[1]).next().pax_headers) < 1)' \
		"$cases/t16-xattr-16m.tar"
	control_if $? "Python's tarfile: takes an attribute of 16 MiB"
	row T17 check+soak "${what[T17]}"
	[ "$(zstd -dc "$cases/t17-zeros.tar.zst" | wc -c)" -gt 3000000000 ]
	control_if $? 'zstd -d: 3 GiB out of next to nothing'
	row T18 check+soak "${what[T18]}"
	tar -tf "$cases/t18-two.tar" >/dev/null 2>&1
	control_if $? 'GNU tar: takes two archives in one without a word'
}

# T11, T13: what an overlay and an unpacker make of such a layer
overlay_controls() {
	row T11 check "${what[T11]}"
	anew
	mkdir -p "$W/control/upper" "$W/control/at"
	naive t11-xattrs
	seen=$(unshare -m sh -c 'mount -t overlay -o "userxattr,lowerdir=$1/tree:$2" overlay "$1/at" &&
		ls "$1/at/etc"' sh "$W/control" "$SMALL" 2>/dev/null)
	case $seen in
	'') control none 'no overlay can be mounted here' ;;
	*passwd*) control missed 'an overlay over a layer with its own user.overlay.opaque' ;;
	*) control tripped 'naive_untar.py and an overlay: user.overlay.opaque hides /etc' ;;
	esac
	row T13 check "${what[T13]}"
	anew
	mkdir -p "$P/wh" "$W/control/tree/etc"
	touch "$P/wh/.wh.etc"
	tar -C "$P/wh" -cf "$cases/t13.tar" .wh.etc
	naive t13
	[ ! -e "$W/control/tree/etc" ]
	control_if $? 'GNU tar writes .wh.etc, and who unpacks it has no /etc'
}

# evil_root NAME TARGET: $W/evil with a link in the place of NAME, for tools that take a folder
evil_root() {
	anew
	replaced "$1" "$2"
}

runc_dev() {
	row C7 check "${what[C7]}"
	if ! command -v runc >/dev/null; then
		control none 'runc is not installed'
		return
	fi
	evil_root dev "$victim"
	mkdir -p "$W/bundle"
	(cd "$W/bundle" && rm -f config.json && runc spec)
	sed -i 's,"path": "rootfs","path": "'"$W/evil"'",; s,"terminal": true,"terminal": false,' \
		"$W/bundle/config.json"
	watched runc --root "$W/runc" run -b "$W/bundle" "duet-control-$$" </dev/null >/dev/null 2>"$W/err"
	if touched; then
		control tripped "$(runc --version | head -n 1): files of the victim are replaced"
	else
		control missed "$(runc --version | head -n 1): $(tail -n 1 "$W/err")"
	fi
}

container_controls() {
	row C3 check "${what[C3]}"
	seen=$(unshare -mpf --mount-proc sh -c 'mkdir -p "$1/proc" && mount --bind /proc "$1/proc" &&
		exec chroot "$1" sh -c "cd /proc/self/fd/9 && cat hello"' sh "$SMALL" 9<"$victim")
	is "C3: the control's probe" "$seen" secret
	control_if $? 'chroot: descriptor 9 leads to the host'
	runc_dev
	row C6 check "${what[C6]}"
	evil_root proc "$victim"
	watched unshare -m sh -c 'mount -t tmpfs none "$1/proc" && [ ! -e "$2/hello" ]' sh "$W/evil" "$victim"
	control_if $? 'mount(8) onto ROOT/proc: the mount is on the victim'
	row C9 check "${what[C9]}"
	evil_root w "$victim"
	watched mkdir -p "$W/evil/w/new"
	touched
	control_if $? 'mkdir -p ROOT/w/new: made in the victim'
	row C14 check "${what[C14]}"
	passwd_with '1000:x:0:0::/root:/bin/sh'
	[ "$(chroot --userspec=1000 "$W/evil" id -u)" = 0 ]
	control_if $? 'chroot --userspec=1000: uid 0'
	row C15 check "${what[C15]}"
	rm "$W/evil/etc/passwd"
	mkfifo "$W/evil/etc/passwd"
	$PYTHON "$SRC/tests/run/box.py" 2 64 chroot --userspec=daemon "$W/evil" sleep 100 >/dev/null 2>&1
	[ $? = 240 ]
	control_if $? 'chroot --userspec=daemon: hangs on a FIFO'
	row C22 check "${what[C22]}"
	[ "$(DUET_SECRET=s3cr3t chroot "$SMALL" env | grep -c s3cr3t)" = 1 ]
	control_if $? 'chroot: the whole environment'
}
