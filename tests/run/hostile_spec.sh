#!/bin/bash
# What a spec can try: expansion, nesting, ambiguity, numbers, what reaches out, files that are none.
# The exact messages are those of tests/golden/spec.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
golden=$SRC/tests/golden/spec
cd "$W" || exit 99

# pyyaml SECONDS MIB PYTHON [FILE]: what a plain reader makes of it; 240 and 241 as box.py says
pyyaml() {
	/usr/bin/python3 "$SRC/tests/run/box.py" "$1" "$2" /usr/bin/python3 -c "import json, sys, yaml
$3" "${4-}" >/dev/null 2>&1
}

has_pyyaml() {
	pyyaml 5 256 'yaml.CLoader' && return
	control none 'python3-yaml is not installed'
	return 1
}

# refused NAME FILE OPTIONS...: within three seconds (a loaded machine; 30 ms are usual) and 24 MiB, as an invalid spec, with its place
refused() {
	$PYTHON "$SRC/tests/run/box.py" 3 24 "$DUET" check -f "${@:2}" >"$W/out" 2>"$W/err"
	code=$?
	is "$1: exit code" "$code:$(grep -c 'error\[spec' "$W/err")" 2:1
	is "$1: one line or two" "$([ "$(wc -l <"$W/err")" -le 2 ] || cat "$W/err")" ''
}

row Y1 check 'aliases that expand (billion laughs)'
for name in yaml-laughs yaml-alias yaml-anchor yaml-merge target-variable-laughs; do
	refused "Y1: $name" "$golden/$name.yaml"
done
has "Y1: with its place" "$("$DUET" check -f "$golden/yaml-laughs.yaml" 2>&1)" 'laughs.yaml:1:4: '
if has_pyyaml; then
	pyyaml 3 256 'print(json.dumps(yaml.safe_load(open(sys.argv[1]))))' "$golden/yaml-laughs.yaml"
	[ $? -ge 240 ]
	control_if $? 'PyYAML: more than 256 MiB or 3 s'
fi

row Y2 check 'deep nesting'
$PYTHON - "$W" <<'END'
import sys
for number, text in enumerate(("[" * 100000, "{a: " * 100000, "- " * 100000, "? " * 100000,
                               "[{a: " * 50000, "".join(" " * i + "a:\n" for i in range(1300)),
                               "[" * 500000, "x-a: " + "[" * 30000 + "]" * 30000)):
    with open("%s/nest-%d.yaml" % (sys.argv[1], number), "w") as out:
        out.write("duet: 1\n" + text if number == 7 else text)
END
for file in "$W"/nest-*.yaml; do
	refused "Y2: ${file##*/}" "$file"
done
if has_pyyaml; then
	pyyaml 3 1024 'for event in yaml.parse(open(sys.argv[1]), Loader=yaml.CLoader): pass' "$W/nest-6.yaml"
	[ $? = 240 ]
	control_if $? 'libyaml by itself: more than 3 s'
fi

row Y3 check 'ambiguity: duplicate and unknown keys, tags, words, bytes'
count=0
for file in "$golden"/yaml-*.yaml "$golden"/key-*.yaml "$golden"/target-*.yaml; do
	case $file in
	*target-env-file*) continue ;;
	esac
	refused "Y3: ${file##*/}" "$file"
	count=$((count + 1))
done
[ $count -ge 60 ] && ok "$count cases" || not_ok "Y3: only $count cases"
srcdir=$SRC "$BUILD/tests/unit/core/test_spec_golden" >"$W/out" 2>&1
is 'Y3: the exact messages' "$?:$(grep -v '^Running\|^100%' "$W/out")" 0:
# taken PREFIX...: how many of the golden files a plain reader takes
taken() {
	pyyaml 20 256 'import glob
count = 0
for pattern in sys.argv[1].split():
    for name in glob.glob(pattern):
        try:
            yaml.safe_load(open(name))
            count += 1
        except (yaml.YAMLError, ValueError):
            pass
sys.exit(min(count, 100))' "$*"
	echo $?
}
if has_pyyaml; then
	got=$(taken "$golden/yaml-dup*.yaml" "$golden/key-*.yaml" "$golden/yaml-*.yaml")
	[ "$got" -ge 10 ] && [ "$got" -lt 101 ]
	control_if $? "PyYAML: takes $got of them"
fi

row Y4 check 'numbers and sizes out of range'
for file in "$golden"/step-strip-*.yaml "$golden"/step-owner-*.yaml "$golden"/step-mode-*.yaml \
	"$golden"/mount-tmpfs-*.yaml "$golden"/vm-*.yaml "$golden"/version-*.yaml; do
	refused "Y4: ${file##*/}" "$file"
done
if has_pyyaml; then
	got=$(taken "$golden/step-*.yaml" "$golden/mount-tmpfs-*.yaml" "$golden/vm-*.yaml")
	[ "$got" -ge 10 ] && [ "$got" -lt 101 ]
	control_if $? "PyYAML: takes $got of them"
fi

row Y5 check 'what reaches outside the project needs --allow'
mkdir -p project outside
export XDG_CONFIG_HOME=$W/no-config
# gate ARGUMENTS...: exit code and whether it was the gate's; there is no `true` in the image
gate() {
	"$DUET" run -q --store "$W/store" -f project/duet.yaml "$@" -- true >"$W/out" 2>"$W/err" </dev/null
	echo "$?:$(grep -c 'error\[allow.missing\]' "$W/err")"
}
for line in 'mounts: ["../outside:/o"]' 'container: {capabilities: {add: [NET_RAW]}}' \
	'container: {seccomp: unconfined}'; do
	printf 'duet: 1\nimage: {from: scratch}\ntarget:\n  %s\n' "$line" >project/duet.yaml
	# what the plan lists needs a word for it
	has "Y5: the plan lists $line" "$("$DUET" plan --store "$W/store" -f project/duet.yaml)" \
		'reaches outside the project'
	is "Y5: $line" "$(gate)" 125:1
	has "Y5: $line: the word is named" "$(cat "$W/err")" '--allow'
	is "Y5: $line: another word" "$(gate --allow capabilities=CHOWN --allow "mounts=$W/project")" 125:1
	[ "$(gate --allow seccomp,capabilities=NET_RAW --allow "mounts=$W/outside")" = 127:0 ]
	control_if $? 'with the gate open (--allow) it goes through'
done
# a link in the project is no way out
ln -s ../outside project/link
printf 'duet: 1\nimage: {from: scratch}\ntarget: {mounts: ["./link:/o"]}\n' >project/duet.yaml
is 'Y5: through a link in the project' "$(gate)" 125:1

row Y6 check 'a spec that is a FIFO, a device, or changes while it is read'
mkfifo fifo.yaml
refused 'Y6: a FIFO' fifo.yaml
refused 'Y6: a device' /dev/zero
refused 'Y6: a folder' project
for number in 1 2; do
	{
		printf 'duet: 1\nname: v%d\nimage: {from: scratch}\ntarget: {hostname: v%d}\n' $number $number
		head -c 60000 /dev/zero | tr '\0' '#'
	} >swap-$number
done
cp swap-1 swap.yaml
(while :; do
	cp swap-2 swap.new && mv swap.new swap.yaml
	cp swap-1 swap.new && mv swap.new swap.yaml
done) &
swapper=$!
for _ in $(seq 100); do
	"$DUET" run --store "$W/store" --explain -f swap.yaml -- true 2>&1 | sed -n 's/^hostname *//p'
done | sort | uniq -c >"$W/seen"
kill $swapper
wait $swapper 2>/dev/null
is 'Y6: one version or the other' "$(awk '{ n += $1 } $2 !~ /^v[12]$/ { print }
	END { print n }' "$W/seen")" 100
for target in /dev/zero "$W/fifo.yaml" "$W/outside"; do
	ln -sfn "$target" project/env
	printf 'duet: 1\nimage: {from: scratch}\ntarget: {env_file: ./env}\n' >project/duet.yaml
	refused "Y6: env_file -> ${target##*/}" project/duet.yaml --allow paths
done
# a name that nobody said leads out of the folder through no link, and nothing of what is there is shown
echo "token-$$: [" >"$W/token"
mkdir found
ln -s ../token found/duet.yaml
"$DUET" check -C found >"$W/out" 2>&1
is 'Y6: duet.yaml is a link out of its folder' "$?:$(grep -c 'error\[allow.missing\]: open duet.yaml' "$W/out")" 1:1
is 'Y6: nothing of it is shown' "$(grep "token-$$" "$W/out")" ''
has 'Y6: named by -f it is the user'"'"'s word' "$("$DUET" check -f found/duet.yaml 2>&1)" "found/duet.yaml:2:1: error[spec"
mv swap.yaml found/there.yaml
ln -sfn there.yaml found/duet.yaml
is 'Y6: a link that stays inside' "$("$DUET" check -C found 2>&1)" 'duet: note: duet.yaml is a valid spec'
$PYTHON "$SRC/tests/run/box.py" 1 64 cat fifo.yaml >/dev/null 2>&1
[ $? = 240 ]
control_if $? 'cat: waits for ever'
finish
