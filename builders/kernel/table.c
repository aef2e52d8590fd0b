/* The modules of a tree: see table.h. */
#include "builders/kernel/table.h"

#include <string.h>

#include "builders/kernel/take.h"
#include "core/mem.h"
#include "core/str.h"

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

struct module *table_find(struct table *table, const char *name)
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

int table_read(struct table *table)
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

bool table_has_built_in(const struct table *table, const char *name)
{
	for (size_t i = 0; i < table->built_in.count; i++)
		if (!strcmp(table->built_in.items[i], name))
			return true;
	return false;
}

void table_done(struct table *table)
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
int table_read_module(struct table *table, const struct module *module, struct bytes *ret)
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

int table_know(struct table *table, struct module *module)
{
	struct bytes bytes = { 0 };
	int result;

	if (module->known)
		return 0;
	if (table_read_module(table, module, &bytes) < 0)
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

int table_know_aliases(struct table *table)
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

		if (table_know(table, module) < 0)
			return -1;
		for (size_t j = 0; j < module->info.aliases.count; j++)
			add_alias(table, module->info.aliases.items[j], module->name);
	}
	return 0;
}
