# shellcheck shell=bash disable=SC2034 # what is set here is used by those who source it
# Sourced by the end-to-end tests: a work folder, duet's programs where every user can reach them, a
# Debian root, ordinary users with and without subuids.
#
#	$W		a fresh folder, removed at the end; everybody may enter it
#	$DUET		duet, beside its worker and init
#	debian_root	makes $ROOT, a tar.gz of a Debian minbase root (kept in the build folder)
#	small_root	makes the folder $SMALL: a shell and some tools of this machine, with libraries
#	vm_kernel	makes $KERNEL, the path of Debian's cloud kernel (kept in the build folder), and a
#			QEMU of this test's own, which no_leftovers knows; skips where there is none
#	as USER CMD...	runs CMD as root, `many` (a user with subuids) or `one` (a user without)
#	user_folders WHO	makes that user, and $P and $store for it
#	ok / not_ok	count; finish prints the sum and exits; with DUET_FAIL_FAST the first not_ok does
#	tree_state	one line for everything below a folder; see state.py
#	config LINES...	writes duet's configuration anew: these lines, and that a spec may read all of $W
#	unmounted DIR	unmounts it; says whether its file system is gone, or only out of sight (root)
#	no_leftovers	tmp/ of a store is empty, and no process of this test's duet is left
#	need PROGRAM...	skips when one is missing; `missing PROGRAM...` says which
#	need_python_ssl	skips where the tests' servers cannot run
#	report FILE NAME	takes over what a Python test has found
#	no_proxies	none of the machine stands between the test and its servers
#	certificate NAME [SUBJECT-ALT-NAMES]	makes $W/NAME.crt and $W/NAME.key for a server on 127.0.0.1
#	wait_for FILE	until something is in it
#	row ID TIER WHAT	a row of the table of threats begins; see "rows" below
#	watch_start	from here on `as` and `watched` run where writes outside of $W are seen

set -u
BUILD=$(pwd)
SRC=$(cd "${srcdir:-.}" && pwd)
W=$(mktemp -d /tmp/duet-test.XXXXXX)
DUET=$W/bin/duet
passed=0 failed=0
made_users=
# the system's own, which every user can start, before one of somebody's home
PYTHON=$(PATH=/usr/bin:/bin:$PATH command -v python3)
# programs that are tried beside duet leave things in the home folder
export LC_ALL=C.UTF-8 DUET_STORE='' HOME=$W/self
mkdir "$HOME"

# What a test has to undo itself; it may define this anew.
clean_up_more() {
	:
}

clean_up() {
	clean_up_more
	watch_stop
	for user in $made_users; do
		userdel "$user" 2>/dev/null
		sed -i "/^$user:/d" /etc/subuid /etc/subgid 2>/dev/null
	done
	# trees of users with subuids belong to ids that only root or a namespace can remove
	rm -rf "$W" 2>/dev/null || rm -rf "$W"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

chmod 755 "$W"
mkdir -p "$W/bin"
for program in duet duet-worker duet-init; do
	[ -x "$BUILD/$program" ] || {
		echo "$BUILD/$program is not built"
		exit 99
	}
	cp "$BUILD/$program" "$W/bin/"
done

# Inputs of a spec lie all over $W here; what tests the gate itself takes another XDG_CONFIG_HOME.
# shellcheck disable=SC2120 # others have lines to add
config() {
	mkdir -p "$W/config/duet"
	printf '%s\n' "allow: [\"paths=$W\", mirrors]" "$@" >"$W/config/duet/config.yaml"
	chmod -R a+rX "$W/config"
}
export XDG_CONFIG_HOME=$W/config
config

skip() {
	echo "$*"
	rows_write "$*"
	exit 77
}

missing() {
	for program in "$@"; do
		command -v "$program" >/dev/null || {
			echo "$program"
			return
		}
	done
}

need() {
	program=$(missing "$@")
	[ -z "$program" ] || skip "$program is not installed"
}

# the tests' servers are Python programs that speak TLS
need_python_ssl() {
	[ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import ssl' 2>/dev/null || skip 'no python3 with ssl'
}

no_proxies() {
	unset https_proxy HTTPS_PROXY http_proxy HTTP_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
}

# It names itself by NAME, and is its own authority: what trusts $W/NAME.crt trusts the server.
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=duet test $1" \
		-addext "subjectAltName=${2-IP:127.0.0.1}" -keyout "$W/$1.key" -out "$W/$1.crt" \
		2>"$W/openssl.log" || skip "openssl makes no certificate: $(cat "$W/openssl.log")"
}

wait_for() {
	for _ in $(seq 100); do
		[ ! -s "$1" ] || return 0
		sleep 0.1
	done
	return 1
}

# ---- rows ----------------------------------------------------------------------------------------
# A row of the table of threats (tests/run/security.sh prints it): all that is counted behind `row ID`
# belongs to it, and one `row_control` says what the same attempt does to a tool without the defence.

declare -A row_tier=() row_what=() row_good=() row_bad=() row_left=() row_control=() row_why=()
row=

# row ID check|soak WHAT; row alone: what follows belongs to none
row() {
	row=${1-}
	[ -n "$row" ] || return 0
	row_tier[$row]=$2
	row_what[$row]=$3
}

# row_left_out WHY: this machine cannot; a WHY of `pending: ...`: duet cannot yet
row_left_out() {
	row_left[$row]=$*
}

# control RESULT WHY: tripped, missed (then the row fails), or none with the reason why there is none
control() {
	case ${row_control[$row]-}:$1 in
	missed:* | tripped:none) return ;;
	esac
	row_control[$row]=$1
	row_why[$row]=$(echo "$2" | tr '\n\t' '  ')
	[ "$1" != missed ] || not_ok "$row: the control did not trip: $2"
}

# control_if CONDITION-RESULT WHY: `control_if $? WHY` behind the command that has to succeed
control_if() {
	if [ "$1" = 0 ]; then
		control tripped "$2"
	else
		control missed "$2"
	fi
}

# control_mutant NAME: the control is that the test fails when tests/mutants/NAME is applied to duet, which
# tests/mutants/run.sh sees; tests/lint/mutants.sh sees that there is such a file
control_mutant() {
	[ -e "$SRC/tests/mutants/$1" ]
	control_if $? "mutant $1: $(sed -n 's/^why  *//p' "$SRC/tests/mutants/$1")"
}

# One line a row: ID, tier, result, control, why, what. A script that ends without has no rows.
rows_write() {
	[ "${#row_what[@]}" -gt 0 ] || return 0
	rows=${DUET_ROWS:-$BUILD/rows}
	mkdir -p "$rows"
	for row in "${!row_what[@]}"; do
		if [ "${row_bad[$row]-0}" -gt 0 ]; then
			result="FAILED ${row_bad[$row]} of $((${row_good[$row]-0} + ${row_bad[$row]}))"
		elif [ -n "${row_left[$row]-}" ] || [ $# -gt 0 ]; then
			result="left out: ${row_left[$row]-$*}"
			case $result in
			*' pending: '*) result=pending ;;
			esac
		else
			result="ok ${row_good[$row]-0}"
		fi
		printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$row" "${row_tier[$row]}" "$result" \
			"${row_control[$row]-missing}" "${row_why[$row]-}" "${row_what[$row]}"
	done >"$rows/$(basename "$0" .sh)"
	row=
}

ok() {
	passed=$((passed + 1))
	[ -z "$row" ] || row_good[$row]=$((${row_good[$row]-0} + 1))
	[ -z "${VERBOSE_TESTS-}" ] || echo "ok: $*"
}

not_ok() {
	failed=$((failed + 1))
	[ -z "$row" ] || row_bad[$row]=$((${row_bad[$row]-0} + 1))
	echo "FAILED: $*"
	[ -z "${DUET_FAIL_FAST-}" ] || finish
}

# is NAME GOT WANTED
is() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1
--- got
$2
--- wanted
$3
---"
	fi
}

# has NAME TEXT PART
has() {
	case $2 in
	*"$3"*) ok "$1" ;;
	*) not_ok "$1
--- got
$2
--- wanted somewhere in it
$3
---" ;;
	esac
}

# reported KIND NAME WHY: a line of a Python test's report; ` | ` in WHY is a new line
reported() {
	case $1 in
	ok) ok "$2" ;;
	bad) not_ok "$2: ${3// | /
}" ;;
	told) echo "$2" ;;
	esac
}

# report FILE NAME: all lines of one, which has to end with `end`
report() {
	while IFS=$'\t' read -r kind first second; do
		reported "$kind" "$first" "$second"
	done <"$1"
	is "$2" "$(tail -n 1 "$1")" end
}

finish() {
	rows_write
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
	exit
}

debian_root() {
	ROOT=$W/debian.tar.gz
	(
		flock 9
		if ! [ -s "$BUILD/debian.tar.gz" ]; then
			command -v mmdebstrap >/dev/null || exit 77
			mmdebstrap --quiet --variant=minbase --format=tar bookworm - 2>"$W/mmdebstrap.log" |
				gzip >"$BUILD/debian.tar.gz.part" || exit 1
			mv "$BUILD/debian.tar.gz.part" "$BUILD/debian.tar.gz"
		fi
	) 9>"$BUILD/debian.lock"
	case $? in
	0) ;;
	77) skip 'mmdebstrap is not installed' ;;
	*)
		cat "$W/mmdebstrap.log"
		exit 1 ;;
	esac
	ln "$BUILD/debian.tar.gz" "$ROOT" 2>/dev/null || cp "$BUILD/debian.tar.gz" "$ROOT"
	chmod 644 "$ROOT"
}

# What a VM needs of the package: a fifth of it. No name in it is of this machine.
pack_kernel() {
	package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1)
	[ -n "$package" ] || return 1
	mkdir -p "$W/package"
	(cd "$W/package" && apt-get -q download "$package") >"$W/apt.log" 2>&1 || return 1
	dpkg-deb -x "$W/package"/*.deb "$W/package/root" || return 1
	tar -C "$W/package/root" --exclude 'kernel/net' --exclude 'kernel/drivers/net' \
		--exclude 'System.map-*' -cf "$BUILD/kernel.tar.part" boot lib/modules &&
		mv "$BUILD/kernel.tar.part" "$BUILD/kernel.tar"
	rm -rf "$W/package"
}

vm_kernel() {
	qemu=${DUET_QEMU:-$(PATH=$PATH:/usr/bin command -v qemu-system-x86_64)}
	[ -x "$qemu" ] || skip 'qemu-system-x86_64 is not installed'
	cp "$qemu" "$W/bin/qemu-system-x86_64"
	export DUET_QEMU=$W/bin/qemu-system-x86_64
	(
		flock 9
		[ -s "$BUILD/kernel.tar" ] || pack_kernel
	) 9>"$BUILD/kernel.lock" || skip "there is no kernel for a VM: linux-image-cloud-amd64 of Debian"
	mkdir -p "$W/kernel"
	tar -C "$W/kernel" -xf "$BUILD/kernel.tar"
	chmod -R a+rX "$W/kernel"
	KERNEL=$(echo "$W"/kernel/boot/vmlinuz-*)
}

small_tools='sh cat cp env head id ls mkdir pwd readlink rm stat sleep touch true wc'

small_root() {
	SMALL=$W/small
	mkdir -p "$SMALL/usr/bin" "$SMALL/usr/lib" "$SMALL/usr/lib64" "$SMALL/usr/sbin" \
		"$SMALL/etc" "$SMALL/tmp" "$SMALL/root"
	for tool in $small_tools; do
		path=$(type -P "$tool") || skip "$tool is not installed"
		cp -L "$path" "$SMALL/usr/bin/$tool"
		# each library under the path that the loader asks for, /lib being usr/lib
		ldd "$path" | sed -n 's,.*[[:space:]]\(/[^ ]*\) (0x.*,\1,p' | while read -r library; do
			case $library in
			/usr/*) to=$SMALL$library ;;
			*) to=$SMALL/usr$library ;;
			esac
			mkdir -p "${to%/*}"
			[ -e "$to" ] || cp -L "$library" "$to"
		done
	done
	for link in bin lib lib64 sbin; do
		ln -sfn usr/$link "$SMALL/$link"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/sh\n' \
		>"$SMALL/etc/passwd"
	printf 'root:x:0:\ndaemon:x:1:\n' >"$SMALL/etc/group"
	chmod 1777 "$SMALL/tmp"
	chmod 700 "$SMALL/root"
	find "$SMALL" -exec touch -h -d '2024-01-02 03:04:05 UTC' {} +
}

# pack FOLDER FILE: a tar like any other; what compresses it goes by the name
pack() {
	case $2 in
	*.gz) filter='gzip -n' ;;
	*.zst) filter='zstd -q' ;;
	*.xz) filter='xz -0' ;;
	*) filter='cat' ;;
	esac
	tar --sort=name --owner=0 --group=0 --numeric-owner -C "$1" -cf - . | $filter >"$2"
}

# unmounted FOLDER: says whether its file system is really gone then, and not only out of sight
unmounted() {
	$PYTHON - "$1" <<'END'
import ctypes, os, select, struct, subprocess, sys
libc = ctypes.CDLL(None)
fd = libc.inotify_init1(0)
assert libc.inotify_add_watch(fd, os.fsencode(sys.argv[1]), 0x400) > 0
subprocess.run(["umount", sys.argv[1]], check=True)
# IN_UNMOUNT comes when the last user of the file system has gone
gone = select.select([fd], [], [], 3)[0]
mask = struct.unpack("iI", os.read(fd, 8 + 8)[:8])[1] if gone else 0
print("gone" if mask & 0x2000 else "alive")
END
}

tree_state() {
	$PYTHON "$SRC/tests/run/state.py" "$1"
}

# soon_none NAME COMMAND...: what is to end after a kill is gone within five seconds, when COMMAND prints
# nothing any more.
soon_none() {
	local name=$1 found='' tries
	shift
	for tries in $(seq 100); do
		found=$("$@")
		[ -n "$found" ] || break
		sleep 0.05
	done
	is "$name" "$found" ''
}

# Processes of this test's own duet.
own_processes() {
	find /proc/[0-9]*/exe -lname "$W/bin/*" 2>/dev/null
}

# no_leftovers NAME STORE
no_leftovers() {
	is "$1: tmp is empty" "$(ls -A "$2/v1/tmp" 2>/dev/null)" ''
	soon_none "$1: no process is left" own_processes
}

# is_sound NAME USER STORE
is_sound() {
	is "$1: the store is sound" "$(as "$2" "$DUET" store check --store "$3" 2>&1)" \
		'the store is sound'
}

# make_user NAME: `many` gets subuids, `one` does not
make_user() {
	user=duet-$1-$$
	useradd --no-create-home --home-dir "$W/home-$1" --shell /bin/sh "$user" || return 1
	made_users="$made_users $user"
	sed -i "/^$user:/d" /etc/subuid /etc/subgid
	if [ "$1" = many ]; then
		start=$((200000000 + $$ * 65536 % 1000000000))
		echo "$user:$start:65536" >>/etc/subuid
		echo "$user:$start:65536" >>/etc/subgid
	fi
	mkdir -p "$W/home-$1"
	chown "$user" "$W/home-$1"
}

# user_folders WHO: the user, made where it is one of ours; $P, an empty project of root's, and $store, an
# empty folder of the user's; 1 when there can be no such user
user_folders() {
	case $1 in
	many | one) make_user "$1" || return 1 ;;
	esac
	P=$W/project-$1
	store=$W/store-$1
	mkdir -p "$P" "$store"
	chmod 755 "$P"
	[ "$1" = root ] || [ "$1" = self ] || chown "duet-$1-$$" "$store"
}

# The users this run can take: all three as root, else the caller alone.
all_users() {
	if [ "$(id -u)" != 0 ]; then
		echo self
		return
	fi
	echo root
	if command -v newuidmap >/dev/null && command -v useradd >/dev/null; then
		echo many
	fi
	command -v useradd >/dev/null && echo one
}

# ---- the host stays intact -----------------------------------------------------------------------
# A mount namespace whose / is an overlay over the host's, and so are the other places where things
# are written: what is written outside of $W, by whomever, is found in the overlays' upper folders and
# not on the host. /proc and /sys are the host's own. What the host changes meanwhile (users that are
# made) may or may not be seen inside. Shown to bite by the row INTACT of hostile.sh.

WATCH=	# the process that holds it
watch_dir=$W/watch

# 1 where it cannot be had
watch_start() {
	[ "$(id -u)" = 0 ] && mkdir -p "$watch_dir" && mount -t tmpfs watch "$watch_dir" || return 1
	rm -f "$W/watch.ready"
	unshare -m bash "$SRC/tests/run/watch.sh" "$W" "$watch_dir" >"$W/watch.log" 2>&1 &
	WATCH=$!
	while ! [ -e "$W/watch.ready" ]; do
		kill -0 $WATCH 2>/dev/null || {
			cat "$W/watch.log"
			watch_stop
			return 1
		}
		sleep 0.02
	done
}

watch_stop() {
	if [ -n "$WATCH" ]; then
		kill $WATCH 2>/dev/null
		wait $WATCH 2>/dev/null
		umount -l "$watch_dir" 2>/dev/null
	fi
	WATCH=
}

# What was written outside since watch_start, one path a line.
outside() {
	[ -z "$WATCH" ] || find "$watch_dir" -mindepth 2 -path "$watch_dir/*.upper/*" |
		sed "s,^$watch_dir/root\.upper,,; s,^$watch_dir/\([^/]*\)\.upper,/\1,"
}

watched() {
	if [ -n "$WATCH" ]; then
		PYTHONDONTWRITEBYTECODE=1 nsenter --mount="/proc/$WATCH/ns/mnt" --wdns="$PWD" "$@"
	else
		"$@"
	fi
}

as() {
	as_user=$1
	shift
	case $as_user in
	root | self) watched "$@" ;;
	*) watched setpriv --reuid "duet-$as_user-$$" --regid "duet-$as_user-$$" --clear-groups \
		env HOME="$W/home-$as_user" "$@" ;;
	esac
}
