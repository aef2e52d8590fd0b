/*
 * Every module of a tree by name, what is built in, and, when they are asked for, .modinfo and
 * aliases. Functions that fail tell so in table->err.
 */
#ifndef DUET_BUILDERS_KERNEL_TABLE_H
#define DUET_BUILDERS_KERNEL_TABLE_H

#include "builders/kernel/files.h"
#include "builders/kernel/modinfo.h"

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
	size_t steps;	/* of modules.c, which bounds them */
	struct err *err;
};

/* `files` and `err` are set, all else is zero. */
int table_read(struct table *table);
void table_done(struct table *table);
/* NULL when there is none; names with "_". */
struct module *table_find(struct table *table, const char *name);
bool table_has_built_in(const struct table *table, const char *name);
/* Reads a module's info, once. */
int table_know(struct table *table, struct module *module);
/* Fills alias_names and alias_modules, once: from modules.alias, else from every module. */
int table_know_aliases(struct table *table);
/* The plain bytes of a module. */
int table_read_module(struct table *table, const struct module *module, struct bytes *ret);

#endif
