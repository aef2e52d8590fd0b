/* The gate for what reaches outside the project: --allow, and the user's configuration file. */
#include "cmd/cmd.h"
#include "core/config.h"
#include "core/outside.h"

static int check(struct spec *spec, const struct allowed *allowed, struct err *err)
{
	struct outside *items;
	size_t count;
	int result = 0;

	outside_find(spec, true, &items, &count);
	for (size_t i = 0; result == 0 && i < count; i++)
		if (!allowed_covers(allowed, &items[i]))
			result = outside_refuse(spec, &items[i], err);
	outside_free(items, count);
	return result == 0 ? outside_open_mounts(spec, allowed, err) : -1;
}

int allow_check(const struct cli *cli, struct spec *spec, struct err *err)
{
	_cleanup_(config_done) struct config config = { 0 };

	if (config_load(&config, err) < 0)
		return -1;
	for (size_t i = 0; i < cli->allow_count; i++)
		if (allowed_add(&config.allowed, cli->allow[i], err) < 0)
			return -1;
	return check(spec, &config.allowed, err);
}
