#!/bin/bash
# The parity contract: one spec and one command on both runners, each compared with what is expected
# and with the other. One line a row:
#
#	same		both did what is expected
#	differs (known)	each did what is expected of it, and the row says why the two differ
#	DIFFERS		anything else; the exit code is 1 then
#
# The rows are in rows/: blocks that begin with `== NAME`, one key a line:
#
#	users NAMES	whom it is for, of `root many one`; else all of them
#	also NAMES	for whom it runs in `make check` too; else root alone
#	image NAME	an image made below; else debian
#	spec LINE	of `target`
#	stdin TEXT	with \n and kin; else /dev/null
#	run LINE	of a script for sh -c
#	argv WORDS	in its place: the command itself; none: the image's
#	code NUMBER	else 0
#	out LINE	of standard output, err LINE of errors (of duet -q too); none: nothing comes
#	err-has TEXT	somewhere in them
#	alike		output is only compared with the other runner's, and not empty
#	known REASON	why the two differ; then out-container, out-vm, code-..., err-has-... hold for one
#
# HOST_RELEASE, HOST_MAP and NOW stand for what they are here. What takes more than one line is in
# special.sh.
#
#	parity.sh [PART-OF-A-NAME]
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
only=${1-}
debian_root
vm_kernel
ROWS=$SRC/tests/parity/rows
runners='container vm'
counted=0 known_count=0

# ---- images -------------------------------------------------------------------------------------

# Files that are hard to keep right, over the Debian root.
make_odd() {
	$PYTHON - "$1" "$W" <<-'END'
		import hashlib, io, os, sys, tarfile
		tar = tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT)
		def add(name, data=b"", kind=tarfile.REGTYPE, mode=0o644, link="", pax=None):
		    info = tarfile.TarInfo(name)
		    info.type, info.mode, info.linkname, info.size = kind, mode, link, len(data)
		    info.mtime, info.pax_headers = 1700000000, pax or {}
		    tar.addfile(info, io.BytesIO(data))
		folder, symlink = tarfile.DIRTYPE, tarfile.SYMTYPE
		add("etc/hosts"), add("etc/machine-id", mode=0o444)
		add("etc/linked", kind=symlink, link="../odd/target")
		add("link-to-srv", kind=symlink, link="srv")
		add("odd", kind=folder, mode=0o755)
		add("odd/target", b"target\n"), add("odd/one", b"first\n")
		add("odd/two", kind=tarfile.LNKTYPE, link="odd/one")
		add("odd/three", kind=tarfile.LNKTYPE, link="odd/one")
		add("odd/out", kind=symlink, link="../../../../../../nowhere")
		add("odd/loop", kind=symlink, link="loop")
		add("odd/noted", b"x", pax={"SCHILY.xattr.user.note": "hello"})
		capability = bytes.fromhex("0100000200040000000000000000000000000000")
		add("odd/able", b"x", mode=0o755,
		    pax={"SCHILY.xattr.security.capability": capability.decode("latin-1")})
		add("odd/fifo", kind=tarfile.FIFOTYPE, mode=0o640)
		add("odd/empty"), add("odd/sparse", bytes(3000000) + b"end")
		add("odd/random", b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(100000)))
		names = (("with space", b"space\n"), ("gr\u00fcn", b"utf\n"), ("-dash", b"dash\n"),
		         ("new\nline", b""), ("quote\"'", b""), ("back\\slash", b""), (".hidden", b""))
		for name, data in names:
		    add("odd/names/" + name, data)
		add("odd/" + "%0255d" % 7, b"long\n")
		add("odd/deep" + "/d" * 59 + "/file", b"deep\n")
		tar.close()
	END
}

make_users() {
	mkdir -p "$W/in/usr/local/bin" "$W/in/etc"
	tar -C "$W/in" -xzf "$ROOT" ./etc/passwd ./etc/group ./usr/bin/id
	echo 'worker:x:700:700::/home/worker:/bin/sh' >>"$W/in/etc/passwd"
	printf 'worker:x:700:\nextra:x:701:worker\n' >>"$W/in/etc/group"
	sed -i 's/^\(adm\|shadow\):\(.*\):$/\1:\2:worker/' "$W/in/etc/group"
	mv "$W/in/usr/bin/id" "$W/in/usr/local/bin/setuid-id"
	chmod 4755 "$W/in/usr/local/bin/setuid-id"
	echo 0123456789abcdef0123456789abcdef >"$W/in/etc/machine-id"
	rmdir "$W/in/usr/bin"
	pack "$W/in" "$1"
	rm -r "$W/in"
}

# Two layers: $1 below, $2 above.
make_layers() {
	mkdir -p "$W/in/data/folder/old" "$W/in/data/gone" "$W/in/data/reborn" "$W/in/data/typed"
	echo kept >"$W/in/data/kept"
	echo first >"$W/in/data/changed"
	echo x | tee "$W/in/data/removed" "$W/in/data/folder/file" "$W/in/data/reborn/first" >/dev/null
	pack "$W/in" "$1"
	rm -r "$W/in"
	mkdir -p "$W/in/data/folder" "$W/in/data/reborn"
	echo second >"$W/in/data/changed"
	echo 'now a file' >"$W/in/data/typed"
	echo only >"$W/in/data/folder/new"
	touch "$W/in/data/.wh.removed" "$W/in/data/.wh.gone" "$W/in/data/folder/.wh..wh..opq" \
		"$W/in/data/reborn/.wh.first" "$W/in/data/reborn/third"
	pack "$W/in" "$2"
	rm -r "$W/in"
}

# Eleven over the Debian root. The tenth removes what the ninth's name would be.
make_twelve() {
	for number in $(seq 12); do
		mkdir -p "$W/in/layers"
		[ "$number" = 10 ] || echo "layer $number" >"$W/in/layers/$number"
		echo "from layer $number" >"$W/in/top"
		[ "$number" != 11 ] || touch "$W/in/layers/.wh.10"
		[ "$number" != 5 ] || echo 'not for long' >"$W/in/layers/10"
		pack "$W/in" "$1.$number"
		rm -r "$W/in"
	done
}

make_static() {
	cat >"$W/say.c" <<-'END'
		#include <stdio.h>
		int main(int argc, char **argv)
		{
			printf("say");
			for (int i = 1; i < argc; i++)
				printf(" %s", argv[i]);
			return puts("") < 0;
		}
	END
	mkdir -p "$W/in"
	${CC:-cc} -static -o "$W/in/say" "$W/say.c" || exit 99
	strip "$W/in/say"
	pack "$W/in" "$1"
	rm -r "$W/in"
}

make_images() {
	I=$W/images
	mkdir -p "$I"
	make_odd "$I/odd.tar"
	make_users "$I/users.tar"
	make_layers "$I/below.tar" "$I/above.tar"
	make_twelve "$I/twelve.tar"
	make_static "$I/static.tar"
	mkdir -p "$W/in/etc"
	ln -s ../run/hosts "$W/in/etc/hosts"
	pack "$W/in" "$I/linked.tar"
	rm -r "$W/in"
	chmod -R a+rX "$I"
}

# The lines of `image:` for a name.
image_lines() {
	over="  from: {archive: \"$ROOT\"}"
	case $1 in
	debian) echo "$over" ;;
	odd | users | linked) printf '%s\n' "$over" '  steps:' "    - archive: $I/$1.tar" ;;
	layers) printf '%s\n' "$over" '  steps:' "    - archive: $I/below.tar" \
		"    - archive: $I/above.tar" ;;
	twelve)
		printf '%s\n' "$over" '  steps:'
		for number in $(seq 12); do
			echo "    - archive: $I/twelve.tar.$number"
		done ;;
	static) printf '%s\n' '  from: scratch' '  steps:' "    - archive: $I/static.tar" ;;
	entry) printf '%s\n' "$over" \
		'  config: {entrypoint: [/bin/echo, entry], command: [default, words]}' ;;
	*) echo "no image $1" >&2; exit 99 ;;
	esac | sed "1,/from: /s,^,,"
}

# ---- one row ------------------------------------------------------------------------------------

# spec IMAGE TARGET-LINES: the spec of both
spec() {
	{
		printf 'duet: 1\nname: parity\nimage:\n'
		image_lines "$1"
		shift
		printf 'target:\n  hostname: parity\n  vm: {kernel: %s}\n' "$KERNEL"
		printf '%s' "$*"
	} >"$P/duet.yaml"
}

# on RUNNER COMMAND...: its streams are the caller's
on() {
	runner=$1
	shift
	as "$who" "$DUET" run -q --store "$store" -f "$P/duet.yaml" --allow capabilities \
		--on "$runner" "$@"
}

# verdict NAME WHAT-IS-WRONG REASON: prints the row's line
verdict() {
	counted=$((counted + 1))
	if [ -n "$2" ]; then
		printf 'DIFFERS          %-5s %s\n%s\n' "$who" "$1" "$2"
		failed=$((failed + 1))
	elif [ -n "$3" ]; then
		printf 'differs (known)  %-5s %s: %s\n' "$who" "$1" "$3"
		known_count=$((known_count + 1))
	else
		printf 'same             %-5s %s\n' "$who" "$1"
	fi
}

# compare WHAT GOT WANTED: adds to `wrong`
compare() {
	[ "$2" = "$3" ] || wrong="$wrong
--- $1: got
$2
--- wanted
$3"
}

put_in() {
	text=${1//HOST_RELEASE/$(uname -r)}
	text=${text//HOST_MAP/$([ "$who" = root ] && echo 0 0 65536 || echo 1 0 65536)}
	echo "${text//NOW/$now}"
}

run_row() {
	wrong=
	now=$(date +%s)
	spec "$row_image" "$row_spec"
	if [ -n "$row_has_argv" ]; then
		read -r -a command <<<"$row_argv"
	else
		command=(sh -c "$(put_in "$row_run")")
	fi
	[ ${#command[@]} = 0 ] || command=(-- "${command[@]}")
	for one_runner in $runners; do
		printf '%b' "$row_stdin" | on "$one_runner" "${command[@]}" \
			>"$W/out.$one_runner" 2>"$W/err.$one_runner"
		code=${PIPESTATUS[1]}
		compare "$one_runner: exit code" "$code" "${row_code[$one_runner]:-${row_code[both]:-0}}"
		if [ -n "$row_alike" ]; then
			[ -s "$W/out.$one_runner" ] || wrong="$wrong
--- $one_runner says nothing"
		else
			compare "$one_runner: standard output" "$(cat "$W/out.$one_runner")" \
				"$(put_in "${row_out[$one_runner]}")"
		fi
		has_text=${row_err_has[$one_runner]:-${row_err_has[both]-}}
		if [ -z "$has_text" ]; then
			compare "$one_runner: errors" "$(cat "$W/err.$one_runner")" "${row_err%$'\n'}"
		elif ! grep -qF -- "$has_text" "$W/err.$one_runner"; then
			compare "$one_runner: errors" "$(cat "$W/err.$one_runner")" "... $has_text ..."
		fi
	done
	if [ -z "$row_known" ]; then
		compare 'the two' "$(cat "$W/out.container")" "$(cat "$W/out.vm")"
		compare 'the errors of the two' "$(cat "$W/err.container")" "$(cat "$W/err.vm")"
	fi
	verdict "$row_name" "$wrong" "$row_known"
}

new_row() {
	row_name=$1 row_users='root many one self' row_also='root self' row_image=debian row_spec='' row_stdin='' row_run=''
	row_argv='' row_has_argv='' row_err='' row_alike='' row_known=''
	row_code=() row_err_has=()
	row_out=([container]='' [vm]='')
}

end_row() {
	[ -n "$row_name" ] || return
	case " $row_users " in
	*" $who "*) ;;
	*) return ;;
	esac
	case "${DUET_SOAK:+$who} $row_also " in
	"$who "* | *" $who "*) ;;
	*) return ;;
	esac
	case $row_name in
	*"$only"*) run_row ;;
	esac
}

take_line() {
	key=${1%% *} value=${1#* }
	[ "$key" != "$1" ] || value=
	case $key in
	users) row_users="$value self" ;;
	also) row_also="$row_also $value" ;;
	image) row_image=$value ;;
	spec) row_spec="$row_spec  $value"$'\n' ;;
	stdin) row_stdin=$value ;;
	run) row_run="$row_run$value"$'\n' ;;
	argv) row_argv=$value row_has_argv=y ;;
	code) row_code[both]=$value ;;
	code-*) row_code[${key#code-}]=$value ;;
	out)
		row_out[container]+="$value"$'\n'
		row_out[vm]+="$value"$'\n' ;;
	out-*) row_out[${key#out-}]+="$value"$'\n' ;;
	err) row_err="$row_err$value"$'\n' ;;
	err-has) row_err_has[both]=$value ;;
	err-has-*) row_err_has[${key#err-has-}]=$value ;;
	alike) row_alike=y ;;
	known) row_known=$value ;;
	'' | '#') ;;
	*) echo "$file: what is \`$1\`?"; exit 99 ;;
	esac
}

run_file() {
	file=$1
	new_row ''
	while IFS= read -r line <&9; do
		case $line in
		'== '*)
			end_row
			new_row "${line#== }" ;;
		*) take_line "$line" ;;
		esac
	done 9<"$file"
	end_row
}

# ---- all of them --------------------------------------------------------------------------------

declare -A row_code row_out row_err_has
make_images
# shellcheck source=tests/parity/special.sh
. "$SRC/tests/parity/special.sh"
for who in $(all_users); do
	user_folders "$who" || continue
	printf '# a comment\nA=from the file\nB=from the file\n\nC=with = in it\n' >"$P/env"
	[ "$who" = root ] || [ "$who" = self ] || chown -R "duet-$who-$$" "$P"
	# what is said once, and what a build says, is said here
	spec debian ''
	for one_runner in $runners; do
		on "$one_runner" -- true </dev/null >/dev/null 2>&1
	done
	for rows in "$ROWS"/*; do
		run_file "$rows"
	done
	special
	left=$(find /proc/[0-9]*/exe -lname "$W/bin/*" 2>/dev/null)
	verdict 'nothing is left' "$(ls -A "$store/v1/tmp")$left" ''
done
echo "$counted rows: $failed differ, $known_count differ as is known"
[ $failed = 0 ]
