/* Headers of a tar: see tarwrite.h. */
#include "builders/layer/tarwrite.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "core/path.h"

#define NAME_SIZE 100
#define PREFIX_SIZE 155
#define ID_MAX 07777777u		/* 7 octal digits */
#define SIZE_MAX_USTAR 077777777777ull	/* 11 octal digits */
#define TIME_MAX_USTAR 077777777777ll

/* POSIX.1-1988 with the fields of ustar; 512 bytes. */
struct header {
	char name[NAME_SIZE];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[NAME_SIZE];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char dev_major[8];
	char dev_minor[8];
	char prefix[PREFIX_SIZE];
	char fill[12];
};

_Static_assert(sizeof(struct header) == TARWRITE_BLOCK, "a tar header is 512 bytes");

static const char type_flags[] = {
	[TAR_FILE] = '0',    [TAR_HARDLINK] = '1', [TAR_SYMLINK] = '2', [TAR_CHAR] = '3',
	[TAR_BLOCK] = '4',   [TAR_FOLDER] = '5',   [TAR_FIFO] = '6',
};

/* One record: "LENGTH KEY=VALUE\n", where LENGTH counts its own digits. */
static void add_record(struct str *out, const char *key, const void *value, size_t size)
{
	size_t rest = strlen(key) + size + 3, length = rest;
	char digits[24];

	do
		length = rest + (size_t)snprintf(digits, sizeof(digits), "%zu", length);
	while (length != rest + (size_t)snprintf(digits, sizeof(digits), "%zu", length));
	str_addf(out, "%zu %s=", length, key);
	str_addn(out, value, size);
	str_addn(out, "\n", 1);
}

static void add_number(struct str *out, const char *key, uint64_t value)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

	add_record(out, key, text, (size_t)length);
}

/* Seconds with a fraction; -2 s and half a second are "-1.5". */
static void add_time(struct str *out, int64_t s, uint32_t ns)
{
	bool negative = s < 0;
	uint64_t whole = negative ? (uint64_t)-(s + (ns > 0)) : (uint64_t)s;
	char text[48];
	int length;

	if (negative && ns > 0)
		ns = 1000000000 - ns;
	length = snprintf(text, sizeof(text), "%s%llu", negative ? "-" : "",
			  (unsigned long long)whole);
	if (ns > 0) {
		length += snprintf(text + length, sizeof(text) - (size_t)length, ".%09u", ns);
		while (text[length - 1] == '0')
			length--;
	}
	add_record(out, "mtime", text, (size_t)length);
}

/* Puts the path into name and prefix; false when it does not fit. */
static bool put_path(struct header *header, const char *path, size_t length)
{
	size_t cut = length > NAME_SIZE ? length - NAME_SIZE - 1 : 0;
	const char *slash;

	if (length <= NAME_SIZE) {
		memcpy(header->name, path, length);
		return true;
	}
	slash = memchr(path + cut, '/', length - 1 - cut);
	if (!slash || slash - path > PREFIX_SIZE || slash == path)
		return false;
	memcpy(header->prefix, path, (size_t)(slash - path));
	memcpy(header->name, slash + 1, length - (size_t)(slash - path) - 1);
	return true;
}

static void put_octal(char *field, size_t size, uint64_t value)
{
	field[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
}

static void put_checksum(struct header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	unsigned int sum = 0;

	memset(header->checksum, ' ', sizeof(header->checksum));
	for (size_t i = 0; i < sizeof(*header); i++)
		sum += bytes[i];
	put_octal(header->checksum, 7, sum);
}

static void begin(struct header *header, char type, uint32_t mode)
{
	memset(header, 0, sizeof(*header));
	memcpy(header->magic, "ustar", 6);
	memcpy(header->version, "00", 2);
	header->type = type;
	put_octal(header->mode, sizeof(header->mode), mode);
	put_octal(header->uid, sizeof(header->uid), 0);
	put_octal(header->gid, sizeof(header->gid), 0);
	put_octal(header->size, sizeof(header->size), 0);
	put_octal(header->mtime, sizeof(header->mtime), 0);
	put_octal(header->dev_major, sizeof(header->dev_major), 0);
	put_octal(header->dev_minor, sizeof(header->dev_minor), 0);
}

/* What ustar cannot say. */
static void add_records(struct str *out, const struct tar_entry *entry)
{
	for (size_t i = 0; i < entry->xattr_count; i++) {
		_cleanup_free_ char *key = xasprintf("SCHILY.xattr.%s", entry->xattrs[i].name);

		add_record(out, key, entry->xattrs[i].value, entry->xattrs[i].size);
	}
	if (entry->gid > ID_MAX)
		add_number(out, "gid", entry->gid);
	if (entry->target && strlen(entry->target) > NAME_SIZE)
		add_record(out, "linkpath", entry->target, strlen(entry->target));
	if (entry->mtime_s < 0 || entry->mtime_s > TIME_MAX_USTAR || entry->mtime_ns > 0)
		add_time(out, entry->mtime_s, entry->mtime_ns);
	if (entry->size > SIZE_MAX_USTAR)
		add_number(out, "size", entry->size);
	if (entry->uid > ID_MAX)
		add_number(out, "uid", entry->uid);
}

static void fill_up(struct str *out)
{
	static const char zeros[TARWRITE_BLOCK];

	str_addn(out, zeros, -out->length % TARWRITE_BLOCK);
}

/* The pax header: a file of its own before the entry, with the records as content. */
static void add_pax(struct str *out, const char *path, const struct str *records)
{
	struct header header;

	begin(&header, 'x', 0644);
	snprintf(header.name, sizeof(header.name), "PaxHeaders/%.80s", path_base(path));
	put_octal(header.size, sizeof(header.size), records->length);
	put_checksum(&header);
	str_addn(out, (const char *)&header, sizeof(header));
	str_addn(out, records->text, records->length);
	fill_up(out);
}

void tarwrite_header(struct str *out, const struct tar_entry *entry)
{
	_cleanup_free_ char *path = xasprintf("%s%s", *entry->path ? entry->path : ".",
					      entry->type == TAR_FOLDER ? "/" : "");
	_cleanup_(str_done) struct str records = { 0 };
	struct header header;
	size_t length = strlen(path);

	begin(&header, type_flags[entry->type], entry->mode);
	add_records(&records, entry);
	if (!put_path(&header, path, length)) {
		add_record(&records, "path", path, length);
		memcpy(header.name, path + length - NAME_SIZE, NAME_SIZE);
	}
	if (entry->uid <= ID_MAX)
		put_octal(header.uid, sizeof(header.uid), entry->uid);
	if (entry->gid <= ID_MAX)
		put_octal(header.gid, sizeof(header.gid), entry->gid);
	if (entry->size <= SIZE_MAX_USTAR)
		put_octal(header.size, sizeof(header.size), entry->size);
	if (entry->mtime_s >= 0 && entry->mtime_s <= TIME_MAX_USTAR)
		put_octal(header.mtime, sizeof(header.mtime), (uint64_t)entry->mtime_s);
	if (entry->target)
		memcpy(header.link, entry->target, strnlen(entry->target, NAME_SIZE));
	put_octal(header.dev_major, sizeof(header.dev_major), entry->dev_major);
	put_octal(header.dev_minor, sizeof(header.dev_minor), entry->dev_minor);
	put_checksum(&header);
	if (records.length > 0)
		add_pax(out, *entry->path ? entry->path : "root", &records);
	str_addn(out, (const char *)&header, sizeof(header));
}
