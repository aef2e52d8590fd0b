# Sourced by the end-to-end tests: a work folder, duet's programs where every user can reach them, a
# Debian root, ordinary users with and without subuids.
#
#	$W		a fresh folder, removed at the end; everybody may enter it
#	$DUET		duet, beside its worker and init
#	debian_root	makes $ROOT, a tar.gz of a Debian minbase root (kept in the build folder)
#	as USER CMD...	runs CMD as root, `many` (a user with subuids) or `one` (a user without)
#	ok / not_ok	count; finish prints the sum and exits

set -u
BUILD=$(pwd)
SRC=$(cd "${srcdir:-.}" && pwd)
W=$(mktemp -d /tmp/duet-test.XXXXXX)
DUET=$W/bin/duet
passed=0 failed=0
made_users=
export LC_ALL=C.UTF-8 DUET_STORE=

clean_up() {
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

skip() {
	echo "$*"
	exit 77
}

ok() {
	passed=$((passed + 1))
	[ -z "${VERBOSE_TESTS-}" ] || echo "ok: $*"
}

not_ok() {
	failed=$((failed + 1))
	echo "FAILED: $*"
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

finish() {
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

as() {
	as_user=$1
	shift
	case $as_user in
	root | self) "$@" ;;
	*) setpriv --reuid "duet-$as_user-$$" --regid "duet-$as_user-$$" --clear-groups \
		env HOME="$W/home-$as_user" "$@" ;;
	esac
}
