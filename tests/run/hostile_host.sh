#!/bin/bash
# What the host's side of duet does with an image: who may reach its files in the store, whether its
# programs or libraries are ever run, whether a file system of it is ever mounted, whether what is
# unpacked at the same time meets, and whether layers are what the specification says.
#
#	hostile_host.sh [ROUNDS]	of races; ten times as many random layers (6), with DUET_SOAK 200
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
rounds=${1:-${DUET_SOAK:+200}}
rounds=${rounds:-6}
[ "$(id -u)" = 0 ] || skip 'not root: layers with owners, mounts and other users are compared'
small_root
victim=$(mktemp -d /tmp/duet-victim.XXXXXX)
P=$W/project
store=$W/store
mkdir -p "$P" "$store"

clean_up_more() {
	rm -rf "$victim"
}

# spec LINES
spec() {
	printf '%s\n' 'duet: 1' 'name: host' "$@" >"$P/duet.yaml"
}

# ---- T8 ------------------------------------------------------------------------------------------

# Eight layers, of which one makes a link to the victim of what the next goes through.
flip_flop() {
	for number in 1 2 3 4 5 6 7 8; do
		rm -rf "$W/layer"
		mkdir -p "$W/layer"
		if [ $((number % 2)) = 1 ]; then
			ln -s "$victim" "$W/layer/d"
			ln -s "$victim/f" "$W/layer/e"
		else
			mkdir "$W/layer/d" "$W/layer/e"
			echo "$number" >"$W/layer/d/pwn"
			echo "$number" >"$W/layer/e/pwn"
		fi
		head -c 200000 /dev/urandom >"$W/layer/big-$number"
		pack "$W/layer" "$P/$number.tar.gz"
	done
	rm -rf "$W/layer"
	touch -d '1 hour ago' "$P"/*.tar.gz
}

parallel() {
	row T8 check+soak "hostile layers unpacked by several processes at once ($rounds rounds of 4)"
	flip_flop
	watch_start || row_left_out 'no mount namespace with an overlay can be had here'
	for round in $(seq "$rounds"); do
		rm -rf "$store"
		pids=
		for order in '1 2 3 4 5 6 7 8' '8 7 6 5 4 3 2 1' '1 3 2 4 5 7 6 8' '2 1 4 3 6 5 8 7'; do
			{
				printf 'duet: 1\nname: flip\nimage:\n  from: scratch\n  steps:\n'
				for number in $order; do
					echo "    - archive: ./$number.tar.gz"
				done
			} >"$P/${order// /}.yaml"
			watched "$DUET" build -q --store "$store" -f "$P/${order// /}.yaml" \
				>>"$W/ids" 2>"$W/err.${order%% *}" &
			pids="$pids $!"
		done
		# shellcheck disable=SC2086
		wait $pids
		is "T8: round $round: outside" "$(outside)" ''
	done
	is 'T8: every build gave the same in each round' "$(sort "$W/ids" | uniq -c |
		awk -v rounds="$rounds" '$1 % rounds')" ''
	is 'T8: what four orders give' "$(sort -u "$W/ids" | wc -l)" 4
	is_sound T8 root "$store"
	no_leftovers T8 "$store"
	mkdir -p "$W/control/tree"
	for number in 1 2; do
		gzip -dc "$P/$number.tar.gz" >"$W/plain.tar"
		watched $PYTHON "$SRC/tests/run/naive_untar.py" "$W/plain.tar" "$W/control/tree" "$W/control" 2>/dev/null
	done
	[ -n "$(outside)" ]
	control_if $? 'naive_untar.py: two layers into one tree reach the victim'
	watch_stop
}

# ---- T10 -----------------------------------------------------------------------------------------

other_users() {
	row T10 check "another user reaches nothing of the store"
	make_user one
	mkdir -p "$W/suid/bin"
	cp "$(type -P id)" "$W/suid/bin/id"
	chmod 4755 "$W/suid/bin/id"
	pack "$W/suid" "$W/suid.tar"
	spec 'image:' "  from: {archive: $W/suid.tar}"
	rm -rf "$store"
	"$DUET" build -q --store "$store" -f "$P/duet.yaml" >/dev/null || not_ok 'T10: build'
	program=$(find "$store"/v1/trees -path '*/tree/bin/id')
	# the store is its v1/: beside it volumes may stand
	is 'T10: mode' "$(stat -c %a "$store/v1")" 700
	is 'T10: another user' "$(as one "$program" 2>&1 | grep -c 'ermission denied')" 1
	chmod 755 "$store"
	find "$store" -type d -exec chmod a+rx {} +
	[ "$(as one "$program" -u 2>/dev/null)" != '' ]
	control_if $? 'a store of mode 0755: the program of an image runs'
	"$DUET" images --store "$store" >/dev/null 2>"$W/err"
	is 'T10: repaired by the next command' "$?:$(stat -c %a "$store/v1")" 0:700
	is 'T10: another user again' "$(as one "$program" 2>&1 | grep -c 'ermission denied')" 1
	chown "duet-one-$$" "$store/v1"
	"$DUET" images --store "$store" >/dev/null 2>"$W/err"
	is 'T10: a store of another' "$?:$(grep -c 'belongs to uid' "$W/err")" 1:1
	chown root "$store/v1"
}

# ---- T14, T15 ------------------------------------------------------------------------------------

random_layers() {
	row T14 check+soak "random layers ($((rounds * 10))) against a model: flips, duplicates, missing parents"
	out=$($PYTHON "$SRC/tests/run/layer_model.py" "$BUILD/tests/run/unpack_tree" "$W/model" \
		$((rounds * 10)) "${DUET_SEED:-$RANDOM}" 2>&1)
	is 'T14: layers and the model' "$(echo "$out" | grep -v '^[0-9]* equal')" ''
	has 'T14: they were unpacked' "$out" ' equal'
	echo "$out" | tail -n 1
	out=$($PYTHON "$SRC/tests/run/layer_model.py" tar "$W/model" 40 1 2>&1)
	[ "$(echo "$out" | grep -c differs)" -gt 0 ]
	control_if $? 'GNU tar: other trees for some of them'
}

listing() {
	find . -mindepth 1 ! -path './etc/hosts' ! -path './etc/machine-id' ! -path './dev*' \
		! -path './proc*' ! -path './sys*' -printf '%y %m %U:%G %p %l\n'
}

same_as_umoci() {
	row T15 check 'lib/x over lib -> usr/lib: the tree that umoci makes'
	command -v umoci >/dev/null || {
		row_left_out 'umoci is not installed'
		control none 'umoci is not installed'
		return
	}
	rm -rf "$W/over"
	mkdir -p "$W/over/lib" "$W/over/etc"
	echo x >"$W/over/lib/x"
	touch "$W/over/etc/.wh.group"
	tar -C "$W/over" --owner=0 --group=0 -cf "$P/over.tar" lib/x etc/.wh.group
	cp -a "$SMALL" "$W/base"
	cp "$(type -P find)" "$W/base/usr/bin/"
	ldd "$(type -P find)" | sed -n 's,.*[[:space:]]\(/[^ ]*\) (0x.*,\1,p' | while read -r library; do
		mkdir -p "$W/base/usr/$(dirname "${library#/usr}")"
		cp -Ln "$library" "$W/base/usr/${library#/usr}"
	done
	pack "$W/base" "$P/base.tar"
	(cd "$W" && umoci init --layout oci && umoci new --image oci:t &&
		umoci raw add-layer --image oci:t "$P/base.tar" &&
		umoci raw add-layer --image oci:t "$P/over.tar" &&
		umoci unpack --image oci:t bundle) >"$W/umoci.log" 2>&1 || not_ok "T15: $(tail -n 3 "$W/umoci.log")"
	spec 'image:' '  from: {archive: ./base.tar}' '  steps: [{archive: ./over.tar}]'
	seen=$("$DUET" run -q --store "$store" -f "$P/duet.yaml" -- sh -c "$(declare -f listing); cd /; listing" \
		</dev/null 2>"$W/err" | grep -v ' ./proc\| ./sys\| ./dev')
	is 'T15: the same tree' "$(echo "$seen" | LC_ALL=C sort)" \
		"$(cd "$W/bundle/rootfs" && listing | LC_ALL=C sort)"
	mkdir -p "$W/layers/over" "$W/layers/at"
	tar -C "$W/layers/over" -xf "$P/over.tar"
	seen=$(unshare -m sh -c 'mount -t overlay -o "lowerdir=$1/over:$2" overlay "$1/at" &&
		readlink "$1/at/lib"' sh "$W/layers" "$W/base" 2>/dev/null)
	[ "$seen" != usr/lib ]
	control_if $? 'GNU tar, each layer by itself: lib/ hides the link'
}

# ---- T19, T20 ------------------------------------------------------------------------------------

trojans='xz gzip unpigz zstd tar nsenter mount newuidmap newgidmap ldconfig mke2fs qemu-system-x86_64
mkfs.erofs gpgv duet-init duet-worker sh'

make_trojans() {
	rm -rf "$W/trojan"
	mkdir -p "$W/trojan/bin" "$W/trojan/lib/x86_64-linux-gnu" "$W/trojan/etc" "$W/trojan/usr"
	for name in $trojans; do
		cp "$BUILD/tests/run/probe" "$W/trojan/bin/$name"
	done
	for library in libnss_files.so.2 libnss_dns.so.2 libc.so.6 libcap.so.2 libgcc_s.so.1; do
		cp "$BUILD/tests/run/probe" "$W/trojan/lib/x86_64-linux-gnu/$library"
	done
	ln -s ../bin "$W/trojan/usr/bin"
	ln -s ../lib "$W/trojan/usr/lib"
	echo /lib/x86_64-linux-gnu/libc.so.6 >"$W/trojan/etc/ld.so.preload"
	printf 'root:x:0:0::/:/bin/sh\n' >"$W/trojan/etc/passwd"
	pack "$W/trojan" "$P/trojan.tar.xz"
	pack "$W/trojan" "$P/trojan.tar.gz"
	pack "$W/trojan" "$P/trojan.tar.zst"
}

# traced NAME COMMAND...: its processes' calls in $W/trace/NAME.PID
traced() {
	name=$1
	shift
	mkdir -p "$W/trace"
	rm -f "$W/trace/$name".*
	strace -ff -qq -y --decode-pids=pidns -o "$W/trace/$name" --seccomp-bpf \
		-e trace=execve,execveat,mmap,clone,clone3,fork,vfork,chroot,pivot_root,mount,fsopen,fsmount,openat,open_tree \
		"$@"
}

traces_work() {
	command -v strace >/dev/null && traced probe true >"$W/out" 2>&1
}

# Every subcommand, from a working folder in the image's own tree.
foreign_programs() {
	row T19 check 'no program or library of an image runs outside the instance'
	make_trojans
	rm -rf "$store"
	spec 'image:' '  from: {archive: ./trojan.tar.xz}' \
		'  steps: [{archive: ./trojan.tar.gz, to: /a}, {archive: ./trojan.tar.zst, to: /b}]' \
		'target: {user: root}'
	"$DUET" build -q --store "$store" -f "$P/duet.yaml" >/dev/null || not_ok "T19: build"
	tree=$(find "$store"/v1/trees -path '*/tree/bin/xz' | head -n 1)
	tree=${tree%/bin/xz}
	number=0
	while read -r line; do
		number=$((number + 1))
		# shellcheck disable=SC2086
		(cd "$tree" && traced "t19-$number" "$DUET" ${line%% *} --store "$store" ${line#* } \
			</dev/null >"$W/out" 2>&1) ||
			not_ok "T19: $line: $(cat "$W/out")"
		out=$($PYTHON "$SRC/tests/run/trace_check.py" exec "$W/trace/t19-$number" "$store" "$P" "$W/trojan")
		is "T19: $line" "$(echo "$out" | sed '$d')" ''
		has "T19: $line: it was seen" "$out" ' duet'
	done <<-END
		build -f $P/duet.yaml
		images --json
		plan -f $P/duet.yaml
		run -f $P/duet.yaml --explain -- /bin/sh fds
		run -f $P/duet.yaml -- /bin/sh fds
		gc --json
	END
	rm -rf "$store"
	traced t19-build "$DUET" build -q --store "$store" -f "$P/duet.yaml" >/dev/null 2>&1 ||
		not_ok 'T19: build anew'
	out=$($PYTHON "$SRC/tests/run/trace_check.py" exec "$W/trace/t19-build" "$store" "$P" "$W/trojan")
	is 'T19: build anew' "$(echo "$out" | sed '$d')" ''
	has 'T19: build anew: the worker was seen' "$out" duet-worker
	for command in check doctor 'store check' schema; do
		case $command in
		check) options="-f $P/duet.yaml" ;;
		schema) options= ;;
		*) options="--store $store" ;;
		esac
		# shellcheck disable=SC2086
		(cd "$W/trojan" && traced t19-house "$DUET" $command $options) >/dev/null 2>&1
		out=$($PYTHON "$SRC/tests/run/trace_check.py" exec "$W/trace/t19-house" "$store" "$P" "$W/trojan")
		is "T19: $command" "$(echo "$out" | sed '$d')" ''
	done
	traced t19-control sh -c 'cd "$1" && PATH=bin xz; chroot . /bin/tar' sh "$W/trojan" >/dev/null 2>&1
	out=$($PYTHON "$SRC/tests/run/trace_check.py" exec "$W/trace/t19-control" "$W/trojan")
	is 'T19: the control' "$(echo "$out" | sed '$d' | wc -l)" 2
	control_if $? 'a shell that runs ROOT/bin/xz, and tar after a chroot'
}

# A VM run, from the build to the job's end.
foreign_file_systems() {
	row T20 check 'no file system image is mounted on the host for a VM'
	traced t20-control sh -c 'mke2fs -q -t ext4 "$1" 1M; unshare -m mount -t ext4 -o loop "$1" /mnt' sh \
		"$W/image" >/dev/null 2>&1
	[ "$($PYTHON "$SRC/tests/run/trace_check.py" mount "$W/trace/t20-control" | wc -l)" -gt 1 ]
	control_if $? 'mount(8) -o loop of an ext4 image'
	command -v qemu-system-x86_64 >/dev/null || {
		row_left_out 'QEMU is not installed'
		return
	}
	pack "$SMALL" "$P/small.tar"
	spec 'image:' '  from: {archive: ./small.tar}' 'on: [vm]'
	traced t20 "$DUET" run --store "$store" -f "$P/duet.yaml" -- sh -c 'echo from a guest' </dev/null \
		>"$W/out" 2>"$W/err"
	code=$?
	case $code:$(cat "$W/err") in
	0:*) ;;
	*'error[fetch.failed]'*)
		row_left_out 'no network: the kernel of a VM cannot be fetched'
		return ;;
	esac
	is 'T20: the job' "$code:$(cat "$W/out")" '0:from a guest'
	out=$($PYTHON "$SRC/tests/run/trace_check.py" mount "$W/trace/t20")
	is 'T20: mounts' "$(echo "$out" | sed '$d')" ''
	has 'T20: some were seen' "$out" tmpfs
	out=$($PYTHON "$SRC/tests/run/trace_check.py" exec "$W/trace/t20" "$store" "$P")
	row T19 check "${row_what[T19]}"
	is 'T19: run on a VM' "$(echo "$out" | sed '$d')" ''
	has 'T19: run on a VM: QEMU was seen' "$out" qemu-system
}

parallel
other_users
random_layers
same_as_umoci
if traces_work; then
	foreign_programs
	foreign_file_systems
else
	for id in T19 T20; do
		row $id check 'what runs and what is mounted on the host'
		row_left_out 'strace does not work here'
		control none 'strace does not work here'
	done
fi
finish
