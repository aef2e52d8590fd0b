/* The runners there are. */
#include <string.h>

#include "runners/container/container.h"
#include "runners/runner.h"
#include "runners/vm/vm.h"

const struct runner *const runners[] = { &container_runner, &vm_runner, NULL };

const struct runner *runner_find(const char *name)
{
	for (size_t i = 0; runners[i]; i++)
		if (!strcmp(runners[i]->name, name))
			return runners[i];
	return NULL;
}
