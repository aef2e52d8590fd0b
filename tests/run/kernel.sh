#!/bin/bash
# Kernels of VMs from a mirror, made and signed here: found, verified, locked; what can be wrong with a mirror, and
# with packages that are signed and hostile all the same. Kernels from elsewhere: kernel_here.sh.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
# shellcheck source=tests/run/kernel_lib.sh
. "$SRC/tests/run/kernel_lib.sh"

is 'the order of modules' "$($PYTHON - "$make" "$W/modules" <<'EOF'
import importlib.util, sys
spec = importlib.util.spec_from_file_location("kernel_make", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.read_newc(sys.argv[2])["modules/order"].decode())
EOF
)" 'base virtio virtio_ring virtio_pci virtio_console
disk virtio_blk crc32c_intel? libcrc32c erofs overlay
scratch jbd2 ext4'
mv "$M" "$M.gone"
tool debian
is 'offline with a pin' "$code: $out" "0: $good"
rm -rf "$store"
tool debian
refused 'offline without a pin' fetch.failed 'No such file'
mv "$M.gone" "$M"

mirror by-hash Acquire-By-Hash=yes 'Valid-Until=Fri, 01 Jan 2100 00:00:00 UTC'
tool debian
is 'by hash, not expired' "$code: $out" "0: $good"

# the lock: the same one again, and no other unless it is asked for
mirror good
mkdir "$W/locked"
printf '%s\n' 'duet: 1' 'name: locked' 'image: {from: scratch}' 'on: vm' 'target: {command: x}' \
	>"$W/locked/duet.yaml"
"$DUET" lock --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a lock: exit code' "$?: $(tail -n 1 "$W/err")" '0: take apart linux-image-6.1.0-7-cloud-amd64 7-1'
has 'a lock: the package' "$(cat "$W/locked/duet.lock")" "sha256:$(sha256sum <"$W/good.deb" | cut -d ' ' -f 1)"
has 'a lock: the release' "$(cat "$W/locked/duet.lock")" "\"release\": \"$release\""
"$DUET" lock --check --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a lock: the archive says the same' "$?: $(cat "$W/out")" '0: '
kernel_make deb "$W/newer.deb" 6.1.0-8-cloud-amd64
package=$W/newer.deb mirror newer
"$DUET" lock --check --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a newer kernel: lock --check' $? 1
has 'a newer kernel: the drift' "$(cat "$W/out")" "locked is $release, sha256:"
"$DUET" lock --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a newer kernel, the locked one gone: exit code' $? 1
has 'a newer kernel, the locked one gone: said so' "$(cat "$W/err")" \
	'error[lock.differs]: find a kernel: the mirror lacks the kernel that is locked'
"$DUET" lock --frozen --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
has 'frozen without the kernel' "$(cat "$W/err")" \
	"kernel $release sha256:$(sha256sum <"$W/good.deb" | cut -d ' ' -f 1) is not in the store"
"$DUET" lock --update kernel --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a newer kernel: lock --update' $? 0
has 'a newer kernel: it is locked' "$(cat "$W/locked/duet.lock")" '"release": "6.1.0-8-cloud-amd64"'
"$DUET" lock --frozen --store "$store" -C "$W/locked" >"$W/out" 2>"$W/err"
is 'a newer kernel: frozen' "$?: $(cat "$W/err")" '0: '

# over plain http, which signatures and digests make good enough
mirror http
: >"$W/server"
(cd "$M" && exec $PYTHON -m http.server --bind 127.0.0.1 0) >"$W/server" 2>&1 &
server=$!
for _ in $(seq 50); do
	port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$W/server")
	[ -z "$port" ] || break
	sleep 0.1
done
if [ -n "$port" ]; then
	export DUET_DEBIAN_MIRROR=http://127.0.0.1:$port/
	tool debian
	is 'over http' "$code: $out" "0: $good"
	rm -rf "$store" "$M/dists/bookworm/InRelease"
	tool debian
	refused 'http: 404' fetch.failed 'not found (404)'
	head -c 5000000 /dev/zero | tr '\0' 'x' >"$M/dists/bookworm/InRelease"
	tool debian
	refused 'http: an endless InRelease' fetch.failed 'more than 4194304 bytes'
	sign "$M"
	path=$(find "$M/pool" -name '*.deb')
	printf x | dd of="$path" bs=1 seek=500 conv=notrunc status=none
	tool debian
	refused 'http: another package' fetch.digest 'digest differs'
	sed -i s/.deb/.dec/ "$M/dists/bookworm/main/binary-amd64/Packages.xz"
	printf y >>"$M/dists/bookworm/main/binary-amd64/Packages.xz"
	tool debian
	refused 'http: another list' fetch.digest 'were expected'
	export DUET_DEBIAN_MIRROR=ftp://127.0.0.1/
	tool debian
	refused 'another scheme' fetch.failed 'is neither https nor http'
fi

# ---- what can be wrong with a mirror ----------------------------------------------------------

mirror other-key
sign "$M" other
tool debian
refused 'signed by another' fetch.signature 'none of the keys that are trusted'
has 'signed by another: mend' "$err" 'DUET_DEBIAN_KEYRING=FILE'

# both keys: one that is trusted will do
gpg --batch --quiet --yes --pinentry-mode loopback --passphrase '' -u good@example.org \
	-u other@example.org --digest-algo SHA256 --clearsign \
	--output "$M/dists/bookworm/InRelease" "$M/dists/bookworm/Release"
tool debian
is 'signed by two, one of them known' "$code: $out" "0: $good"

mirror changed
sed -i 's/^Origin: Test/Origin: Evil/' "$M/dists/bookworm/InRelease"
tool debian
refused 'changed after it was signed' fetch.signature 'its signature is wrong'

mirror weak
gpg --batch --quiet --yes --pinentry-mode loopback --passphrase '' -u good@example.org \
	--digest-algo SHA1 --clearsign --output "$M/dists/bookworm/InRelease" \
	"$M/dists/bookworm/Release" 2>/dev/null
if grep -q 'Hash: SHA1' "$M/dists/bookworm/InRelease"; then
	tool debian
	refused 'signed with SHA-1' fetch.signature 'it is signed with a weak hash'
fi

mirror unsigned
cp "$M/dists/bookworm/Release" "$M/dists/bookworm/InRelease"
tool debian
refused 'not signed' fetch.signature 'there is text outside of what is signed'

mirror wrapped
{ echo 'Codename: bookworm'; cat "$M/dists/bookworm/InRelease"; } >"$W/wrapped"
cp "$W/wrapped" "$M/dists/bookworm/InRelease"
tool debian
refused 'text before what is signed' fetch.signature 'there is text outside of what is signed'

mirror cut
head -c 400 "$M/dists/bookworm/InRelease" >"$W/cut"
cp "$W/cut" "$M/dists/bookworm/InRelease"
tool debian
refused 'InRelease cut off' fetch.signature 'its signature is cut off'

mirror rubbish
sed -i '/^-----BEGIN PGP SIGNATURE/,/^-----END/s/[a-z]/A/g' "$M/dists/bookworm/InRelease"
tool debian
refused 'a damaged signature' fetch.signature ''

mirror large
head -c 5000000 /dev/zero >>"$M/dists/bookworm/InRelease"
tool debian
refused 'InRelease too large' fetch.failed 'more than 4194304 bytes'

mirror expired 'Valid-Until=Fri, 01 Jan 2021 00:00:00 UTC'
tool debian
refused expired fetch.signature 'the signed list expired: it was valid until Fri, 01 Jan 2021'
has 'expired: mend' "$err" 'check the clock'

mirror suite codename=trixie
tool debian
refused 'of another suite' fetch.signature 'is of trixie, not of bookworm'

mirror list
echo x >>"$M/dists/bookworm/main/binary-amd64/Packages.xz"
tool debian
refused 'a longer list' fetch.failed 'has more than'

mirror list-changed
printf x | dd of="$M/dists/bookworm/main/binary-amd64/Packages.xz" bs=1 seek=40 conv=notrunc status=none
tool debian
refused 'a changed list' fetch.digest 'digest differs'

mirror no-list
rm "$M/dists/bookworm/main/binary-amd64/Packages.xz"
tool debian
refused 'no list' fetch.failed 'No such file'

mirror no-meta drop=meta
tool debian
refused 'no kernel in the list' fetch.failed 'has no package linux-image-cloud-amd64'

mirror no-image drop=image
tool debian
refused 'a kernel that is not there' fetch.failed "has no package linux-image-$release 7-1"

mirror package-changed
printf x | dd of="$(find "$M/pool" -name '*.deb')" bs=1 seek=500 conv=notrunc status=none
tool debian
refused 'a changed package' fetch.digest 'digest differs'

mirror package-cut
truncate -s -1 "$(find "$M/pool" -name '*.deb')"
tool debian
refused 'a package cut off' fetch.digest 'digest differs'

mirror package-gone
rm "$(find "$M/pool" -name '*.deb')"
tool debian
refused 'no package' fetch.failed 'No such file'

mirror no-keyring
DUET_DEBIAN_KEYRING=$W/absent.gpg tool debian
refused 'no keyring' host.missing 'No such file'

# ---- which mirror -----------------------------------------------------------------------------

mirror apt
kernel_make deb "$W/newer.deb" 6.1.0-10-cloud-amd64
kernel_make mirror "$M-security" "$W/newer.deb" 10-1 suite=bookworm-security
sign "$M-security" good bookworm-security
unset DUET_DEBIAN_MIRROR
export DUET_APT_SOURCES=$W/apt
mkdir -p "$W/apt/sources.list.d"
tool debian
refused 'no sources' host.missing "apt's sources of this machine name none for bookworm"
has 'no sources: mend' "$err" 'DUET_DEBIAN_MIRROR='
echo "deb file://$M bookworm main" >"$W/apt/sources.list"
tool debian
is 'a mirror of sources.list' "$code: $out" "0: $good"
rm -rf "$store"
printf 'Types: deb\nURIs: file://%s-security\nSuites: bookworm-security\nComponents: main\n' "$M" \
	>"$W/apt/sources.list.d/security.sources"
tool debian
taken 'the newer one of two suites' 6.1.0-10-cloud-amd64
rm -rf "$store" "$W/apt/sources.list.d/security.sources"
unset DUET_APT_SOURCES

# ---- packages, signed, and hostile all the same -----------------------------------------------

# bad NAME CLASS TEXT OPTION...
bad() {
	bad_name=$1 bad_class=$2 bad_text=$3
	shift 3
	kernel_make deb "$W/bad.deb" $release "$@"
	package=$W/bad.deb
	mirror "$bad_name"
	package=
	tool debian
	refused "$bad_name" "$bad_class" "$bad_text"
}

bad 'no Debian package' kernel.refused 'it is not a Debian package' bad=notdeb
bad 'cut data' kernel.refused '' bad=cut
bad 'a path upwards' kernel.refused 'a path with ".." in it' bad=dots
bad 'no kernel' kernel.none 'it has no kernel in it' bad=nokernel
bad 'two kernels' kernel.refused 'more than one kernel' bad=two
bad 'a damaged module' kernel.refused 'module erofs: it is no module' bad=module
bad 'no PVH' kernel.unfit 'lacks the entry for PVH boot (CONFIG_PVH)' pvh=no
bad 'an odd packer' kernel.refused 'packed in a way' pack=odd
bad 'a cut kernel' kernel.refused 'is it cut off?' cut=yes
bad 'no console' kernel.unfit "kernel $release lacks virtio_console (CONFIG_VIRTIO_CONSOLE)" \
	lack=virtio_console
bad 'no two' kernel.unfit 'lacks virtio_blk (CONFIG_VIRTIO_BLK), overlay (CONFIG_OVERLAY_FS)' \
	lack=virtio_blk,overlay
bad 'a gap' kernel.refused 'module erofs needs libcrc32c, which is not there' lack=libcrc32c

# however it is packed, it is the same kernel
for pack in gzip xz zstd lz4 none elf; do
	for data in zst gz none; do
		[ $data = zst ] || [ $pack = gzip ] || continue
		kernel_make deb "$W/packed.deb" $release pack=$pack data=$data
		package=$W/packed.deb
		mirror packed
		package=
		tool debian
		is "$pack in $data" "$code: $out" "0: $good"
	done
done
finish
