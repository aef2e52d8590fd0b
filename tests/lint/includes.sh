#!/bin/sh
# The include rules: floors, and one owner for each foreign header.
set -eu
cd "${srcdir:-$(dirname "$0")/../..}"
bad=0

complain() {
	echo "$*" >&2
	bad=1
}

# forbid FOLDER PATTERN REASON
forbid() {
	found=$(grep -rnE "^#include \"$2" --include='*.[ch]' "$1" || true)
	[ -z "$found" ] || complain "$3:
$found"
}

forbid core '(cmd|builders|runners)/' 'core includes what stands above it'
forbid builders '(cmd|runners)/' 'builders include cmd or runners'
forbid runners '(cmd|builders)/' 'runners include cmd or builders'
forbid runners/init '(core|runners/[^i])' 'duet-init includes more than its own headers'

# the headers of a library in one .c file each; <linux/...> and libc's are everybody's
for header in yaml.h jansson.h archive.h archive_entry.h curl/curl.h seccomp.h sys/capability.h \
	openssl/evp.h isa-l.h zlib.h zstd.h lzma.h; do
	# shellcheck disable=SC2046 # one word per file
	owners=$(grep -rlE "^# *include <(isa-l/)?$header>" --include='*.[ch]' cmd core builders runners || true)
	count=$(printf '%s\n' "$owners" | grep -c . || true)
	[ "$count" -le 1 ] || complain "<$header> is included by more than one file:
$owners"
	case $owners in
	*.h) complain "<$header> is included by a header: $owners" ;;
	esac
done

# printing and exiting is for cmd/ and core/log.c (and programs of their own)
found=$(grep -rnE '\b(printf|puts|fputs|exit) *\(' --include='*.c' core builders runners |
	grep -vE '^(core/log\.c|core/mem\.c|core/jail/filter_make\.c)' |
	grep -vE '\b(snprintf|fprintf\(out)' | grep -vE '_exit|^[^:]*:[0-9]+: *\*' || true)
[ -z "$found" ] || complain "library code prints or exits:
$found"

# what has no memory ends in core/mem.c; these would go on, or take it for something else
found=$(grep -rnE '(^|[^a-z_])(malloc|calloc|realloc|reallocarray|strdup|strndup|v?asprintf|realpath) *\(' \
	--include='*.c' core builders runners cmd |
	grep -vE '^(core/mem\.c|core/jail/filter_make\.c|runners/init/)' |
	grep -vE '^[^:]*:[0-9]+:\s*(/?\*|//)' || true)
[ -z "$found" ] || complain "memory that is not core/mem.c's:
$found"
exit $bad
