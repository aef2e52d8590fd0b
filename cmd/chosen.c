/* Which runners a call is for. */
#include <string.h>

#include "cmd/cmd.h"
#include "core/str.h"

static const char *const words[SPEC_RUNNER_COUNT] = {
	[SPEC_RUNNER_CONTAINER] = "container",
	[SPEC_RUNNER_VM] = "vm",
};

static int add_runner(struct chosen *chosen, const char *name, struct err *err)
{
	const struct runner *runner = runner_find(name);

	if (!runner) {
		_cleanup_free_ char *shown = str_escape(name, 64);

		err_set(err, ERR_USAGE, "run on %s: there is no such runner", shown);
		return err_mend(err, "--on container, --on vm or --on all");
	}
	chosen->runners[chosen->count++] = runner;
	chosen->forms |= runner->forms;
	return 0;
}

int chosen_find(const struct cli *cli, const struct spec *spec, struct chosen *ret,
		  struct err *err)
{
	if (!cli->on)
		return add_runner(ret, words[spec->on[0]], err);
	if (strcmp(cli->on, "all"))
		return add_runner(ret, cli->on, err);
	for (size_t i = 0; i < (spec->on_is_given ? spec->on_count : SPEC_RUNNER_COUNT); i++)
		if (add_runner(ret, words[spec->on_is_given ? spec->on[i] : i], err) < 0)
			return -1;
	return 0;
}
