#!/bin/sh
# duet(1) names every command and option that `duet` knows, and no other; both pages are well formed.
set -eu
pages=$PWD/doc
source=${srcdir:-.}/doc/duet.1.scd
bad=0

complain() {
	echo "$*" >&2
	bad=1
}

commands=$(./duet --help | sed -n 's/^  \([a-z]*\)  *[a-z`].*/\1/p')
[ "$(echo "$commands" | wc -l)" -ge 9 ] || complain "duet --help lists only: $commands"
for command in $commands; do
	grep -q "^\*duet $command" "$source" || complain "duet(1) lacks the command $command"
done
known=$(for command in $commands; do
	./duet "$command" --help | sed -n 's/^  .*\(--[a-z-]*\) .*/\1/p'
done | sort -u)
# "*-f*, *--file* _FILE_", "*--json*"
told=$(sed -n '/^# OPTIONS/,/^# EXIT/s/^\*.*\(--[a-z][a-z-]*\)\*.*/\1/p' "$source" | sort -u)
[ "$known" = "$told" ] || complain "the options of duet, and those of duet(1):
$known
--
$told"

command -v man >/dev/null || exit $bad
for page in duet.1 duet.yaml.5; do
	[ -e "$pages/$page" ] || continue
	warnings=$(MANROFFSEQ='' LC_ALL=C.UTF-8 man --warnings -l "$pages/$page" 2>&1 >/dev/null)
	[ -z "$warnings" ] || complain "$page: $warnings"
done
exit $bad
