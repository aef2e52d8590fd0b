/* Layers on their way to a rootfs: opened or made in the forms that a build asks for. */
#ifndef DUET_BUILDERS_STACK_H
#define DUET_BUILDERS_STACK_H

#include "builders/builder.h"

/* A layer in its forms; -1: not in this one. */
struct stack_forms {
	int tree, tree_use;	/* owned, as struct rootfs_layer has them */
	struct rootfs_disk disk;	/* owned */
};

/* What is there so far, lowest first. */
struct stack {
	struct store *store;	/* borrowed */
	unsigned int wanted;	/* ROOTFS_* */
	size_t count;
	struct store_layer layers[ROOTFS_LAYERS_MAX];
	struct stack_forms forms[ROOTFS_LAYERS_MAX];
	struct digest chains[ROOTFS_LAYERS_MAX];	/* chain-id of each and all below */
	/* opens the blob of layer `number` again; stack->count is `number` meanwhile */
	int (*reopen)(void *data, size_t number, struct build_blob *ret, struct err *err);
	void *reopen_data;	/* borrowed */
};

void stack_init(struct stack *stack, struct store *store, unsigned int wanted);
void stack_done(struct stack *stack);

void stack_forms_done(struct stack_forms *forms);
/* Opens the wanted forms of a layer that would be the next, as far as they are in the store. 0, -1. */
int stack_open(struct stack *stack, const struct store_layer *layer, struct stack_forms *ret,
	       struct err *err);
/* Does `forms` have all that is wanted? */
bool stack_is_whole(const struct stack *stack, const struct stack_forms *forms);
/* Is the blob there, if the store is to keep one? 1, 0, -1. */
int stack_has_blob(const struct stack *stack, const struct store_layer *layer, struct err *err);
/*
 * Makes the wanted forms that `forms` lacks from the layer's blob, and opens them. *layer is what the
 * blob turned out to be.
 */
int stack_make(struct stack *stack, struct build_blob *blob, const char *what,
	       struct store_layer *layer, struct stack_forms *forms, struct err *err);
/*
 * The tree of every layer, found or made now: for what runs on them in a build that wants disks alone.
 * They are in use until stack_done.
 */
int stack_need_trees(struct stack *stack, struct err *err);
/* Puts a layer on top; takes its forms over. */
void stack_push(struct stack *stack, const struct store_layer *layer, struct stack_forms *forms);
/* The empty file that becomes an EROFS item of `tmp`. */
int stack_new_image(struct store_tmp *tmp, struct err *err);
/* Tells people what of a layer could not be kept. */
struct worker_reply;
void stack_tell_losses(const struct worker_reply *reply);
/*
 * Hands everything to the rootfs. With more than ROOTFS_DISKS_MAX layers the lower ones are merged
 * into one EROFS file first, found in the store or made.
 */
int stack_finish(struct stack *stack, struct rootfs *rootfs, struct err *err);

#endif
