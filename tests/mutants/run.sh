#!/bin/bash
# Does a test miss each protection that is taken out? Every file of this folder without a dot in its
# name is a mutant: one edit of a source that leaves one protection out, and the test that has to fail
# then. They are edits and no switch of the build, since what leaves a protection out has no place in
# the product's code: nobody can ship it by accident, and it cannot rot apart from what it names.
#
#	run.sh [NAME...]	from a build folder: all of them, or these
#
# Sources are copied to mutants/ of the build folder, built once, and each test is run there as it is:
# a test that fails already says nothing. Then for each mutant: edit, make, run, undo. A row says what
# came of it; exit code 1 when one survived, does not apply or does not build. DUET_MUTANT_SECONDS: how
# long a test may take; one that does not end is caught. What is said of one that is not: mutants/NAME.log.
set -u
BUILD=$(pwd)
SRC=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
HERE=$SRC/tests/mutants
TREE=$BUILD/mutants/source
OUT=$BUILD/mutants/build
limit=${DUET_MUTANT_SECONDS:-600}
tool() {
	python3 "$HERE/mutants.py" "$@"
}

names=$*
if [ -z "$names" ]; then
	names=$(cd "$HERE" && for file in *; do case $file in *.*) ;; *) echo "$file" ;; esac; done)
fi

# the make that this may run under has jobs of its own
unset MAKEFLAGS MFLAGS MAKELEVEL
jobs=$(nproc)

prepare() {
	mkdir -p "$TREE" "$OUT"
	tool mirror "$SRC" "$TREE" || return 1
	if ! [ -e "$OUT/Makefile" ]; then
		(cd "$TREE" && ./autogen.sh && cd "$OUT" &&
			"$TREE/configure" -q --disable-werror CFLAGS='-g -O1') || return 1
	fi
	# what takes long to fetch is fetched once
	for file in debian.tar.gz kernel.tar kernel.lock; do
		[ ! -e "$BUILD/$file" ] || [ -e "$OUT/$file" ] || ln "$BUILD/$file" "$OUT/$file"
	done
	make -C "$OUT" -s -j "$jobs" all
}

# helpers TEST: the check programs that a script names, by itself or by what it sources
helpers() {
	case $1 in
	*.sh) ;;
	*)
		echo "$1"
		return ;;
	esac
	texts=$(sed -n 's,.*srcdir:-\.}/\(tests/[a-z_/]*\.sh\).*,\1,p; s,.*\$SRC/\(tests/[a-z_/]*\.sh\).*,\1,p' \
		"$TREE/$1" | sort -u)
	for program in $check_programs; do
		for text in $1 $texts tests/run/lib.sh; do
			if [ -e "$TREE/$text" ] && grep -q "/${program##*/}\b" "$TREE/$text"; then
				echo "$program"
				break
			fi
		done
	done | grep '^tests/\(run\|golden\|unit\)/'
}

build_for() {
	# one after the other: `all` is a make of its own, which would meet the rest
	# shellcheck disable=SC2046,SC2086 # words
	make -C "$OUT" -s -j "$jobs" all >"$OUT/make.log" 2>&1 &&
		make -C "$OUT" -s -j "$jobs" $(for one in $1; do helpers "$one"; done) config.h \
			>>"$OUT/make.log" 2>&1
}

# Every process of a test ends with it: what a mutant leaves behind would last. Numbers of processes begin
# high: those of a jail's own are low, and none must stand for both.
alone() {
	if [ "$(id -u)" = 0 ] && unshare -mpf --mount-proc --kill-child true 2>/dev/null; then
		# shellcheck disable=SC2016 # for the shell inside
		exec timeout -k 10 "$limit" unshare -mpf --mount-proc --kill-child \
			sh -c 'echo 20000 >/proc/sys/kernel/ns_last_pid; "$@"; exit $?' sh "$@"
	fi
	exec timeout -k 10 "$limit" "$@"
}

# run_tests TESTS: 0 when all pass, 77 when one was left out, else what failed
run_tests() {
	for one in $1; do
		command=$OUT/$one
		case $one in
		*.sh) command=$TREE/$one ;;
		esac
		(cd "$OUT" && export srcdir="$TREE" DUET_ROWS="$OUT/rows" DUET_FAIL_FAST=1 &&
			alone "$command") >"$OUT/test.log" 2>&1 </dev/null 9>&-
		code=$?
		[ $code = 0 ] || return $code
	done
}

seconds=$SECONDS
say() {
	printf '%-28s %-36s %-36s %-16s %s\n' "$@"
	seconds=$SECONDS
}

mkdir -p "$BUILD/mutants"
exec 9>"$BUILD/mutants/lock"
flock -n 9 || {
	echo 'another run of this build folder goes on'
	exit 1
}
prepare >"$BUILD/mutants.log" 2>&1 || {
	tail -n 5 "$BUILD/mutants.log"
	echo 'the sources do not build'
	exit 1
}
check_programs=$(make -C "$OUT" -s print-check-programs)
bad=0
declare -A plain=()
say mutant file test result seconds
for name in $names; do
	file=$HERE/$name
	source=$(tool field "$file" file) && tests=$(tool field "$file" test) || {
		echo "$name: not a mutant"
		bad=1
		continue
	}
	if [ -z "${plain[$tests]-}" ]; then
		if build_for "$tests"; then
			run_tests "$tests"
		else
			cp "$OUT/make.log" "$OUT/test.log"
			false
		fi
		plain[$tests]=$?
		[ "${plain[$tests]}" = 0 ] || cp "$OUT/test.log" "$OUT/plain.log"
		seconds=$SECONDS
	fi
	case ${plain[$tests]} in
	0) ;;
	77)
		say "$name" "$source" "$tests" "skipped: $(tail -n 1 "$OUT/plain.log")" 0
		continue ;;
	*)
		say "$name" "$source" "$tests" "TEST FAILS: ${plain[$tests]} without it" 0
		grep -m 3 'FAILED\|\*\*\*\|:E:\|:F:' "$OUT/plain.log"
		bad=1
		continue ;;
	esac
	tool apply "$file" "$TREE"
	if [ $? != 0 ]; then
		result='DOES NOT APPLY'
	elif ! build_for "$tests"; then
		result='DOES NOT BUILD'
	else
		run_tests "$tests"
		case $? in
		0 | 77 | 99) result=SURVIVED ;;
		124 | 137) result='caught (time)' ;;
		*) result=caught ;;
		esac
	fi
	tool undo "$file" "$TREE" "$SRC"
	case $result in
	caught*) ;;
	*)
		cat "$OUT/make.log" "$OUT/test.log" >"$BUILD/mutants/$name.log"
		bad=1 ;;
	esac
	say "$name" "$source" "$tests" "$result" $((SECONDS - seconds))
done
exit $bad
