/*
 * Modules: see modules.h. Stages:
 *
 *	1 the table: every module of the tree by name, and what is built in
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

#include "builders/kernel/modinfo.h"
#include "builders/kernel/newc.h"
#include "builders/kernel/take.h"
#include "core/mem.h"

#define DEPTH_MAX 64	/* modules that each depend on the next one */
#define MATCHES_MAX 64	/* modules of one alias */

struct module {
	char *name, *path;	/* owned */
	bool known;		/* info was read */
	struct modinfo info;
	bool wanted;		/* goes into the archive */
};

struct table {
	const struct kernel_files *files;
	struct module *modules;	/* owned; by name */
	size_t count, room;
	struct strv built_in;
	bool aliases_known;
	struct strv alias_names, alias_modules;	/* side by side */
	struct err *err;
};

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

/* ---- 1 the table ----------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct module *left = a, *right = b;
	int order = strcmp(left->name, right->name);
	bool left_new = str_has_prefix(left->path, "updates/");
	bool right_new = str_has_prefix(right->path, "updates/");

	/* of two of one name depmod takes the one in updates/ */
	if (order == 0 && left_new != right_new)
		return left_new ? -1 : 1;
	return order ? order : strcmp(left->path, right->path);
}

static int add_file(void *to, const char *path, struct err *err)
{
	struct table *table = to;
	char *name = modinfo_name_of(path);

	(void)err;
	if (!name)
		return 0;
	if (table->count == table->room) {
		table->room = table->room ? table->room * 2 : 1024;
		table->modules = xreallocarray(table->modules, table->room, sizeof(*table->modules));
	}
	table->modules[table->count++] = (struct module){ .name = name, .path = xstrdup(path) };
	return 0;
}

static struct module *find(struct table *table, const char *name)
{
	size_t low = 0, high = table->count;

	/* the first of that name */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(table->modules[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < table->count && !strcmp(table->modules[low].name, name) ? &table->modules[low] :
									       NULL;
}

/* Reads a list of lines; a missing one is empty. Owned, ended by NUL. */
static int read_list(struct table *table, const char *name, char **ret)
{
	struct bytes bytes = { 0 };
	int found = table->files->ops->read(table->files->data, name, KERNEL_LIST_BYTES_MAX, &bytes,
					    table->err);

	if (found < 0)
		return -1;
	*ret = found ? xstrndup((const char *)bytes.data, bytes.size) : xstrdup("");
	bytes_done(&bytes);
	return 0;
}

static int read_table(struct table *table)
{
	_cleanup_free_ char *list = NULL;
	char *save = NULL;

	if (table->files->ops->each(table->files->data, add_file, table, table->err) < 0)
		return -1;
	if (table->count > 0)
		qsort(table->modules, table->count, sizeof(*table->modules), by_name);
	if (read_list(table, "modules.builtin", &list) < 0)
		return -1;
	for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *name = modinfo_name_of(line);

		if (name)
			strv_take(&table->built_in, name);
	}
	return 0;
}

static bool is_built_in(const struct table *table, const char *name)
{
	for (size_t i = 0; i < table->built_in.count; i++)
		if (!strcmp(table->built_in.items[i], name))
			return true;
	return false;
}

static void table_done(struct table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		free(table->modules[i].name);
		free(table->modules[i].path);
		modinfo_done(&table->modules[i].info);
	}
	free(table->modules);
	strv_done(&table->built_in);
	strv_done(&table->alias_names);
	strv_done(&table->alias_modules);
}

/* The plain bytes of a module. */
static int read_module(struct table *table, const struct module *module, struct bytes *ret)
{
	int found = table->files->ops->read(table->files->data, module->path, KERNEL_MODULE_BYTES_MAX,
					    ret, table->err);

	if (found == 0)
		return err_set(table->err, ERR_KERNEL, "module %s is not there any more",
			       module->name);
	if (found < 0 || bytes_unpack(ret, KERNEL_MODULE_BYTES_MAX, table->err) < 0) {
		bytes_done(ret);
		return err_wrap(table->err, "module %s", module->name);
	}
	return 0;
}

static int know(struct table *table, struct module *module)
{
	struct bytes bytes = { 0 };
	int result;

	if (module->known)
		return 0;
	if (read_module(table, module, &bytes) < 0)
		return -1;
	result = modinfo_read(bytes.data, bytes.size, &module->info, table->err);
	bytes_done(&bytes);
	module->known = true;
	return result < 0 ? err_wrap(table->err, "module %s", module->name) : 0;
}

static void add_alias(struct table *table, const char *alias, const char *module)
{
	strv_add(&table->alias_names, alias);
	strv_add(&table->alias_modules, module);
}

/* "alias PATTERN MODULE" */
static void add_alias_lines(struct table *table, char *list)
{
	char *save = NULL;

	for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *words = NULL, *word = strtok_r(line, " ", &words);
		char *alias = strtok_r(NULL, " ", &words), *module = strtok_r(NULL, " ", &words);

		if (!word || !module || strcmp(word, "alias"))
			continue;
		for (char *at = alias; *at; at++)
			if (*at == '-')
				*at = '_';
		add_alias(table, alias, module);
	}
}

static int know_aliases(struct table *table)
{
	_cleanup_free_ char *list = NULL;

	if (table->aliases_known)
		return 0;
	table->aliases_known = true;
	if (read_list(table, "modules.alias", &list) < 0)
		return -1;
	if (*list) {
		add_alias_lines(table, list);
		return 0;
	}
	for (size_t i = 0; i < table->count; i++) {
		struct module *module = &table->modules[i];

		if (know(table, module) < 0)
			return -1;
		for (size_t j = 0; j < module->info.aliases.count; j++)
			add_alias(table, module->info.aliases.items[j], module->name);
	}
	return 0;
}

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
	struct module *module = find(table, name);

	if (module)
		return want(table, closure, module, optional, depth + 1);
	if (is_built_in(table, name))
		return 0;
	return err_set(table->err, ERR_KERNEL, "module %s needs %s, which is not there", by->name,
		       name);
}

/* What a softdep names may be missing, with all that it needs: then it is left out. */
static void want_softly(struct table *table, struct closure *closure, struct module *module,
			unsigned int depth)
{
	_cleanup_(err_done) struct err ignored = { 0 };
	struct err *err = table->err;
	size_t count = closure->count;

	table->err = &ignored;
	if (want(table, closure, module, true, depth + 1) < 0)
		closure->count = count;
	table->err = err;
}

static int by_place(const void *a, const void *b)
{
	const struct module *left = *(struct module *const *)a, *right = *(struct module *const *)b;

	return (left > right) - (left < right);
}

static int want_before(struct table *table, struct closure *closure, const char *name,
		       unsigned int depth)
{
	struct module *module = find(table, name), *matches[MATCHES_MAX];
	size_t count = 0;

	if (module) {
		want_softly(table, closure, module, depth);
		return 0;
	}
	if (is_built_in(table, name))
		return 0;
	if (know_aliases(table) < 0)
		return -1;
	for (size_t i = 0; i < table->alias_names.count && count < MATCHES_MAX; i++) {
		if (fnmatch(table->alias_names.items[i], name, 0))
			continue;
		module = find(table, table->alias_modules.items[i]);
		if (module)
			matches[count++] = module;
	}
	/* by name: the same whether the aliases came from a list or from the modules */
	qsort(matches, count, sizeof(matches[0]), by_place);
	for (size_t i = 0; i < count; i++)
		want_softly(table, closure, matches[i], depth);
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
	if (know(table, module) < 0 ||
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
		struct module *module = find(table, root->module);

		if (!module && !is_built_in(table, root->module))
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

/* ---- 3 the archive --------------------------------------------------------------------------- */

static int add_module(struct table *table, const struct module *module, struct newc *newc)
{
	_cleanup_free_ char *path = xasprintf("modules/%s.ko", module->name);
	struct bytes bytes = { 0 };

	if (read_module(table, module, &bytes) < 0)
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

int modules_pack(const struct kernel_files *files, const char *release, struct str *ret,
		 struct err *err)
{
	_cleanup_(table_done) struct table table = { .files = files, .err = err };
	_cleanup_(str_done) struct str order = { 0 };
	struct newc newc = { 0 };

	if (!files->ops) {
		static const struct closure none;

		for (size_t i = 0; i < ARRAY_SIZE(features); i++)
			add_line(&table, &features[i], &none, &order);
	} else if (read_table(&table) < 0 || find_order(&table, release, &order) < 0) {
		return -1;
	}
	if (write_archive(&table, &order, &newc) < 0) {
		newc_done(&newc);
		return -1;
	}
	*ret = newc.out;
	return 0;
}
