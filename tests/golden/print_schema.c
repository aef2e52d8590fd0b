/* Prints the JSON Schema, for schema.sh. */
#include <stdio.h>

#include "core/mem.h"
#include "core/spec.h"

int main(void)
{
	_cleanup_free_ char *text = spec_schema_json();

	return fputs(text, stdout) == EOF || fflush(stdout) == EOF;
}
