/* Plans of a spec whose inputs nobody looked up: each digest is that of its number's name. */
#ifndef DUET_TESTS_FAKE_PLANS_H
#define DUET_TESTS_FAKE_PLANS_H

#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "core/plan.h"

static inline void fake_base(struct plan_base *ret)
{
	*ret = (struct plan_base){ .layer_count = 2, .created_s = 1700000000 };
	ret->name = xstrdup("an image");
	ret->layers = xcalloc(2, sizeof(*ret->layers));
	digest_of("base", 4, &ret->id);
	for (size_t i = 0; i < 2; i++) {
		digest_of(&i, sizeof(i), &ret->layers[i].diff_id);
		digest_of(&ret->layers[i].diff_id, DIGEST_SIZE, &ret->layers[i].blob);
	}
	strv_add(&ret->process.environment, "FROM=base");
	strv_add(&ret->process.command, "/base");
	ret->process.workdir = xstrdup("/base");
}

static inline int fake_plan(const struct spec *spec, const struct image_spec *image,
			    const struct plan *stages, struct plan *ret, struct err *err)
{
	struct digest digests[1 + SPEC_STEPS_MAX] = { 0 };
	struct plan_base base = { 0 };
	struct plan_inputs inputs = { .digests = digests, .count = 1 + image->step_count,
				      .base = &base, .rules = "rules" };
	int result;

	fake_base(&base);
	for (size_t i = 0; i < inputs.count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "input %zu", i);
		digest_of(name, strlen(name), &digests[i]);
	}
	if (image->from.has_sha256)
		digests[0] = (struct digest){ 0 };
	result = plan_make(ret, spec, image, &inputs, stages, err);
	plan_base_done(&base);
	return result;
}

static inline int fake_plans(const struct spec *spec, struct plans *ret, struct err *err)
{
	struct plans plans = { .stages = xcalloc(spec->stage_count, sizeof(*plans.stages)) };

	for (size_t i = 0; i < spec->stage_count; i++, plans.stage_count++)
		if (fake_plan(spec, &spec->stages[i], plans.stages, &plans.stages[i], err) < 0) {
			plans_done(&plans);
			return -1;
		}
	if (fake_plan(spec, &spec->image, plans.stages, &plans.image, err) < 0) {
		plans_done(&plans);
		return -1;
	}
	*ret = plans;
	return 0;
}

#endif
