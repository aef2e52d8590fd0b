"""What an image's config says, one line a thing: buildah's inspect, or a record of duet's store, made alike.

    image_config.py FILE
"""
import json
import sys

# buildah writes the usual PATH into every image, duet gives it to every job
USUAL = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def ports_of(exposed):
    """Each port with its protocol; buildah keeps a range as it was written, Docker does not."""
    for port in exposed or {}:
        numbers, _, protocol = port.partition("/")
        first, _, last = numbers.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield f"{number}/{protocol or 'tcp'}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    if text.startswith("duet-image"):
        text = text[text.index("{"):text.rindex("}") + 1]
    config = json.loads(text)
    config = config.get("OCIv1", config).get("config", {})
    labels = {k: v for k, v in (config.get("Labels") or {}).items() if not k.startswith("io.buildah")}
    rows = (("env", sorted(e for e in config.get("Env") or [] if e != USUAL)),
            ("user", config.get("User") or ""),
            ("workdir", config.get("WorkingDir") or "/"),
            ("entrypoint", config.get("Entrypoint") or []),
            ("cmd", config.get("Cmd") or []),
            ("labels", sorted(labels.items())),
            ("ports", sorted(ports_of(config.get("ExposedPorts")))),
            ("volumes", sorted(config.get("Volumes") or {})),
            ("stop", config.get("StopSignal") or ""))
    for key, value in rows:
        print(key, value)


main()
