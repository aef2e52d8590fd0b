/* The keys `target` and `image.config` of a spec. */
#include "core/spec/values.h"

#include <string.h>

#include "core/jail/caps.h"
#include "core/parse.h"

int spec_read_process(struct spec_reader *r, const struct yaml_node *map, const char *object,
		      struct process *ret)
{
	const struct yaml_node *workdir = yaml_get(map, "workdir");

	spec_argv(yaml_get(map, "entrypoint"), &ret->entrypoint);
	spec_argv(yaml_get(map, "command"), &ret->command);
	if (workdir)
		ret->workdir = spec_inside(workdir->text);
	if (spec_text(r, map, object, "user", &ret->user) < 0)
		return -1;
	return spec_pairs(r, map, object, "environment", &ret->environment);
}

static uint64_t every_capability(void)
{
	uint64_t mask = 0;

	for (unsigned int i = 0; i < 64 && caps_name(i); i++)
		mask |= 1ull << i;
	return mask;
}

static int read_capabilities(struct spec_reader *r, const struct yaml_node *list, bool all_allowed,
			     uint64_t *ret)
{
	uint64_t bit;

	for (size_t i = 0; list && i < list->count; i++) {
		const struct yaml_node *item = &list->items[i];

		if (caps_parse(item->text, &bit)) {
			*ret |= bit;
			continue;
		}
		if (!all_allowed) {
			place_fail(r->err, r->file, item->place, ERR_SPEC_VALUE,
				   "add: ALL is not accepted");
			return err_mend(r->err, "name each capability that the job needs");
		}
		*ret |= every_capability();
	}
	return 0;
}

static int read_container(struct spec_reader *r, const struct yaml_node *map, struct target *ret)
{
	const struct yaml_node *capabilities = yaml_get(map, "capabilities");
	const struct yaml_node *seccomp = yaml_get(map, "seccomp");
	const struct yaml_node *writes = yaml_get(map, "writes");

	if (seccomp && !strcmp(seccomp->text, "unconfined")) {
		ret->seccomp = SECCOMP_UNCONFINED;
		ret->seccomp_place = seccomp->place;
	}
	if (yaml_get(capabilities, "add"))
		ret->capabilities_place = yaml_get(capabilities, "add")->place;
	if (writes && !strcmp(writes->text, "disk"))
		ret->writes = WRITES_DISK;
	if (read_capabilities(r, yaml_get(capabilities, "add"), false, &ret->capabilities_add) < 0)
		return -1;
	return read_capabilities(r, yaml_get(capabilities, "drop"), true, &ret->capabilities_drop);
}

#define VM_MEMORY_UNIT (1ull << 20)

const struct job_vm spec_machine_default = {
	.memory_bytes = 512ull << 20, .cpus = 1, .snapshot = true,
};

static int read_kernel(struct spec_reader *r, const struct yaml_node *node, struct spec_vm *ret)
{
	if (!node || !strcmp(node->text, "auto"))
		return 0;
	if (!strcmp(node->text, "debian") || !strcmp(node->text, "host")) {
		ret->kernel = node->text[0] == 'd' ? KERNEL_DEBIAN : KERNEL_HOST;
		return 0;
	}
	ret->kernel = KERNEL_PATH;
	return spec_host_path(r, schema_find("vm", "kernel"), node, node->text,
			      &ret->kernel_path);
}

static int read_vm(struct spec_reader *r, const struct yaml_node *map, struct spec_vm *ret)
{
	const struct yaml_node *memory = yaml_get(map, "memory"), *cpus = yaml_get(map, "cpus");
	const struct yaml_node *accel = yaml_get(map, "accel"), *root = yaml_get(map, "root_size");
	const struct yaml_node *snapshot = yaml_get(map, "snapshot");
	struct job_vm *machine = &ret->machine;
	uint64_t count = machine->cpus;

	if (memory)
		parse_size(memory->text, &machine->memory_bytes);
	if (machine->memory_bytes % VM_MEMORY_UNIT)
		return place_fail(r->err, r->file, memory->place, ERR_SPEC_VALUE,
				  "memory: %s is no whole number of MiB", memory->text);
	if (cpus)
		parse_u64(cpus->text, &count);
	machine->cpus = (uint32_t)count;
	if (accel && strcmp(accel->text, "auto"))
		machine->accel = !strcmp(accel->text, "kvm") ? ACCEL_KVM : ACCEL_TCG;
	if (root)
		parse_size(root->text, &machine->root_bytes);
	machine->root_bytes &= ~(VM_MEMORY_UNIT - 1);
	machine->snapshot = !snapshot || strcmp(snapshot->text, "off");
	return read_kernel(r, yaml_get(map, "kernel"), ret);
}

int spec_read_target(struct spec_reader *r, const struct yaml_node *map, struct target *ret)
{
	const struct yaml_node *mounts = yaml_get(map, "mounts");
	const struct yaml_node *timeout = yaml_get(map, "timeout");
	const struct yaml_node *network = yaml_get(map, "network");

	ret->network = network && !strcmp(network->text, "nat") ? NETWORK_NAT : NETWORK_NONE;
	if (network)
		ret->network_place = network->place;
	ret->has_command = yaml_get(map, "command") != NULL;
	ret->read_only = spec_is_true(yaml_get(map, "read_only"));
	if (timeout)
		parse_duration_ms(timeout->text, &ret->timeout_ms);
	if (spec_read_process(r, map, "target", &ret->process) < 0 ||
	    spec_env_files(r, map, ret) < 0 ||
	    spec_text(r, map, "target", "hostname", &ret->hostname) < 0)
		return -1;
	if (mounts && spec_read_mounts(r, mounts, ret) < 0)
		return -1;
	if (read_container(r, yaml_get(map, "container"), ret) < 0)
		return -1;
	return read_vm(r, yaml_get(map, "vm"), &ret->vm);
}
