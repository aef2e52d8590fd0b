/* The gate for what reaches outside the project: --allow, and the user's configuration file. */
#include "cmd/cmd.h"
#include "core/config.h"
#include "core/outside.h"

int allow_find(const struct cli *cli, struct allowed *ret, struct err *err)
{
	_cleanup_(config_done) struct config config = { 0 };

	if (config_load(&config, err) < 0)
		return -1;
	for (size_t i = 0; i < cli->allow_count; i++)
		if (allowed_add(&config.allowed, cli->allow[i], err) < 0)
			return -1;
	*ret = config.allowed;
	config.allowed = (struct allowed){ 0 };
	return 0;
}

int allow_check(struct session *session, bool job, struct err *err)
{
	struct outside *items;
	size_t count;
	int result = 0;

	outside_find(&session->spec, true, &items, &count);
	for (size_t i = 0; result == 0 && i < count; i++)
		if ((job || outside_is_of_build(&items[i])) &&
		    !allowed_covers(&session->allowed, &items[i]))
			result = outside_refuse(&session->spec, &items[i], err);
	outside_free(items, count);
	if (result < 0 || !job)
		return result;
	return outside_open_mounts(&session->spec, &session->allowed, err);
}
