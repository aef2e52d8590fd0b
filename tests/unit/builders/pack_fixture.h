/* For the tests of making layers: what is asked for, and that it is what is made. */
#ifndef DUET_TESTS_PACK_FIXTURE_H
#define DUET_TESTS_PACK_FIXTURE_H

#include <sys/stat.h>

#include "core/select.h"
#include "tests/unit/builders/layer_fixture.h"

extern struct layer_pack args;	/* a copy of `selection` to /, unless a case says otherwise */
extern struct selection selection;

void pack_setup(void);
void pack_teardown(void);
/* layer_pack into a new file in memory, args.blob. */
int pack_layer(void);
/* Packs, then unpacks into work.tree with the digests that packing promised. */
void pack_and_unpack(void);
/* It is not packed, and the message has `why` in it. */
void refused(const char *why);
/* A file below the work folder. */
void file(const char *path, const char *text, mode_t mode);
/* work/source with a file, a program, a link and a folder, in an order that is not the names'. */
void make_source(void);
/* What is below the work folder at `path` becomes the selection. */
void open_source(const char *path);
/* Below the work folder; the group is the owner's number and one more, but for root. time 0: any. */
void assert_entry(const char *path, mode_t mode, uid_t uid, time_t time);

#endif
