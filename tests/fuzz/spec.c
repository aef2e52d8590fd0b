/* A spec: YAML -> spec_parse -> plan_make. The same text gives the same plan, and nothing else. */
#include <string.h>

#include "core/mem.h"
#include "core/plan.h"
#include "core/spec.h"
#include "core/str.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/core/fake_plans.h"

static const char *lookup(const char *name)
{
	static const struct {
		const char *name, *value;
	} variables[] = { { "HOME", "/home/user" }, { "EMPTY", "" }, { "COLON", "/a:b" },
			  { "BINARY", "\xff" } };

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		if (!strcmp(variables[i].name, name))
			return variables[i].value;
	return NULL;
}

/* A message has the user's own paths in it, as they are: log.c is what escapes those. */
static void check_err(struct err *err, int result)
{
	char **texts[] = { &err->msg, &err->place, &err->mend };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char *printed = *texts[i] ? str_visible(*texts[i], STR_LINES) : NULL;

		for (char *at = printed; at && *at; at++)
			*at = *at == '\n' ? ' ' : *at;
		free(*texts[i]);
		*texts[i] = printed;
	}
	fuzz_check_err(err, result);
}

/* The plan as JSON; NULL when there is none. Owned. */
static char *plan_of(const struct spec *spec)
{
	_cleanup_(plans_done) struct plans plans = { 0 };
	_cleanup_free_ char *text = NULL;
	struct err err = { 0 };
	int result;

	FUZZ_CHECK(spec->image.step_count <= SPEC_STEPS_MAX);
	result = fake_plans(spec, &plans, &err);
	check_err(&err, result);
	if (result < 0)
		return NULL;
	text = plan_text(&plans, spec);
	return plan_json(&plans, spec);
}

static char *plan_of_text(const uint8_t *data, size_t size)
{
	_cleanup_(spec_done) struct spec spec = { 0 };
	struct err err = { 0 };
	int result = spec_parse(&spec, "duet.yaml", "/my project", (const char *)data, size, lookup,
				&err);

	/* each refusal has its place */
	FUZZ_CHECK(result == 0 || err.place);
	check_err(&err, result);
	return result == 0 ? plan_of(&spec) : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *first = plan_of_text(data, size), *second = NULL;

	if (!first)
		return 0;
	second = plan_of_text(data, size);
	FUZZ_CHECK(second && !strcmp(first, second));
	return 0;
}
