/* Packing: a worker writes a layer into a new file, which becomes a blob of the store. */
#include <stddef.h>
#include <string.h>

#include "builders/builder.h"
#include "builders/worker/client.h"
#include "core/mem.h"

int builder_pack(struct store *store, struct worker_request *request, int input, const char *what,
		 struct build_blob *ret, struct err *err)
{
	return builder_pack_many(store, request, &input, 1, what, ret, err);
}

int builder_pack_many(struct store *store, struct worker_request *request, const int *inputs,
		      size_t count, const char *what, struct build_blob *ret, struct err *err)
{
	struct build_blob blob = { .fd = -1, .in_store = true, .has_expected = true };
	_cleanup_close_ int out = -1;
	struct worker_reply reply;
	int fds[WORKER_LOWER_MAX + 2];

	if (count + 1 > ARRAY_SIZE(fds))
		return err_set(err, ERR_LAYER_LIMIT, "more than %zu inputs", ARRAY_SIZE(fds) - 1);
	if (store_blob_new(store, &out, err) < 0)
		return -1;
	fds[0] = out;
	memcpy(fds + 1, inputs, count * sizeof(*inputs));
	request->fd_count = (uint32_t)(1 + count);
	if (worker_run(&store->map, request, fds, 1 + count, what, &reply, err) < 0)
		return -1;
	if (store_blob_publish(store, out, &reply.blob, err) < 0)
		return -1;
	if (store_blob_open(store, &reply.blob, &blob.fd, &blob.bytes, err) != 1)
		return err->code ? -1 : err_set(err, ERR_STORE, "open a blob just made");
	blob.expected = reply.blob;
	*ret = blob;
	return 0;
}
