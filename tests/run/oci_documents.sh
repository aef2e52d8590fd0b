#!/bin/bash
# OCI and Docker documents made by others (umoci, buildah, skopeo, podman) are read right.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99

need umoci skopeo buildah
cp "$BUILD/tests/run/oci_probe" "$W/bin/" || skip 'oci_probe is not built'
probe=$W/bin/oci_probe
cd "$W" || exit 1
mkdir tmp
# nothing of this machine's images is touched
export TMPDIR=$W/tmp XDG_RUNTIME_DIR=$W/tmp
skopeo() {
	command skopeo --insecure-policy --tmpdir "$W/tmp" "$@"
}
buildah() {
	command buildah --root "$W/containers" --runroot "$W/tmp/run" --storage-driver vfs "$@"
}

# field FILE EXPRESSION: of a JSON document, as `d`
field() {
	"$PYTHON" -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$1" "$2"
}

# blob LAYOUT DIGEST
blob() {
	echo "$1/blobs/sha256/${2#sha256:}"
}

# ---- umoci: a layout with two tags, two layers -------------------------------------------------
umoci init --layout "$W/oci"
umoci new --image oci:v1
for number in 1 2; do
	umoci unpack --rootless --image oci:v1 bundle$number >/dev/null 2>&1
	echo $number >bundle$number/rootfs/file$number
	umoci repack --image oci:v1 bundle$number >/dev/null 2>&1
done
umoci config --image oci:v1 --config.env 'A=b c=d' --config.label 'org.x=y z' --config.user 33:33 \
	--config.entrypoint /bin/sh --config.entrypoint -c --config.cmd 'echo "x"' \
	--config.workingdir /srv --config.volume /data --config.exposedports 80/tcp \
	--config.stopsignal SIGQUIT --created 2024-01-02T03:04:05Z
umoci tag --image oci:v1 v2
umoci config --image oci:v2 --config.user nobody
wanted=$(field oci/index.json 'next(m["digest"] for m in d["manifests"]
	if m["annotations"]["org.opencontainers.image.ref.name"] == "v1")')
has 'umoci: the tag is found' "$($probe layout oci/index.json v1 2>&1)" "leads to $wanted "
has 'umoci: another tag' "$($probe layout oci/index.json v3 2>&1)" 'there is v1, v2'
manifest=$(blob oci "$wanted")
config=$(field "$manifest" 'd["config"]["digest"]')
has 'umoci: the manifest leads to its config' \
	"$($probe pick "$manifest" application/vnd.oci.image.manifest.v1+json linux/amd64 2>&1)" \
	"leads to $config "
# what must be said of it, whoever wrote the documents
process='entrypoint /bin/sh
entrypoint -c
command echo "x"
env A=b c=d
label org.x=y z
volume /data
port 80/tcp
user 33:33 workdir /srv signal SIGQUIT'
diff_ids=$(field "$(blob oci "$config")" '"\n".join(d["rootfs"]["diff_ids"])')

# check_image NAME OUTPUT
check_image() {
	is "$1: process" "$(echo "$2" | sed -n '/^entrypoint/,$p')" "$process"
	is "$1: diff-ids" "$(echo "$2" | sed -n 's/^\(gzip\|zstd\|plain\) \(sha256:[^ ]*\) .*/\2/p')" \
		"$diff_ids"
	has "$1: created" "$2" 'created 1704164645'
	has "$1: platform" "$2" 'platform linux/amd64'
}

check_image umoci "$($probe image "$manifest" "$(blob oci "$config")" "$wanted" 2>&1)"
has 'umoci: another digest' \
	"$($probe image "$manifest" "$(blob oci "$config")" "${wanted%?????}00000" 2>&1)" \
	'error[fetch.digest]'
cp "$(blob oci "$config")" config.json
sed -i 's/33:33/44:44/' config.json
has 'umoci: another config' "$($probe image "$manifest" config.json "$wanted" 2>&1)" \
	'error[fetch.digest]'

head -c 4194305 /dev/zero | tr '\0' ' ' >large.json
has 'a manifest that is too large' "$($probe pick large.json '' linux/amd64 2>&1)" 'error[oci.refused]'

# ---- skopeo: every format and compression ------------------------------------------------------
# check_dir NAME: a folder that skopeo wrote
check_dir() {
	config=$(field "$1/manifest.json" 'd["config"]["digest"][7:]')
	type=$(field "$1/manifest.json" 'd.get("mediaType", "")')
	has "$1: its kind" "$($probe pick "$1/manifest.json" "$type" linux/amd64 2>&1)" 'manifest to '
	check_image "$1" "$($probe image "$1/manifest.json" "$1/$config" 2>&1)"
}
skopeo copy -q --format v2s2 oci:oci:v1 dir:docker
check_dir docker
has 'docker: it is told' "$($probe image docker/manifest.json "docker/$config")" ' docker'
skopeo copy -q --dest-compress --dest-compress-format zstd oci:oci:v1 oci:zstd:v1
skopeo copy -q --dest-decompress oci:oci:v1 dir:plain
manifest=$(blob zstd "$(field zstd/index.json 'd["manifests"][0]["digest"]')")
check_image zstd "$($probe image "$manifest" "$(blob zstd "$(field "$manifest" 'd["config"]["digest"]')")")"
check_dir plain

# ---- docker archives ---------------------------------------------------------------------------
# check_archive NAME FILE TAG
check_archive() {
	rm -rf layers
	mkdir layers
	out=$($probe archive "$2" "$3" layers 2>"$W/archive.log") || cat "$W/archive.log"
	check_image "$1" "$out"
	for layer in layers/*; do
		is "$1: a layer copied out" "$(sha256sum <"$layer" | cut -d' ' -f1)" "${layer#layers/}"
	done
}
skopeo copy -q oci:oci:v1 docker-archive:one.tar:example.org/team/web:v1
check_archive 'skopeo docker-archive' one.tar ''
check_archive 'skopeo docker-archive by tag' one.tar v1
check_archive 'skopeo docker-archive by name' one.tar team/web:v1
has 'another name' "$($probe archive one.tar v2 2>&1)" 'there is example.org/team/web:v1'
gzip -k one.tar
check_archive 'gzip of an archive' one.tar.gz v1
zstd -q -k one.tar
check_archive 'zstd of an archive' one.tar.zst v1
# as docker of old: folders, a layer as a link to another's
mkdir -p old
tar -xf one.tar -C old
"$PYTHON" - old old.tar <<'END'
import json, os, sys, tarfile
folder, out = sys.argv[1:]
manifest = json.load(open(folder + "/manifest.json"))
layers = manifest[0]["Layers"]
names = []
with tarfile.open(out, "w") as tar:
    for number, layer in enumerate(layers):
        name = "%064x/layer.tar" % number
        if number == 0:
            tar.add(os.path.join(folder, layer), name)
        else:
            real = "%064x.tar" % number
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, "../" + real
            tar.addfile(link)
            tar.add(os.path.join(folder, layer), real)
        names.append(name)
    manifest[0]["Layers"] = names
    json.dump(manifest, open(folder + "/manifest.json", "w"))
    tar.add(os.path.join(folder, manifest[0]["Config"]), manifest[0]["Config"])
    tar.add(folder + "/manifest.json", "manifest.json")
END
check_archive 'layers behind links' old.tar v1
# hostile ones
hostile() {
	"$PYTHON" - "$1" "$2" "$3" <<'END'
import io, json, sys, tarfile
kind, source, out = sys.argv[1:]
tar = tarfile.open(source)
manifest = json.load(tar.extractfile("manifest.json"))
files = {m.name: tar.extractfile(m).read() for m in tar if m.isreg()}
layer = manifest[0]["Layers"][0]
config = manifest[0]["Config"]
links = {}
if kind == "layer":
    files[layer] = files[layer][:-1] + b"x"
elif kind == "config":
    files[config] = files[config].replace(b"33:33", b"44:44")
elif kind == "missing":
    del files[layer]
elif kind == "loop":
    del files[layer]
    links[layer] = layer
elif kind == "outside":
    del files[layer]
    links[layer] = "../" * 9 + "etc/passwd"
elif kind == "upwards":
    manifest[0]["Layers"][0] = "../../etc/passwd"
elif kind == "long":
    manifest[0]["x"] = "x" * (5 << 20)
elif kind == "map":
    manifest = {"manifests": manifest}
with tarfile.open(out, "w") as tar:
    files["manifest.json"] = json.dumps(manifest).encode()
    for name, data in files.items():
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    for name, target in links.items():
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.SYMTYPE, target
        tar.addfile(info)
END
	has "hostile archive: $1" "$($probe archive "$3" '' 2>&1)" "$4"
}
hostile layer one.tar bad.tar 'error[fetch.digest]'
hostile config one.tar bad.tar 'error[fetch.digest]'
hostile missing one.tar bad.tar 'there is no file'
hostile loop one.tar bad.tar 'there is no file'
hostile outside one.tar bad.tar 'there is no file'
hostile upwards one.tar bad.tar 'no name in an archive'
hostile long one.tar bad.tar 'more than 4194304 bytes'
hostile map one.tar bad.tar 'no JSON list'
head -c 2000 one.tar >bad.tar
has 'an archive cut short' "$($probe archive bad.tar '' 2>&1)" 'error['
has 'no archive at all' "$($probe archive oci/index.json '' 2>&1)" 'error['

# ---- indexes: buildah's manifest list ----------------------------------------------------------
if buildah manifest create many >/dev/null 2>buildah.log; then
	# one image under many names: what is looked at is the list
	for platform in amd64 arm64/v8 arm/v6 arm/v7; do
		umoci config --image oci:v1 --tag "${platform%%/*}" --author "$platform"
		case $platform in
		*/*) variant=${platform#*/} ;;
		*) variant= ;;
		esac
		buildah manifest add --os linux --arch "${platform%%/*}" --variant "$variant" many \
			"oci:$W/oci:${platform%%/*}" >/dev/null 2>>buildah.log
	done
	buildah manifest push many "oci:$W/many:v1" >/dev/null 2>>buildah.log
fi
if [ -e many/index.json ]; then
	index=$(blob many "$(field many/index.json 'd["manifests"][0]["digest"]')")
	# entry OS/ARCHITECTURE[/VARIANT]: the digest that the list has
	entry() {
		field "$index" 'next(m["digest"] for m in d["manifests"] if "/".join(filter(None, map(
			m["platform"].get, ("os", "architecture", "variant")))) == "'"$1"'")'
	}
	for platform in linux/amd64 linux/arm64/v8 linux/arm/v6 linux/arm/v7; do
		has "buildah: $platform" "$($probe pick "$index" '' $platform 2>&1)" \
			"leads to $(entry $platform) "
	done
	has 'buildah: arm is v7' "$($probe pick "$index" '' linux/arm 2>&1)" "$(entry linux/arm/v7)"
	has 'buildah: another platform' "$($probe pick "$index" '' linux/s390x 2>&1)" 'linux/arm/v6'
else
	tail -n 3 buildah.log
fi
# an index by hand: every kind of entry that is met
"$PYTHON" - "$wanted" "$(stat -c %s "$(blob oci "$wanted")")" >hand.json <<'END'
import json, sys
digest, size = sys.argv[1], int(sys.argv[2])
def entry(os, architecture, **more):
    return dict(mediaType="application/vnd.oci.image.manifest.v1+json", digest=digest, size=size,
                platform=dict(os=os, architecture=architecture, **more))
other = entry("linux", "arm64", variant="v8")
other["digest"] = "sha256:" + "0" * 64
unknown = entry("unknown", "unknown")
unknown["digest"] = "sha256:" + "1" * 64
print(json.dumps(dict(schemaVersion=2, mediaType="application/vnd.oci.image.index.v1+json",
                      manifests=[unknown, other, entry("linux", "amd64")])))
END
has 'by hand: amd64' "$($probe pick hand.json '' linux/amd64)" "leads to $wanted "
has 'by hand: arm64' "$($probe pick hand.json '' linux/arm64)" 'sha256:00000000'
has 'by hand: not there' "$($probe pick hand.json '' linux/riscv64)" 'error[oci.platform]'
finish
