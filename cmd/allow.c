/* The gate for what reaches outside the project: --allow, and the user's configuration file. */
#include "cmd/cmd.h"
#include "core/config.h"
#include "core/outside.h"
#include "core/str.h"

static int refuse(const struct spec *spec, const struct outside *item, struct err *err)
{
	_cleanup_free_ char *word = outside_word(item), *shown = str_escape(word, 300);

	place_fail(err, spec->file, item->place, ERR_ALLOW, "reaches outside the project: %s",
		   item->text);
	return err_mend(err, "if that is meant: --allow '%s', or `allow: [%s]` in "
			     "~/.config/duet/config.yaml", shown, shown);
}

static int check(const struct spec *spec, const struct allowed *allowed, struct err *err)
{
	struct outside *items;
	size_t count;
	int result = 0;

	outside_find(spec, true, &items, &count);
	for (size_t i = 0; result == 0 && i < count; i++)
		if (!allowed_covers(allowed, &items[i]))
			result = refuse(spec, &items[i], err);
	outside_free(items, count);
	return result;
}

int allow_check(const struct cli *cli, const struct spec *spec, struct err *err)
{
	_cleanup_(config_done) struct config config = { 0 };

	if (config_load(&config, err) < 0)
		return -1;
	for (size_t i = 0; i < cli->allow_count; i++)
		if (allowed_add(&config.allowed, cli->allow[i], err) < 0)
			return -1;
	return check(spec, &config.allowed, err);
}
