#!/bin/bash
# Package managers in run steps, as root, as a user with subuids and in single-uid mode: each
# installs something, it is there when the image runs; what cannot be says what duet.yaml(5) has.
#
# In short: dpkg over layers, installed in one step, upgraded in the next, purged in a third;
# programs that become another user. DUET_SOAK=1: apt, pip, npm and cargo too, from the archive of
# Debian and the registry of npm; for root on a VM as well.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
[ "$(id -u)" = 0 ] || skip 'needs root, to make users'
command -v dpkg-deb >/dev/null || skip 'dpkg-deb is not installed'
# hosts let everybody use it; where this one does not, a mount namespace of the test does
with_tun() {
	unshare -m sh -c 'mount --make-rprivate / && mkdir -p /dev/net &&
		mount -t tmpfs tun /dev/net && mknod -m 666 /dev/net/tun c 10 200 &&
		exec "$@"' sh "$@"
}
fetch=
if [ -n "${DUET_SOAK-}" ] && [ -z "${DUET_TEST_TUN-}" ]; then
	if with_tun true 2>/dev/null; then
		export DUET_TEST_TUN=yes
		with_tun bash "$0" "$@"
		exit
	fi
	echo 'left out: what fetches: no device for a network can be made here'
elif [ -n "${DUET_SOAK-}" ]; then
	fetch=yes
fi
debian_root
things=$W/things
mkdir -p "$things"
chmod 755 "$things"

# spec [LINES]: steps over $FROM
FROM="{archive: $ROOT}"
spec() {
	printf '%s\n' 'duet: 1' 'name: managed' "image:" "  from: $FROM" '  steps:' >"$P/duet.yaml"
	more "$@"
}

more() {
	printf '%s\n' "$@" >>"$P/duet.yaml"
}

build() {
	as "$who" "$DUET" build --store "$store" -f "$P/duet.yaml" >"$W/id" 2>"$W/err"
}

run() {
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" -- "$@" </dev/null 2>"$W/run.err"
}

# built NAME: as build; what the steps printed, when it fails
built() {
	build
	built=$?
	is "$1: exit code" $built 0
	[ $built = 0 ] || cat "$W/err"
	return $built
}

# of_three ROOT-AND-MANY ONE: what this user should see
of_three() {
	if [ "$who" = one ]; then
		echo "$2"
	else
		echo "$1"
	fi
}

# ---- dpkg ----------------------------------------------------------------------------------------

# control FILE NAME VERSION
control() {
	printf '%s\n' "Package: $2" "Version: $3" 'Architecture: all' \
		'Maintainer: none <none@example.org>' 'Description: made by a test of duet' >"$1"
}

# deb VERSION: a package with owners, modes, a conffile, a link that moves, a file that goes, and
# scripts that do what those of Debian's daemons do
deb() {
	tree=$W/deb-$1
	mkdir -p "$tree/DEBIAN" "$tree/etc" "$tree/usr/bin" "$tree/var/lib/owned"
	control "$tree/DEBIAN/control" owned "$1"
	echo /etc/owned.conf >"$tree/DEBIAN/conffiles"
	echo "setting = $1" >"$tree/etc/owned.conf"
	printf '#!/bin/sh\necho version %s\n' "$1" >"$tree/usr/bin/owned-$1"
	ln -s "owned-$1" "$tree/usr/bin/owned"
	echo data >"$tree/var/lib/owned/data"
	chmod 755 "$tree/usr/bin/owned-$1"
	chmod 2750 "$tree/var/lib/owned"
	chmod 640 "$tree/var/lib/owned/data"
	chown -R 0:0 "$tree"
	chown 33:8 "$tree/var/lib/owned" "$tree/var/lib/owned/data"
	cat >"$tree/DEBIAN/postinst" <<-'END'
		#!/bin/sh
		set -e
		[ "$1" = configure ] || exit 0
		id owned >/dev/null 2>&1 || useradd --system --home-dir /var/lib/owned owned
		install -d -o owned -g owned -m 750 /var/lib/owned/run
		chown -R owned: /var/lib/owned/run
		touch /var/lib/owned/run/made
		chown owned:adm /var/lib/owned/run/made
		chmod 4711 /var/lib/owned/run/made
		dpkg-divert --quiet --package owned --rename --add /usr/bin/hostid
		dpkg-statoverride --list /usr/bin/wall >/dev/null ||
			dpkg-statoverride --update --add owned tty 2755 /usr/bin/wall
	END
	cat >"$tree/DEBIAN/postrm" <<-'END'
		#!/bin/sh
		set -e
		[ "$1" = purge ] || exit 0
		rm -rf /var/lib/owned/run
		dpkg-statoverride --remove /usr/bin/wall
		chown root:tty /usr/bin/wall
		chmod 2755 /usr/bin/wall
		dpkg-divert --quiet --package owned --rename --remove /usr/bin/hostid
		userdel owned
	END
	chmod 755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/postrm"
	dpkg-deb -Zgzip --build "$tree" "$things/owned_$1.deb" >/dev/null
}

# The state of what the package has, as the image sees it.
deb_state='dpkg-query -W -f "\${Status} \${Version}\n" owned 2>/dev/null; cat /etc/owned.conf; owned
	ls -1 /usr/bin/owned* /usr/bin/hostid*
	stat -c "%n %a %U:%G" /var/lib/owned /var/lib/owned/* /var/lib/owned/run/made /usr/bin/wall
	id -un owned'

dpkg_steps() {
	mkdir -p "$P/debs"
	cp "$things"/owned_*.deb "$P/debs/"
	spec '    - copy: ./debs/' '      to: /debs/' \
		'    - run: dpkg -i /debs/owned_1.deb && rm /var/log/dpkg.log' \
		'    - run: echo "setting = mine" >/etc/owned.conf'
	built "$who: dpkg -i" || return
	cp "$W/id" "$W/id.$who"
	[ "$who" = one ] ||
		is "$who: dpkg -i: the same layers as root's" "$(cat "$W/id")" "$(cat "$W/id.root")"
	is "$who: dpkg -i: what is there" "$(run sh -c "$deb_state" 2>&1)" \
		"install ok installed 1
setting = mine
version 1
/usr/bin/hostid.distrib
/usr/bin/owned
/usr/bin/owned-1
$(of_three '/var/lib/owned 2750 www-data:mail
/var/lib/owned/data 640 www-data:mail
/var/lib/owned/run 2750 owned:owned
/var/lib/owned/run/made 4711 owned:adm
/usr/bin/wall 2755 owned:tty' '/var/lib/owned 2750 root:root
/var/lib/owned/data 640 root:root
/var/lib/owned/run 2750 root:root
/var/lib/owned/run/made 4711 root:root
/usr/bin/wall 2755 root:root')
owned"
	more '    - run: dpkg -i --force-confold /debs/owned_2.deb'
	built "$who: dpkg, an upgrade" || return
	out=$(run sh -c "$deb_state" 2>&1)
	has "$who: an upgrade: the new version" "$out" "install ok installed 2
setting = mine
version 2"
	is "$who: an upgrade: what went is gone" "$(echo "$out" | grep owned-1)" ''
	more '    - run: dpkg --purge owned && dpkg --audit'
	built "$who: dpkg --purge" || return
	out=$(run sh -c "$deb_state" 2>&1)
	out=$(echo "$out" | grep -v 'No such file\|not found\|no such user\|cannot')
	is "$who: purged: nothing is left" "$out" "/usr/bin/hostid
/usr/bin/wall 2755 root:$(of_three tty root)"
}
# ---- what the kernel or the filter answers -------------------------------------------------------

# A package with a device in it, which Debian's policy forbids.
device_deb() {
	tree=$W/deb-device
	mkdir -p "$tree/DEBIAN" "$tree/opt"
	control "$tree/DEBIAN/control" device 1
	mknod "$tree/opt/null" c 1 3 &&
		dpkg-deb -Zgzip --build "$tree" "$things/device.deb" >/dev/null
}

# answer WHAT GOT ROOT-AND-MANY ONE: the line that `say` printed behind "= WHAT"
answer() {
	is "$who: $1" "$(printf '%s\n' "$2" | sed -n "/^= $1\$/{n;p;}")" "$(of_three "$3" "$4")"
}

# Programs and what they say, as the manual has it: duet.yaml(5), RUN STEPS.
rights() {
	cp "$things/device.deb" "$P/debs/" 2>/dev/null
	spec '    - copy: ./debs/' '      to: /debs/' '    - run: |' \
		'        exec 2>&1; say() { echo "= $1"; shift; "$@" || true; }' \
		'        say su su -s /bin/sh -c "id -u" daemon' \
		'        say runuser runuser -u daemon -- id -u' \
		'        say setpriv setpriv --reuid 1 id -u' \
		'        say chroot chroot --userspec=daemon / id -u' \
		'        say start-stop-daemon start-stop-daemon -S -c daemon -x /usr/bin/id -- -u' \
		'        say setuid perl -MPOSIX -e "print setuid(1) ? qq(done) : \$!, qq(\\n)"' \
		'        say setgroups perl -e "\$! = 0; \$) = qq(0 1 2); print qq(\$!\\n)"' \
		'        say mknod mknod /null c 1 3; echo "and then $(ls /null 2>&1)"' \
		'        touch /f; chown 5:6 /f; say chown stat -c %u:%g /f' \
		'        install -o daemon /f /g; say install stat -c %U /g' \
		'        [ ! -e /debs/device.deb ] || { echo "= dpkg"' \
		'        dpkg -i /debs/device.deb 2>&1 | grep "^ error"; }'
	built "$who: answers" || return
	out=$(cat "$W/err")
	answer su "$out" 1 'su: cannot set group id: Invalid argument'
	answer runuser "$out" 1 'runuser: cannot set group id: Invalid argument'
	answer setpriv "$out" 1 'setpriv: setresuid failed: Invalid argument'
	answer chroot "$out" 1 'chroot: failed to set group-ID: Invalid argument'
	answer start-stop-daemon "$out" 1 \
		'start-stop-daemon: unable to set gid to 1 (Invalid argument)'
	answer setuid "$out" 'done' 'Invalid argument'
	answer setgroups "$out" '' ''
	answer mknod "$out" 'mknod: /null: Operation not permitted' \
		"and then ls: cannot access '/null': No such file or directory"
	answer chown "$out" 5:6 0:0
	answer install "$out" daemon root
	[ ! -e "$P/debs/device.deb" ] || answer dpkg "$out" \
		" error creating device './opt/null': Operation not permitted" \
		" error setting permissions of '/opt/null.dpkg-new': No such file or directory"
}

# ---- managers that fetch -------------------------------------------------------------------------

# Made here, each in the form that its manager takes.
make_things() {
	mkdir -p "$things/pack/package/bin" "$things/crate/src" "$things/wheels"
	$PYTHON - "$things" <<-'END'
		import base64, hashlib, sys, zipfile

		def wheel(folder, name):
		    info = f"{name}-1.0.dist-info"
		    files = {
		        f"{name}.py": f"def main():\n    print('wheel {name}')\n",
		        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
		        f"{info}/WHEEL":
		            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
		    }
		    record = f"{info}/RECORD,,\n"
		    with zipfile.ZipFile(f"{folder}/{name}-1.0-py3-none-any.whl", "w") as out:
		        for path, text in files.items():
		            digest = hashlib.sha256(text.encode()).digest()
		            digest = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
		            record += f"{path},sha256={digest},{len(text)}\n"
		            out.writestr(path, text)
		        out.writestr(f"{info}/RECORD", record)

		wheel(sys.argv[1], "duetone")
		wheel(sys.argv[1] + "/wheels", "duettwo")
	END
	printf '{"name": "duet-pack", "version": "1.0.0", "bin": {"duet-pack": "bin/cli.js"}}\n' \
		>"$things/pack/package/package.json"
	printf '#!/usr/bin/env node\nconsole.log("tgz " + process.version.slice(0, 1));\n' \
		>"$things/pack/package/bin/cli.js"
	tar -C "$things/pack" -czf "$things/duet-pack-1.0.0.tgz" package
	rm -r "$things/pack"
	printf '[package]\nname = "duet-crate"\nversion = "1.0.0"\nedition = "2021"\n' \
		>"$things/crate/Cargo.toml"
	printf 'fn main() {\n    println!("crate {}", std::env::args().count());\n}\n' \
		>"$things/crate/src/main.rs"
	# the certificates that this host trusts: its way to the registry may have one of its own
	certificates=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
	cp "$certificates" "$things/ca.pem" 2>/dev/null || : >"$things/ca.pem"
}

# timed NAME LINES: one step more; the seconds that it took
timed() {
	name=$1
	shift
	more "$@"
	start=$(date +%s%N)
	built "$who: $name" || return
	printf '%s: %s: %d.%d s\n' "$who" "$name" $((($(date +%s%N) - start) / 1000000000)) \
		$((($(date +%s%N) - start) / 100000000 % 10))
}

# apt_get NAME PACKAGES: one more step that installs them
apt_get() {
	timed "apt-get install $1" "    - run: apt-get install -y --no-install-recommends $2" \
		'      network: nat' '      environment: {DEBIAN_FRONTEND: noninteractive}' \
		'      cache: [/var/cache/apt, /var/lib/apt/lists]'
}

# there NAME WANTED COMMAND: in the image when it runs
there() {
	is "$who: $1" "$(run sh -c "$3" 2>&1)" "$2"
}

fetching() {
	pip='pip install --break-system-packages'
	cp -r "$things" "$P/"
	spec '    - copy: ./things/' '      to: /src/'
	timed 'apt-get update' '    - run: apt-get update' '      network: nat' \
		'      cache: [/var/cache/apt, /var/lib/apt/lists]' || return
	apt_get 'hello, sudo, ping' 'hello sudo iputils-ping libcap2-bin' || return
	there apt 'Hello, world!' hello
	there 'apt: rights of a file' '/usr/bin/ping cap_net_raw=ep' 'getcap /usr/bin/ping'
	timed 'dpkg -i' '    - run: dpkg -i /src/owned_1.deb' && there dpkg 'version 1' owned
	timed sudo '    - run: "sudo -n id -u 2>&1; sudo -n -u daemon id -u 2>&1; true"'
	is "$who: sudo" "$(grep '^[01]$\|PERM' "$W/err")" "$(of_three '0
1' 'sudo: PERM_SUDOERS: setresuid(-1, 1, -1): Invalid argument
sudo: PERM_SUDOERS: setresuid(-1, 1, -1): Invalid argument')"
	apt_get python3-pip 'python3-pip' &&
		timed 'pip install a wheel' \
			"    - run: $pip /src/duetone-1.0-py3-none-any.whl" &&
		there 'pip: a wheel' 'wheel duetone' duetone
	timed 'pip install --find-links' \
		"    - run: $pip --no-index --find-links /src/wheels duettwo" &&
		there 'pip: from a folder' 'wheel duettwo' duettwo
	apt_get npm npm && timed 'npm install -g of a file' \
		'    - run: npm install -g /src/duet-pack-1.0.0.tgz' &&
		there 'npm: a file' 'tgz v' duet-pack
	timed 'npm install -g from the registry' '    - run: npm install -g is-odd' \
		'      network: nat' '      cache: [/root/.npm]' \
		"      environment: {$registry npm_config_cafile: /src/ca.pem}" &&
		there 'npm: from the registry' true \
			'node -p "require(\"/usr/local/lib/node_modules/is-odd\")(3)"'
	apt_get cargo cargo && timed 'cargo install' \
		'    - run: cargo install --offline --path /src/crate --root /usr/local' &&
		there cargo 'crate 1' duet-crate
	[ "$who" != root ] || on_vm
}

# Packages whose scripts become another user: what duet.yaml(5) says of them.
become() {
	spec '    - run: apt-get update' '      network: nat' \
		'      cache: [/var/cache/apt, /var/lib/apt/lists]'
	apt_get 'man-db, postgresql' 'man-db postgresql'
	# apt gives dpkg a terminal, which ends its lines in its own way
	tr -d '\r' <"$W/err" >"$W/said"
	is "$who: man-db" "$(grep '^setpriv:' "$W/said")" \
		"$(of_three '' 'setpriv: setresuid failed: Invalid argument')"
	is "$who: postgresql" "$(grep '^Error:' "$W/said")" \
		"$(of_three '' 'Error: Could not change user id
Error: initdb failed
Error: could not create default cluster. Please create it manually with')"
	if [ "$who" != one ]; then
		apt_get exim4 exim4-daemon-light
		return
	fi
	more '    - run: apt-get install -y --no-install-recommends exim4-daemon-light' \
		'      network: nat' '      environment: {DEBIAN_FRONTEND: noninteractive}' \
		'      cache: [/var/cache/apt, /var/lib/apt/lists]'
	build
	is "$who: exim4: exit code" $? 1
	has "$who: exim4" "$(cat "$W/err")" ' unable to set gid='
}

on_vm() {
	if [ -z "$KERNEL" ]; then
		echo 'left out: on a VM: there is no kernel, or no QEMU'
		return
	fi
	start=$(date +%s)
	sed -i "2atarget: {vm: {kernel: $KERNEL, memory: 512M}}" "$P/duet.yaml"
	out=$(as "$who" "$DUET" run --on vm --store "$store" -f "$P/duet.yaml" -- sh -c \
		'hello; owned; duetone; duettwo; duet-pack; duet-crate' </dev/null 2>"$W/run.err")
	is "$who: all of them on a VM" "$out" 'Hello, world!
version 1
wheel duetone
wheel duettwo
tgz v
crate 1'
	echo "$who: on a VM, its disk made: $(($(date +%s) - start)) s"
}

# What the fetching part needs beside the rest; 1, and why is said, where it is not had.
can_fetch() {
	if ! command -v pasta >/dev/null; then
		echo 'left out: what fetches: pasta (package passt) is not installed'
		return 1
	fi
	host=$(tar -xzOf "$ROOT" ./etc/apt/sources.list |
		sed -n 's,^deb [a-z]*://\([^/:]*\).*,\1,p' | head -n 1)
	if ! getent hosts "${host:-none}" >/dev/null; then
		echo 'left out: what fetches: the mirror of the root is not reached'
		return 1
	fi
	registry=$(npm config get registry 2>/dev/null)
	registry=${registry:+npm_config_registry: \"$registry\",}
}

for version in 1 2; do
	deb $version
done
device_deb || echo 'a package with a device: left out, no device can be made here'
echo 'left out: apk: Debian has no package of it, nor has npm'
KERNEL=
[ -z "$fetch" ] || can_fetch || fetch=
if [ -n "$fetch" ]; then
	make_things
	if (vm_kernel) >/dev/null 2>&1; then
		vm_kernel
	fi
fi
for who in $(all_users); do
	user_folders "$who" || continue
	dpkg_steps
	rights
	if [ -n "$fetch" ]; then
		fetching
		become
	fi
	no_leftovers "$who" "$store"
	is_sound "$who" "$who" "$store"
done
finish
