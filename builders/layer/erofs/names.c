/* Names in memory: see names.h. */
#include "builders/layer/erofs/names.h"

#include <string.h>
#include <sys/random.h>

#include "core/mem.h"
#include "core/path.h"

#define FOLDERS_MAX 1000000u	/* as many as the list of a tree's folders holds, or so */

void names_init(struct names *names)
{
	*names = (struct names){ .hash_count = 1024, .link_room = 64, .folder_room = 64 };
	names->hashes = xreallocarray(NULL, names->hash_count, sizeof(*names->hashes));
	memset(names->hashes, 0xff, names->hash_count * sizeof(*names->hashes));
	names->links = xcalloc(names->link_room, sizeof(*names->links));
	names->folders = xcalloc(names->folder_room, sizeof(*names->folders));
	names->folders[0] = (struct names_folder){ .first = NAMES_NONE, .last = NAMES_NONE };
	names->folder_count = 1;
	/* so that nobody can choose names that all have one hash; what is written is not touched by it */
	if (getrandom(&names->seed, sizeof(names->seed), 0) < 0)
		names->seed = (uintptr_t)names->names;
}

void names_done(struct names *names)
{
	for (uint32_t i = 0; i < names->folder_count; i++)
		meta_done(&names->folders[i].meta);
	free(names->names);
	free(names->texts);
	free(names->hashes);
	free(names->folders);
	free(names->links);
	*names = (struct names){ 0 };
}

static uint32_t hash_of(const struct names *names, uint32_t folder, const char *text,
			size_t length)
{
	uint64_t hash = names_mix(names->seed, folder + ((uint64_t)length << 32)), word;

	for (; length >= sizeof(word); text += sizeof(word), length -= sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		hash = names_mix(hash, word);
	}
	word = 0;
	memcpy(&word, text, length);
	hash = names_mix(hash, word);
	return (uint32_t)(names_mix(hash, names->seed) >> 16) & (names->hash_count - 1);
}

/* Also those that are gone. */
static uint32_t find_any(const struct names *names, uint32_t folder, const char *text,
			 size_t length)
{
	uint32_t at = names->hashes[hash_of(names, folder, text, length)];

	while (at != NAMES_NONE) {
		const struct name *name = &names->names[at];

		if (name->folder == folder && name->length == length &&
		    !memcmp(names->texts + name->text, text, length))
			break;
		at = name->next_hash;
	}
	return at;
}

uint32_t names_find(const struct names *names, uint32_t folder, const char *text, size_t length)
{
	uint32_t at = find_any(names, folder, text, length);

	return at != NAMES_NONE && names->names[at].type != 0 ? at : NAMES_NONE;
}

static void enter_hash(struct names *names, uint32_t index)
{
	struct name *name = &names->names[index];
	uint32_t *head = &names->hashes[hash_of(names, name->folder, names->texts + name->text,
						name->length)];

	name->next_hash = *head;
	*head = index;
}

static void grow_hashes(struct names *names)
{
	names->hash_count *= 2;
	names->hashes = xreallocarray(names->hashes, names->hash_count, sizeof(*names->hashes));
	memset(names->hashes, 0xff, names->hash_count * sizeof(*names->hashes));
	for (uint32_t i = 0; i < names->count; i++)
		enter_hash(names, i);
}

/* Room for one name and its text; growing by half keeps what is unused small. */
static void grow(struct names *names, size_t length)
{
	if (names->count == names->room) {
		names->room += names->room / 2 + 1024;
		names->names = xreallocarray(names->names, names->room, sizeof(*names->names));
	}
	if (names->texts_room - names->texts_size < length) {
		names->texts_room = names->texts_size + names->texts_size / 2 + 65536;
		names->texts = xrealloc(names->texts, names->texts_room);
	}
	if (names->count >= names->hash_count)
		grow_hashes(names);
}

int names_add(struct names *names, uint32_t folder, const char *text, enum erofs_type type,
	      uint64_t nid, uint32_t *ret, struct err *err)
{
	struct names_folder *in = &names->folders[folder];
	size_t length = strlen(text);
	uint32_t index = find_any(names, folder, text, length);
	struct name *name;

	if (index == NAMES_NONE) {
		if (names->count * sizeof(*name) + names->texts_size > NAMES_BYTES_MAX)
			return err_set(err, ERR_LAYER_LIMIT, "too many names");
		grow(names, length);
		index = names->count++;
		name = &names->names[index];
		*name = (struct name){ .folder = folder, .next = NAMES_NONE,
				       .text = names->texts_size, .length = (uint8_t)length };
		memcpy(names->texts + names->texts_size, text, length);
		names->texts_size += (uint32_t)length;
		enter_hash(names, index);
		if (in->last == NAMES_NONE)
			in->first = index;
		else
			names->names[in->last].next = index;
		in->last = index;
	}
	name = &names->names[index];
	name->type = (uint8_t)type;
	name->nid = nid;
	name->linked = false;
	*ret = index;
	return 0;
}

int names_add_folder(struct names *names, uint32_t folder, const char *text, uint32_t *ret_folder,
		     struct err *err)
{
	uint32_t index = names->folder_count, unused;

	if (index == FOLDERS_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "too many folders");
	if (index == names->folder_room) {
		names->folder_room += names->folder_room / 2;
		names->folders = xreallocarray(names->folders, names->folder_room,
					       sizeof(*names->folders));
	}
	if (names_add(names, folder, text, EROFS_FOLDER, index, &unused, err) < 0)
		return -1;
	names->folders[index] = (struct names_folder){ .parent = folder, .first = NAMES_NONE,
						       .last = NAMES_NONE };
	names->folder_count++;
	*ret_folder = index;
	return 0;
}

int names_weigh(struct names *names, uint32_t index, struct err *err)
{
	struct names_folder *folder = &names->folders[index];
	const struct meta *meta = &folder->meta;
	uint32_t weight = 0;

	for (size_t i = 0; i < meta->xattr_count; i++)
		weight += (uint32_t)(sizeof(meta->xattrs[i]) + strlen(meta->xattrs[i].name) +
				     meta->xattrs[i].size);
	names->weight += weight - (uint64_t)folder->weight;
	folder->weight = weight;
	if (names->weight > NAMES_XATTRS_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "too many folders");
	return 0;
}

/* ---- hard links ------------------------------------------------------------------------------ */

static struct names_link *find_link(const struct names *names, struct names_link *links,
				    uint32_t room, uint64_t nid)
{
	uint32_t at = (uint32_t)(names_mix(names->seed, nid) >> 8) & (room - 1);

	while (links[at].nid != 0 && links[at].nid != nid)
		at = (at + 1) & (room - 1);
	return &links[at];
}

static struct names_link *link_of(struct names *names, uint64_t nid)
{
	struct names_link *link = find_link(names, names->links, names->link_room, nid), *more;

	if (link->nid != 0)
		return link;
	if (names->link_count >= names->link_room / 2) {
		more = xcalloc(names->link_room * 2, sizeof(*more));
		for (uint32_t i = 0; i < names->link_room; i++)
			if (names->links[i].nid != 0)
				*find_link(names, more, names->link_room * 2, names->links[i].nid) =
					names->links[i];
		free(names->links);
		names->links = more;
		names->link_room *= 2;
		link = find_link(names, more, names->link_room, nid);
	}
	names->link_count++;
	*link = (struct names_link){ .nid = nid };
	return link;
}

int names_add_link(struct names *names, uint32_t folder, const char *text, uint32_t target,
		   struct err *err)
{
	uint64_t nid = names->names[target].nid;
	uint8_t type = names->names[target].type;
	struct names_link *link;
	uint32_t index;

	if (names_add(names, folder, text, type, nid, &index, err) < 0)
		return -1;
	link = link_of(names, nid);
	link->count += names->names[target].linked ? 1 : 2;
	names->names[target].linked = true;
	names->names[index].linked = true;
	return 0;
}

/* ---- removing and walking -------------------------------------------------------------------- */

void names_remove(struct names *names, uint32_t index)
{
	struct name *name = &names->names[index];
	struct names_folder *folder;

	if (name->linked)
		link_of(names, name->nid)->count--;
	if (name->type == EROFS_FOLDER) {
		folder = &names->folders[name->nid];
		folder->gone = true;
		names->weight -= folder->weight;
		meta_done(&folder->meta);
		/* as deep as a path is long, no deeper */
		for (uint32_t i = folder->first; i != NAMES_NONE; i = names->names[i].next)
			if (names->names[i].type != 0)
				names_remove(names, i);
	}
	name->type = 0;
}

uint32_t names_folder(const struct names *names, uint32_t name)
{
	if (name == NAMES_NONE)
		return NAMES_ROOT;
	return names->names[name].type == EROFS_FOLDER ? (uint32_t)names->names[name].nid :
							 NAMES_NONE;
}

bool names_walk(const struct names *names, const char *path, uint32_t *ret_name)
{
	uint32_t name = NAMES_NONE;

	while (*path) {
		size_t length = strcspn(path, "/");
		uint32_t folder = names_folder(names, name);

		name = folder == NAMES_NONE ? NAMES_NONE :
					      names_find(names, folder, path, length);
		if (name == NAMES_NONE)
			return false;
		path += length + (path[length] == '/');
	}
	*ret_name = name;
	return true;
}
