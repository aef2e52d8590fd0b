#!/bin/bash
# duet where something is missing or odd around it: other dates, time zones, languages and umasks, closed
# streams, few descriptors, no HOME or one that is read-only, no /proc, no /dev/shm, no openat2. Each command
# gives what it gives elsewhere, or one line with the reason; the store that it leaves is sound, nobody else's,
# and good for the same command elsewhere.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
tools=$BUILD/tests/run
for program in duet_dynamic no_memory_start no_openat2 other_time; do
	[ -x "$tools/$program" ] || skip "$tools/$program is not built"
done
YEARS=$((10 * 365 * 24 * 3600))

P=$W/project
store=$W/store
small_tools='cat sh'
small_root
mkdir -p "$P/site"
echo page >"$P/site/index"
pack "$SMALL" "$P/root.tar.gz"
touch -d '1 hour ago' "$P/root.tar.gz"
cat >"$P/duet.yaml" <<EOF
duet: 1
name: around
image:
  from: {archive: ./root.tar.gz}
  steps:
    - copy: ./site
      to: /srv/site
    - run: [/bin/sh, -c, 'umask; cat /srv/site/index >/made']
target:
  command: [/bin/sh, -c, 'umask; cat /made']
EOF

# both_of DUET: the commands; no name here has a blank in it
both_of() {
	echo "$1 build -q --store $store -f $P/duet.yaml && $1 run -q --store $store -f $P/duet.yaml"
}
both=$(both_of "$DUET")

# The same elsewhere, on the store that was left.
look_after() {
	name=$1
	sound=$("$DUET" store check --store "$store" 2>&1)
	[ ! -e "$store" ] || is "$name: the store" "$sound" 'the store is sound'
	is "$name: afterwards" "$(sh -c "$both" 2>&1 </dev/null)" "$wanted"
	is "$name: others' rights" "$(stat -c %a "$store/v1")" 700
	is "$name: tmp is empty" "$(ls -A "$store/v1/tmp")" ''
}

# works NAME COMMAND...: gives what is wanted
works() {
	name=$1
	shift
	rm -rf "$store"
	is "$name" "$("$@" 2>&1)" "$wanted"
	look_after "$name"
}

# says NAME REASON COMMAND...: one line of error with that in it, no signal
says() {
	name=$1 reason=$2
	shift 2
	rm -rf "$store"
	out=$("$@" 2>&1)
	code=$?
	case $code in
	1 | 2 | 125) ok "$name: exit code" ;;
	*) not_ok "$name: exit code $code" ;;
	esac
	is "$name: one error" "$(grep -c 'error\[' <<<"$out")" 1
	has "$name: its reason" "$out" "$reason"
	look_after "$name"
}

# works_or_says NAME COMMAND...: what is open at which of its steps is not the question
works_or_says() {
	name=$1
	shift
	rm -rf "$store"
	out=$("$@" 2>&1)
	code=$?
	if [ $code = 0 ]; then
		is "$name" "$out" "$wanted"
	else
		[ $code = 1 ] || [ $code = 125 ] || not_ok "$name: exit code $code"
		is "$name: one error" "$(grep -c 'error\[' <<<"$out")" 1
		has "$name: its reason" "$out" 'Too many open files'
	fi
	look_after "$name"
}

sh -c "$both" >"$W/out" 2>"$W/err" </dev/null || {
	cat "$W/err"
	exit 1
}
wanted=$(cat "$W/out")

row F10 check 'dates, languages, umasks, closed streams, few descriptors, no HOME, /proc, /dev/shm, openat2'
for zone in Asia/Tokyo :nonsense UTC+25 ''; do
	works "time zone $zone" env TZ=$zone sh -c "$both"
done
for language in C tr_TR.UTF-8 ja_JP.eucJP nonsense ''; do
	works "language $language" env LC_ALL=$language LANG=$language sh -c "$both"
done
for mask in 000 027 077 777; do
	works "umask $mask" sh -c "umask $mask; $both"
done

# the id goes to standard output, and the job's too: with it closed there is neither, and no reason to fail
closed() {
	rm -rf "$store"
	eval "sh -c '$both' $1" >"$W/out" 2>"$W/err"
	is "closed $1: exit code" $? 0
	is "closed $1: what it gives" "$(cat "$W/out" "$W/err")" "$2"
	look_after "closed $1"
}
closed '<&-' "$wanted"
closed '</dev/null >&-' ''
closed '</dev/null 2>&-' "$wanted"
closed '<&- >&-' ''
closed '>&- 2>&- </dev/null' ''
closed '<&- >&- 2>&-' ''

for most in 4 8 12 16 20 24 32; do
	works_or_says "$most descriptors" sh -c "ulimit -n $most; $both"
done
works '64 descriptors' sh -c "ulimit -n 64; $both"

says 'no HOME' 'HOME is not set' env -u HOME -u XDG_CACHE_HOME setpriv --reuid 65534 --regid 65534 --clear-groups \
	"$DUET" images
mkdir "$W/home"
chown 65534:65534 "$W/home"
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	says 'a HOME that is read-only' 'Read-only file system' unshare -m sh -c \
		"mount -t tmpfs -o ro,mode=755 none '$W/home' && HOME='$W/home' exec setpriv --reuid 65534 --regid 65534 \
		--clear-groups env -u XDG_CACHE_HOME '$DUET' images"
	says 'no /proc' '/proc is not mounted' unshare -m sh -c "mount -t tmpfs none /proc; $both"
	says 'no /proc, and no spec' 'read /proc/self/uid_map: No such file' unshare -m sh -c \
		"mount -t tmpfs none /proc; exec '$DUET' images --store '$store'"
	works 'no /dev/shm' unshare -m sh -c "mount -t tmpfs -o ro none /dev/shm; $both"
	says 'nothing in /dev' 'open /dev/null: No such file' unshare -m sh -c "mount -t tmpfs none /dev; $both"
fi
says 'no openat2' 'Function not implemented' "$tools/no_openat2" sh -c "$both"
has 'no openat2: what helps' "$out" 'Linux 5.11 or newer'

# other dates: with a library that is preloaded
mkdir "$W/dated"
cp "$tools/duet_dynamic" "$W/dated/duet"
cp "$tools/no_memory_start" "$W/dated/duet-worker"
cp "$W/bin/duet-worker" "$W/dated/duet-worker.true"
cp "$W/bin/duet-init" "$W/dated/"
cp "$tools/other_time" "$W/other_time.so"
chmod 755 "$W/dated"/* "$W/other_time.so"
for seconds in $YEARS -$YEARS; do
	printf '%s\n' "LD_PRELOAD=$W/other_time.so" "OTHER_TIME_S=$seconds" >"$W/dated/duet-worker.environment"
	works "$seconds seconds from now" env LD_PRELOAD="$W/other_time.so" OTHER_TIME_S=$seconds \
		sh -c "$(both_of "$W/dated/duet")"
	shown=$(OTHER_TIME_S=$seconds LD_PRELOAD=$W/other_time.so date +%Y)
	[ "$shown" != "$(date +%Y)" ] || not_ok "$seconds seconds: the date is the same"
	OTHER_TIME_S=$seconds LD_PRELOAD=$W/other_time.so "$W/dated/duet" gc -q --store "$store" >/dev/null 2>&1
	is "$seconds seconds from now: gc" $? 0
	look_after "$seconds seconds from now: gc"
done
control_mutant streams-closed
no_leftovers end "$store"
finish
