/*
 * Modules: see modules.h. Stages:
 *
 *	1 the table: every module of the tree by name, and what is built in (table.c)
 *	2 for each feature its modules, with what they depend on, each after what it needs; .modinfo is
 *	  read when a module is come to, and aliases only when a softdep asks for one
 *	3 the archive
 *
 * depmod's lists are not needed (a package has none); modules.alias is used where it is there.
 */
#include "builders/kernel/modules.h"

#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

#include "builders/kernel/config.h"
#include "builders/kernel/newc.h"
#include "builders/kernel/table.h"
#include "builders/kernel/take.h"
#include "core/mem.h"

#define DEPTH_MAX 64	/* modules that each depend on the next one */
#define MATCHES_MAX 64	/* modules of one alias */
#define STEPS_MAX 4000000u	/* aliases that are compared; WANT_STEPS for each module gone after */
#define WANT_STEPS 64u

/* One feature's modules in load order. */
struct wanted {
	size_t module;
	bool optional;
};

struct closure {
	struct wanted *items;	/* owned */
	size_t count, room;
	const struct closure *before;	/* what is loaded already; or NULL */
};

struct root {
	const char *module, *option;
};

static const struct feature {
	const char *name;
	bool required;
	struct root roots[4];
} features[] = {
	{ "base", true,
	  { { "virtio_pci", "CONFIG_VIRTIO_PCI" }, { "virtio_console", "CONFIG_VIRTIO_CONSOLE" } } },
	{ "disk", true,
	  { { "virtio_blk", "CONFIG_VIRTIO_BLK" }, { "erofs", "CONFIG_EROFS_FS" },
	    { "overlay", "CONFIG_OVERLAY_FS" } } },
	{ "scratch", false, { { "ext4", "CONFIG_EXT4_FS" } } },
	{ "net", false, { { "virtio_net", "CONFIG_VIRTIO_NET" } } },
	{ "share", false, { { "virtiofs", "CONFIG_VIRTIO_FS" } } },
};

/* ---- 2 what is needed ------------------------------------------------------------------------ */

static struct wanted *in_closure(const struct closure *closure, size_t module)
{
	for (; closure; closure = closure->before)
		for (size_t i = 0; i < closure->count; i++)
			if (closure->items[i].module == module)
				return &closure->items[i];
	return NULL;
}

static int want(struct table *table, struct closure *closure, struct module *module,
		bool optional, unsigned int depth);

static int want_named(struct table *table, struct closure *closure, const struct module *by,
		      const char *name, bool optional, unsigned int depth)
{
	struct module *module = table_find(table, name);
	_cleanup_free_ char *safe = NULL;

	if (module)
		return want(table, closure, module, optional, depth + 1);
	if (table_has_built_in(table, name))
		return 0;
	safe = str_escape(name, KERNEL_PATH_SHOWN);
	return err_set(table->err, ERR_KERNEL, "module %s needs %s, which is not there", by->name,
		       safe);
}

/*
 * Modules that name each other are gone after again and again: what fails by way of a softdep is tried
 * anew wherever it is named, which in a made-up tree is never over.
 */
static int take_steps(struct table *table, size_t count)
{
	if (count > STEPS_MAX - table->steps) {
		table->steps = STEPS_MAX;
		return err_set(table->err, ERR_KERNEL, "its modules need each other without end");
	}
	table->steps += count;
	return 0;
}

/* What a softdep names may be missing, with all that it needs: then it is left out. */
static int want_softly(struct table *table, struct closure *closure, struct module *module,
		       unsigned int depth)
{
	_cleanup_(err_done) struct err ignored = { 0 };
	struct err *err = table->err;
	size_t count = closure->count;

	table->err = &ignored;
	if (want(table, closure, module, true, depth + 1) < 0)
		closure->count = count;
	table->err = err;
	return take_steps(table, 1);
}

static int by_place(const void *a, const void *b)
{
	const struct module *left = *(struct module *const *)a, *right = *(struct module *const *)b;

	return (left > right) - (left < right);
}

static int want_before(struct table *table, struct closure *closure, const char *name,
		       unsigned int depth)
{
	struct module *module = table_find(table, name), *matches[MATCHES_MAX];
	size_t count = 0;

	if (module)
		return want_softly(table, closure, module, depth);
	if (table_has_built_in(table, name))
		return 0;
	if (table_know_aliases(table) < 0 || take_steps(table, table->alias_names.count) < 0)
		return -1;
	for (size_t i = 0; i < table->alias_names.count && count < MATCHES_MAX; i++) {
		if (fnmatch(table->alias_names.items[i], name, 0))
			continue;
		module = table_find(table, table->alias_modules.items[i]);
		if (module)
			matches[count++] = module;
	}
	/* by name: the same whether the aliases came from a list or from the modules */
	qsort(matches, count, sizeof(matches[0]), by_place);
	for (size_t i = 0; i < count; i++)
		if (want_softly(table, closure, matches[i], depth) < 0)
			return -1;
	return 0;
}

static int want_all_of(struct table *table, struct closure *closure, struct module *module,
		       bool optional, unsigned int depth)
{
	const struct modinfo *info = &module->info;

	for (size_t i = 0; i < info->before.count; i++)
		if (want_before(table, closure, info->before.items[i], depth) < 0)
			return -1;
	for (size_t i = 0; i < info->depends.count; i++)
		if (want_named(table, closure, module, info->depends.items[i], optional, depth) < 0)
			return -1;
	return 0;
}

/* Adds a module behind all that it needs. */
static int want(struct table *table, struct closure *closure, struct module *module,
		bool optional, unsigned int depth)
{
	size_t number = (size_t)(module - table->modules);
	struct wanted *there = in_closure(closure, number);

	if (depth > DEPTH_MAX)
		return err_set(table->err, ERR_KERNEL,
			       "module %s: more than %d modules that need each other", module->name,
			       DEPTH_MAX);
	if (there && (optional || !there->optional))
		return 0;
	/* what it costs to look whether it is there grows with what is */
	if (take_steps(table, WANT_STEPS + closure->count) < 0)
		return -1;
	if (table_know(table, module) < 0 ||
	    want_all_of(table, closure, module, optional, depth) < 0)
		return -1;
	there = in_closure(closure, number); /* the list may have moved */
	if (there) {
		there->optional = false;
		return 0;
	}
	if (closure->count == closure->room) {
		closure->room = closure->room ? closure->room * 2 : 16;
		closure->items = xreallocarray(closure->items, closure->room,
					       sizeof(*closure->items));
	}
	closure->items[closure->count++] = (struct wanted){ number, optional };
	return 0;
}

/* 1: here with all it needs; 0: what it lacks was added to `lacks`; -1. */
static int want_feature(struct table *table, const struct feature *feature,
			struct closure *closure, struct str *lacks)
{
	size_t before = lacks->length;

	for (const struct root *root = feature->roots; root->module; root++) {
		struct module *module = table_find(table, root->module);

		if (!module && !table_has_built_in(table, root->module))
			str_addf(lacks, "%s%s (%s)", lacks->length ? ", " : "", root->module,
				 root->option);
		else if (module && want(table, closure, module, false, 0) < 0)
			return -1;
	}
	return lacks->length == before;
}

/* "FEATURE NAME NAME?\n" */
static void add_line(struct table *table, const struct feature *feature,
		     const struct closure *closure, struct str *order)
{
	str_add(order, feature->name);
	for (size_t i = 0; i < closure->count; i++) {
		struct module *module = &table->modules[closure->items[i].module];

		module->wanted = true;
		str_addf(order, " %s%s", module->name, closure->items[i].optional ? "?" : "");
	}
	str_add(order, "\n");
}

static int find_order(struct table *table, const char *release, struct str *order)
{
	struct closure closures[ARRAY_SIZE(features)] = { 0 };
	_cleanup_(str_done) struct str lacks = { 0 }, ignored = { 0 };
	int result = 0;

	for (size_t i = 0; i < ARRAY_SIZE(features) && result >= 0; i++) {
		closures[i].before = i > 0 ? &closures[0] : NULL;
		result = want_feature(table, &features[i], &closures[i],
				      features[i].required ? &lacks : &ignored);
		if (result == 1)
			add_line(table, &features[i], &closures[i], order);
	}
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		free(closures[i].items);
	if (result >= 0 && lacks.length > 0)
		return err_set(table->err, ERR_KERNEL_UNFIT, "kernel %s lacks %s", release,
			       lacks.text);
	return result < 0 ? err_wrap(table->err, "kernel %s", release) : 0;
}

/* A kernel without modules: each feature with nothing to load, where it is built in. */
static int find_built_in(const char *config, const char *release, struct str *order,
			 struct err *err)
{
	_cleanup_(str_done) struct str lacks = { 0 };
	bool modular = false;

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		bool whole = true;

		for (const struct root *root = features[i].roots; root->module; root++) {
			char value = config ? config_value(config, root->option) : 'y';

			if (value == 'y')
				continue;
			whole = false;
			if (!features[i].required)
				continue;
			modular |= value == 'm';
			str_addf(&lacks, "%s%s (%s)", lacks.length ? ", " : "", root->module,
				 root->option);
		}
		if (whole)
			str_addf(order, "%s\n", features[i].name);
	}
	if (lacks.length == 0)
		return 0;
	err_set(err, ERR_KERNEL_UNFIT, "kernel %s lacks %s", release, lacks.text);
	return modular ? err_mend(err, "it has modules, which are not beside it: ROOT/boot/vmlinuz-%s "
				       "wants ROOT/lib/modules/%s", release, release) : -1;
}

/* ---- 3 the archive --------------------------------------------------------------------------- */

static int add_module(struct table *table, const struct module *module, struct newc *newc)
{
	_cleanup_free_ char *path = xasprintf("modules/%s.ko", module->name);
	struct bytes bytes = { 0 };

	if (table_read_module(table, module, &bytes) < 0)
		return -1;
	newc_add(newc, path, S_IFREG | 0644, bytes.data, bytes.size);
	bytes_done(&bytes);
	if (newc->out.length > KERNEL_ARCHIVE_BYTES_MAX)
		return err_set(table->err, ERR_KERNEL, "its modules have more than %u bytes",
			       KERNEL_ARCHIVE_BYTES_MAX);
	return 0;
}

/* Sorted by name, and modules/order in its place among them. */
static int write_archive(struct table *table, const struct str *order, struct newc *newc)
{
	bool ordered = false;

	newc_add(newc, "modules", S_IFDIR | 0755, "", 0);
	for (size_t i = 0; i < table->count; i++) {
		if (!table->modules[i].wanted)
			continue;
		if (!ordered && strcmp(table->modules[i].name, "order") > 0) {
			newc_add(newc, "modules/order", S_IFREG | 0644, order->text, order->length);
			ordered = true;
		}
		if (add_module(table, &table->modules[i], newc) < 0)
			return -1;
	}
	if (!ordered)
		newc_add(newc, "modules/order", S_IFREG | 0644, order->text, order->length);
	newc_end(newc);
	return 0;
}

int modules_pack(const struct kernel_files *files, const char *config, const char *release,
		 struct str *ret, struct err *err)
{
	_cleanup_(table_done) struct table table = { .files = files, .err = err };
	_cleanup_(str_done) struct str order = { 0 };
	struct newc newc = { 0 };

	if (!files->ops) {
		if (find_built_in(config, release, &order, err) < 0)
			return -1;
	} else if (table_read(&table) < 0 || find_order(&table, release, &order) < 0) {
		return -1;
	}
	if (write_archive(&table, &order, &newc) < 0) {
		newc_done(&newc);
		return -1;
	}
	*ret = newc.out;
	return 0;
}
