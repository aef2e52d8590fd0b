#!/bin/bash
# The end of memory. A guest in which a job takes all of it ends within seconds and says so, whatever kind it
# took; what is only slow goes on. What a container writes in memory is bounded by what the host had free.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
[ "$(uname -m)" = x86_64 ] || skip 'the VM runner is for x86-64'
need strace
MEMORY_MIB=96
SECONDS_MAX=300 # a start takes four, an eater ten; where nothing ends it, it is never
who=root
[ "$(id -u)" = 0 ] || who=self
user_folders $who
vm_kernel
small_root
cp "$BUILD/tests/run/eat" "$SMALL/usr/bin/"
head -c $((2 * MEMORY_MIB << 20)) /dev/urandom >"$SMALL/large"
pack "$SMALL" "$W/root.tar"
cat >"$P/duet.yaml" <<END
duet: 1
name: eater
image: {from: {archive: $W/root.tar}}
target: {vm: {kernel: $KERNEL, memory: ${MEMORY_MIB}M, accel: tcg}}
END
ended="the guest ran out of its $MEMORY_MIB MiB of memory (target.vm.memory)"
full="the job's root is full (it is in memory: target.vm.root_size, target.vm.memory)"

# eats CODES NOTE WORDS...: the job's exit code is one of these, and duet says so
eats() {
	codes=$1 note=$2
	shift 2
	as "$who" timeout $SECONDS_MAX "$DUET" run --store "$store" -f "$P/duet.yaml" --on vm -- eat "$@" \
		>"$W/out" 2>"$W/err" </dev/null
	code=$?
	case " $codes " in
	*" $code "*) ok "$*: exit code $code" ;;
	*) not_ok "$*: exit code $code, wanted $codes: $(cat "$W/err")" ;;
	esac
	[ -z "$note" ] || has "$*: it is said" "$(cat "$W/err")" "$note"
}

row V19 check 'a guest without memory ends and says so'
eats 137 "$ended" slowly
eats 137 "$ended" anonymous
eats 137 "$ended" tables
eats '137 139' "$ended" stack
eats 137 "$ended" sockets
eats 137 "$ended" pipes
# how many processes there can be goes by the memory: they may be refused before it is full
eats '9 137' '' processes
# half of the memory is a root's or a tmpfs's own
eats '9 137' '' file /dev/shm/x
eats 9 "$full" file /x
eats 9 "$full" inodes
eats 135 "$full" mapped # SIGBUS
eats 0 '' nothing
is 'what is read twice and does not fit: it was read' "$(cat "$W/out")" read
is 'and nothing is said' "$(cat "$W/err")" ''
no_leftovers V19 "$store"
control_mutant guest-memory

row C35 check 'what a container writes in memory is bounded'
read -r blocks size <<END
$(as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" --on container -- stat -f -c '%b %S' /)
END
available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
# what is free changes meanwhile: by less than a fifth of it
if [ $((blocks * size / 1024)) -lt $((available * 6 / 10)) ]; then
	ok 'its size'
else
	not_ok "its size: $blocks blocks of $size bytes, of $available KiB that are free"
fi
# as on a host that has little left: what duet reads is changed on its way
text=$(printf 'MemAvailable: 65536 kB\n\0' | od -An -v -tx1 | tr -d ' \n')
for kind in 'file /x' inodes; do
	# shellcheck disable=SC2086 # two words
	as "$who" strace -o "$W/strace" -P /proc/meminfo -e trace=pread64 -e "inject=pread64:poke_exit=@arg2=$text" \
		"$DUET" run --store "$store" -f "$P/duet.yaml" --on container -- eat $kind 2>"$W/err" </dev/null
	is "$kind: the job is told" $? 9
	has "$kind: so is the user" "$(cat "$W/err")" \
		"the job's root is full: 32 MiB, half of the memory that was free (target.container.writes: disk)"
done
control_mutant container-memory
no_leftovers C35 "$store"
finish
