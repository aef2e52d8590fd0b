/* Prints every key of duet.yaml that may name a path of the host, for run/host_paths.sh: "OBJECT KEY". */
#include <stdio.h>

#include "core/spec/schema.h"

int main(void)
{
	for (const struct schema_key *key = schema_keys; key->name; key++)
		if (schema_value(key->type)->is_host_path)
			printf("%s %s\n", key->object, key->name);
	return fflush(stdout) == EOF;
}
