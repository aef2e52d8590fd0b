#!/bin/sh
# Paths of the host that a spec names are opened by core/host_path.c alone. What else opens by a name is
# listed here: how often a file does, and what the name is. One more is a question to whoever adds it (does
# that name come from a spec?), one less makes the line stale.
set -eu
cd "${srcdir:-$(dirname "$0")/../..}"
list=$(mktemp)
trap 'rm -f "$list"' EXIT
cat >"$list" <<'LIST'
builders/archive.c 1 what the store remembers of an archive that had leave; compared with its digest
builders/builders.c 1 is the spec itself there
builders/debian/archive.c 1 a file of a mirror in a folder (file:///)
builders/debian.c 1 the keyring of this host
builders/debian/gpgv.c 1 a keyring of the host, or the one in memory
builders/debian/mirror.c 2 the sources of this host's apt
builders/debian/tools.c 7 programs of this host, and what the jail of Debian's tools has of its own
builders/kernel/debian.c 1 the keyring of this host
builders/kernel/input.c 3 the running kernel's files; is there a folder that was refused
builders/oci/helper.c 1 programs on the caller's PATH
builders/oci/login.c 2 the files of logins, of the user's home
builders/oci/login_file.c 2 the same, read
builders/oci/tarfile.c 5 the file that an export writes, of the command line
cmd/ask.c 1 /dev/tty
cmd/doctor.c 1 settings below /proc/sys
cmd/image.c 1 is this spec the one that built an image; looked at, not opened
cmd/init.c 6 what init reads and makes in the current folder, of the command line
cmd/main.c 1 /dev/null
cmd/reproduce.c 1 /dev/null
core/allowed.c 1 roots that the user allows
core/config.c 3 the user's configuration, and the folders that it names
core/flock.c 2 /proc: who holds a lock
core/fs.c 2 a descriptor's own path, and opened again
core/host_path.c 8 this is the one
core/jail/idmap.c 4 /proc, /etc/passwd, /etc/subuid; newuidmap
core/jail/idmap_write.c 3 /proc, /dev/null
core/jail/mount.c 2 a descriptor's own path in a namespace
core/lock_file.c 2 the lock beside the spec, through no link; the folder that it is written to
core/mem.c 1 realpath for all of them: xrealpath is what is counted in each
core/outside.c 4 mounts, which have a word of their own: by descriptor since
core/proc.c 3 programs: duet's own, helpers
core/sys.c 1 /proc/meminfo
core/spec/spec.c 1 the folder of the spec; the spec itself is opened beneath it
core/store/file.c 1 a descriptor's own path
core/store/open.c 3 the store, of the command line; /proc
core/store/stat.c 2 whether a file that had leave is as it was; looked at, not opened
core/sys.c 1 /proc/meminfo
LIST
bad=0

# The calls that take a name from the current folder or /, a line each. Comments begin with * or /*.
calls() {
	grep -nE '(^|[^_a-z>.*])(open|fopen|x?realpath|stat|lstat|access|opendir|creat|readlink|truncate)\(|(openat|fs_read_file|fstatat|faccessat|readlinkat)\(AT_FDCWD' \
		"$1" | grep -vE '^[0-9]+:[[:space:]]*/?\*' || true
}

# layer/, worker/ and what else runs in duet-worker get descriptors: it has no names of the host
for file in $(find core builders cmd -name '*.c' ! -path 'builders/layer/*' ! -path 'builders/worker/*' | sort); do
	found=$(calls "$file" | grep -c . || true)
	may=$(awk -v file="$file" '$1 == file { print $2 }' "$list")
	if [ "$found" -gt "${may:-0}" ]; then
		echo "$file opens by a name: a path of a spec goes through core/host_path.h; else name it in $0
$(calls "$file")" >&2
		bad=1
	elif [ "$found" -lt "${may:-0}" ]; then
		echo "$file: $found calls, not $may: mend the list in $0" >&2
		bad=1
	fi
done
while read -r file _; do
	[ -e "$file" ] || {
		echo "$file is in the list of $0, and gone" >&2
		bad=1
	}
done <"$list"
exit $bad
