/* The gate for what reaches outside the project: --allow, and the user's configuration file. */
#include "cmd/cmd.h"
#include "core/config.h"
#include "core/outside.h"

int allow_find(const struct cli *cli, const struct spec *spec, struct allowed *ret, struct err *err)
{
	_cleanup_(config_done) struct config config = { 0 };

	if (config_load(&config, err) < 0)
		return -1;
	config_allowed(&config, spec->dir, ret);
	for (size_t i = 0; i < cli->allow_count; i++)
		if (allowed_add(ret, cli->allow[i], NULL, err) < 0)
			return -1;
	return 0;
}

static bool matters(const struct outside *item, bool job, bool vm)
{
	return item->when == OUTSIDE_ALWAYS || (item->when == OUTSIDE_JOB ? job : vm);
}

int allow_env_files(const struct session *session, struct err *err)
{
	const struct spec *spec = &session->spec;

	for (size_t i = 0; i < spec->target.env_file_count; i++) {
		const struct env_file *file = &spec->target.env_files[i];
		const struct outside item = { .kind = OUTSIDE_PATH, .place = file->place,
					      .path = file->path, .text = (char *)"env_file" };

		if (!file->is_read)
			return outside_refuse(spec, &item, err);
	}
	return 0;
}

int allow_check(struct session *session, const struct chosen *chosen, bool job, struct err *err)
{
	struct spec *spec = &session->spec;
	bool vm = chosen && chosen->forms & ROOTFS_DISKS;
	struct outside *items;
	size_t count;
	int result = 0;

	outside_find(spec, true, &items, &count);
	for (size_t i = 0; result == 0 && i < count; i++)
		if (matters(&items[i], job, vm) && !outside_is_allowed(spec, &session->allowed, &items[i]))
			result = outside_refuse(spec, &items[i], err);
	outside_free(items, count);
	if (result < 0 || !job)
		return result;
	return allow_env_files(session, err) < 0 ? -1 : outside_open_mounts(spec, &session->allowed, err);
}
