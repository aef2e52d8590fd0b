/* The table of all keys of duet.yaml: see schema.h. Objects in the order of the manual page. */
#include "core/job.h"
#include "core/spec/schema.h"
#include "core/spec.h"

static const char *const source_words[] = { "scratch", NULL };
static const char *const variant_words[] = { "essential", "apt", "minbase", "buildd", "important",
					     "standard", NULL };
static const char *const runner_words[] = { "container", "vm", NULL };
static const char *const network_words[] = { "none", NULL };
static const char *const seccomp_words[] = { "default", "unconfined", NULL };
static const char *const accel_words[] = { "auto", "kvm", "tcg", NULL };
static const char *const snapshot_words[] = { "auto", "off", NULL };
static const char *const writes_words[] = { "memory", "disk", NULL };

const struct schema_key schema_keys[] = {
	{ SCHEMA_TOP, "duet", SCHEMA_VERSION, SCHEMA_ONE, .required = true,
	  .help = "Version of the language; there is one, 1." },
	{ SCHEMA_TOP, "name", SCHEMA_NAME, SCHEMA_ONE, .fallback = "the folder's name",
	  .help = "Name of the image and of its instances." },
	{ SCHEMA_TOP, "image", SCHEMA_NONE, SCHEMA_ONE, "image", .required = true,
	  .help = "What is built." },
	{ SCHEMA_TOP, "on", SCHEMA_WORD, SCHEMA_ONE | SCHEMA_LIST, .words = runner_words,
	  .fallback = "container",
	  .help = "Runners that the spec is for; the first is what duet run takes." },
	{ SCHEMA_TOP, "target", SCHEMA_NONE, SCHEMA_ONE, "target",
	  .help = "What is run, and with what around it." },
	{ SCHEMA_TOP, "$schema", SCHEMA_TEXT, SCHEMA_ONE,
	  .help = "For editors; without meaning to duet." },

	{ "image", "from", SCHEMA_WORD, SCHEMA_ONE, "from", .required = true,
	  .words = source_words, .help = "What the image begins with; scratch is nothing." },
	{ "image", "steps", SCHEMA_NONE, SCHEMA_LIST, "step", .items_max = SPEC_STEPS_MAX,
	  .help = "What is put on top, one layer each, in order." },
	{ "image", "config", SCHEMA_NONE, SCHEMA_ONE, "config",
	  .help = "Process defaults that belong to the image." },

	{ "from.archive", "archive", SCHEMA_REFERENCE, SCHEMA_ONE, .required = true,
	  .expands = true, .help = "A tar archive with a whole root file system." },
	{ "from.archive", "sha256", SCHEMA_SHA256, SCHEMA_ONE,
	  .help = "Digest of the archive as it is stored; required for a URL." },
	{ "from.debian", "debian", SCHEMA_SUITE, SCHEMA_ONE, .required = true,
	  .help = "A Debian root of this suite, such as bookworm or trixie, made by mmdebstrap." },
	{ "from.debian", "packages", SCHEMA_PACKAGE, SCHEMA_LIST,
	  .help = "Packages, with what they depend on, beyond those of the variant." },
	{ "from.debian", "variant", SCHEMA_WORD, SCHEMA_ONE, .words = variant_words,
	  .fallback = "minbase", .help = "What is in it beside the packages (mmdebstrap(1))." },
	{ "from.debian", "mirror", SCHEMA_MIRROR, SCHEMA_ONE, .expands = true,
	  .fallback = "the host's",
	  .help = "Where packages come from; http will do, for all is verified by signature." },
	{ "from.debian", "keyring", SCHEMA_HOST_PATH, SCHEMA_ONE, .expands = true,
	  .fallback = "Debian's", .help = "The keys that sign the suite." },
	{ "from.directory", "directory", SCHEMA_HOST_PATH, SCHEMA_ONE, .required = true,
	  .expands = true, .help = "A folder of the host that holds a root file system." },

	{ "step.archive", "archive", SCHEMA_REFERENCE, SCHEMA_ONE, .required = true,
	  .expands = true, .help = "A tar archive that is unpacked." },
	{ "step.archive", "sha256", SCHEMA_SHA256, SCHEMA_ONE,
	  .help = "Digest of the archive as it is stored; required for a URL." },
	{ "step.archive", "to", SCHEMA_INSIDE, SCHEMA_ONE, .fallback = "/",
	  .help = "Folder of the image to unpack into." },
	{ "step.archive", "strip", SCHEMA_NUMBER, SCHEMA_ONE, .max = 64, .fallback = "0",
	  .help = "Leading components taken off each name in the archive." },

	{ "step.copy", "copy", SCHEMA_HOST_PATH, SCHEMA_ONE, .required = true, .expands = true,
	  .help = "A file or folder beside the spec." },
	{ "step.copy", "to", SCHEMA_INSIDE, SCHEMA_ONE, .required = true,
	  .help = "Where it goes; with a / at the end a file keeps its name below it." },
	{ "step.copy", "owner", SCHEMA_OWNER, SCHEMA_ONE, .fallback = "0:0",
	  .help = "Owner inside, in numbers; without a group the same number is the group." },
	{ "step.copy", "mode", SCHEMA_MODE, SCHEMA_ONE, .fallback = "as on the host",
	  .help = "Mode of files; folders get x where there is r." },

	{ "config", "environment", SCHEMA_TEXT, SCHEMA_LIST | SCHEMA_PAIRS, .expands = true,
	  .help = "Environment: NAME: VALUE pairs, or a list of NAME=VALUE." },
	{ "config", "user", SCHEMA_USER, SCHEMA_ONE, .fallback = "root",
	  .help = "USER or USER:GROUP, as names of the image or as numbers." },
	{ "config", "workdir", SCHEMA_INSIDE, SCHEMA_ONE, .fallback = "/",
	  .help = "Working folder; made when it is missing." },
	{ "config", "entrypoint", SCHEMA_TEXT, SCHEMA_ONE | SCHEMA_LIST,
	  .help = "Put in front of the command; a plain text goes to /bin/sh -c." },
	{ "config", "command", SCHEMA_TEXT, SCHEMA_ONE | SCHEMA_LIST,
	  .help = "What runs unless something else is said; a plain text goes to /bin/sh -c." },
	{ "config", "labels", SCHEMA_TEXT, SCHEMA_LIST | SCHEMA_PAIRS,
	  .help = "Labels: NAME: VALUE pairs, or a list of NAME=VALUE." },

	{ "target", "command", SCHEMA_TEXT, SCHEMA_ONE | SCHEMA_LIST,
	  .fallback = "the image's", .help = "Replaces the image's command." },
	{ "target", "environment", SCHEMA_TEXT, SCHEMA_LIST | SCHEMA_PAIRS, .expands = true,
	  .help = "Added to the image's environment." },
	{ "target", "env_file", SCHEMA_HOST_PATH, SCHEMA_ONE | SCHEMA_LIST, .expands = true,
	  .help = "Files of NAME=VALUE lines, below `environment`; # begins a comment line." },
	{ "target", "workdir", SCHEMA_INSIDE, SCHEMA_ONE, .fallback = "the image's",
	  .help = "Working folder; made when it is missing." },
	{ "target", "user", SCHEMA_USER, SCHEMA_ONE, .fallback = "the image's",
	  .help = "USER or USER:GROUP, as names of the image or as numbers." },
	{ "target", "hostname", SCHEMA_HOSTNAME, SCHEMA_ONE, .fallback = "the spec's name",
	  .help = "Host name inside." },
	{ "target", "mounts", SCHEMA_MOUNT, SCHEMA_LIST, "mount", .expands = true,
	  .items_max = JOB_MOUNTS_MAX,
	  .help = "Folders and files of the host, and memory file systems; writable unless :ro." },
	{ "target", "network", SCHEMA_WORD, SCHEMA_ONE, .words = network_words,
	  .fallback = "none", .help = "The network inside; none has loopback only." },
	{ "target", "read_only", SCHEMA_BOOL, SCHEMA_ONE, .fallback = "false",
	  .help = "Is the root file system read-only?" },
	{ "target", "timeout", SCHEMA_DURATION, SCHEMA_ONE, .fallback = "no limit",
	  .help = "After this time the instance is ended, with exit code 124." },
	{ "target", "container", SCHEMA_NONE, SCHEMA_ONE, "container",
	  .help = "What concerns the container runner only." },

	{ "target", "vm", SCHEMA_NONE, SCHEMA_ONE, "vm",
	  .help = "What concerns the VM runner only." },

	{ "mount.bind", "bind", SCHEMA_HOST_PATH, SCHEMA_ONE, .required = true, .expands = true,
	  .help = "A file or folder of the host." },
	{ "mount.bind", "to", SCHEMA_INSIDE, SCHEMA_ONE, .required = true, .expands = true,
	  .help = "Where it appears." },
	{ "mount.bind", "read_only", SCHEMA_BOOL, SCHEMA_ONE, .fallback = "false",
	  .help = "May it not be written to?" },
	{ "mount.tmpfs", "tmpfs", SCHEMA_INSIDE, SCHEMA_ONE, .required = true, .expands = true,
	  .help = "Where a file system in memory appears." },
	{ "mount.tmpfs", "size", SCHEMA_SIZE, SCHEMA_ONE, .min = 4096, .max = 1ull << 50,
	  .fallback = "half of the memory", .help = "How much it holds at most." },
	{ "mount.tmpfs", "mode", SCHEMA_MODE, SCHEMA_ONE, .fallback = "01777",
	  .help = "Mode of its root folder." },

	{ "container", "capabilities", SCHEMA_NONE, SCHEMA_ONE, "capabilities",
	  .help = "Changes to the default set of capabilities." },
	{ "container", "seccomp", SCHEMA_WORD, SCHEMA_ONE, .words = seccomp_words,
	  .fallback = "default", .help = "The filter of system calls." },
	{ "container", "writes", SCHEMA_WORD, SCHEMA_ONE, .words = writes_words,
	  .fallback = "memory",
	  .help = "Where what the job writes to its root is kept until it ends: memory is quick and "
		  "holds half of the machine's; disk holds what the store's disk does. Before Linux 6.6 "
		  "it is always the disk." },
	{ "capabilities", "add", SCHEMA_CAPABILITY, SCHEMA_LIST,
	  .help = "Given on top of the default set, also after `drop`." },
	{ "capabilities", "drop", SCHEMA_CAPABILITY, SCHEMA_LIST,
	  .help = "Taken from the default set; ALL is every one." },

	{ "vm", "memory", SCHEMA_SIZE, SCHEMA_ONE, .min = 64ull << 20, .max = 1ull << 42,
	  .fallback = "512M", .help = "Memory of the guest, in whole MiB." },
	{ "vm", "cpus", SCHEMA_NUMBER, SCHEMA_ONE, .min = 1, .max = 255, .fallback = "1",
	  .help = "Processors of the guest." },
	{ "vm", "kernel", SCHEMA_KERNEL, SCHEMA_ONE, .fallback = "auto",
	  .help = "auto (the image's own where it will do, else Debian's), debian, host, or the path "
		  "of a kernel's file." },
	{ "vm", "accel", SCHEMA_WORD, SCHEMA_ONE, .words = accel_words, .fallback = "auto",
	  .help = "kvm, tcg (emulated), or auto: KVM where it runs a guest, else TCG, and says so." },
	{ "vm", "root_size", SCHEMA_SIZE, SCHEMA_ONE, .min = 16ull << 20, .max = 1ull << 40,
	  .fallback = "in memory",
	  .help = "Size of a scratch disk for what the job writes to its root, until it ends." },
	{ "vm", "snapshot", SCHEMA_WORD, SCHEMA_ONE, .words = snapshot_words, .fallback = "auto",
	  .help = "auto starts an emulated guest from a saved state, made at the first start; off "
		  "boots it each time." },
	{ 0 }
};
