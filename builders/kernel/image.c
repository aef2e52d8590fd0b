/* Boot images: see image.h. */
#include "builders/kernel/image.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "builders/kernel/elf.h"
#include "builders/kernel/take.h"
#include "builders/layer/hash.h"
#include "core/fs.h"
#include "core/mem.h"

/* of the setup header */
#define SETUP_SECTS 0x1f1
#define BOOT_FLAG 0x1fe
#define MAGIC 0x202
#define VERSION 0x206
#define KERNEL_VERSION 0x20e
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define SETUP_END 0x250
#define VERSION_MIN 0x208	/* since then it tells where the payload is: Linux 2.6.26 */
#define SECTOR 512u
#define CHUNK (1u << 20)
#define BANNER "Linux version "

struct out {
	int fd;
	struct hash hash;
	uint64_t size;
};

static int write_out(void *data, const uint8_t *bytes, size_t size, struct err *err)
{
	struct out *out = data;

	out->size += size;
	if (out->size > KERNEL_VMLINUX_BYTES_MAX)
		return err_set(err, ERR_KERNEL, "unpacked it has more than %llu bytes",
			       (unsigned long long)KERNEL_VMLINUX_BYTES_MAX);
	hash_add(&out->hash, bytes, size);
	if (fs_write_all(out->fd, bytes, size) < 0) {
		bool full = errno == ENOSPC || errno == EDQUOT;

		err_sys(err, errno, "write vmlinux");
		return full ? err_mend(err, "make room, or name another store with --store DIR") : -1;
	}
	return 0;
}

static bool is_bzimage(const struct bytes *image)
{
	return image->size >= SETUP_END && le16(image->data + BOOT_FLAG) == 0xaa55 &&
	       !memcmp(image->data + MAGIC, "HdrS", 4);
}

/* Where the packed vmlinux lies in a bzImage. */
static int find_payload(const struct bytes *image, struct bytes_source *ret, struct err *err)
{
	const uint8_t *data = image->data;
	uint64_t setup = data[SETUP_SECTS] ? data[SETUP_SECTS] : 4, start;
	uint32_t length = le32(data + PAYLOAD_LENGTH);

	if (le16(data + VERSION) < VERSION_MIN)
		return err_set(err, ERR_KERNEL, "its boot protocol is older than 2.08");
	start = (setup + 1) * SECTOR + le32(data + PAYLOAD_OFFSET);
	if (length < 8 || start > image->size || length > image->size - start)
		return err_set(err, ERR_KERNEL, "its payload lies outside of it: is it cut off?");
	*ret = (struct bytes_source){ data + start, length };
	return 0;
}

static int unpack_stream(struct bytes_source *payload, struct out *out, struct err *err)
{
	_cleanup_free_ uint8_t *chunk = xmalloc(CHUNK);
	struct inflate_source source = { bytes_source_read, payload };
	struct inflate *inflate;
	int result = 0;
	ssize_t got;

	if (inflate_new(&source, INFLATE_XZ, &inflate, err) < 0)
		return -1;
	while (result == 0 && (got = inflate_read(inflate, chunk, CHUNK, err)) != 0)
		result = got < 0 ? -1 : write_out(out, chunk, (size_t)got, err);
	inflate_free(inflate);
	return result;
}

static int unpack_bzimage(const struct bytes *image, struct out *out, struct err *err)
{
	struct bytes_source payload;
	const uint8_t *at;

	if (find_payload(image, &payload, err) < 0)
		return -1;
	at = payload.data;
	/* all but gzip have the plain size behind them, in four bytes of the kernel's own */
	if (at[0] == 0x1f && at[1] == 0x8b)
		return unpack_stream(&payload, out, err);
	payload.size -= 4;
	if (!memcmp(at, "\x02\x21\x4c\x18", 4))
		return lz4_unpack(at, payload.size, write_out, out, err);
	if (!memcmp(at, "\x28\xb5\x2f\xfd", 4) || !memcmp(at, "\xfd" "7zX", 4))
		return unpack_stream(&payload, out, err);
	if (elf_is_x86_64(at, payload.size))
		return write_out(out, at, payload.size, err);
	err_set(err, ERR_KERNEL, "it is packed in a way that duet cannot read");
	return err_mend(err, "known are gzip, xz, zstd and lz4 (CONFIG_KERNEL_GZIP and so on)");
}

static int unpack(const struct bytes *image, struct out *out, struct err *err)
{
	if (elf_is_x86_64(image->data, image->size))
		return write_out(out, image->data, image->size, err);
	if (is_bzimage(image))
		return unpack_bzimage(image, out, err);
	return err_set(err, ERR_KERNEL, "it is neither a bzImage nor an ELF file for x86-64");
}

/* What was written, looked at again: is it what a VM can boot? */
static int check(int fd, struct err *err)
{
	_cleanup_(bytes_done) struct bytes vmlinux = { 0 };

	if (bytes_map(fd, KERNEL_VMLINUX_BYTES_MAX, &vmlinux, err) < 0)
		return err_wrap(err, "vmlinux");
	if (!elf_is_x86_64(vmlinux.data, vmlinux.size))
		return err_set(err, ERR_KERNEL, "what is packed in it is no ELF file for x86-64");
	if (!elf_has_pvh_note(vmlinux.data, vmlinux.size))
		return err_set(err, ERR_KERNEL_UNFIT, "it lacks the entry for PVH boot (CONFIG_PVH)");
	return 0;
}

int image_extract(const struct bytes *image, int fd, struct digest *ret, struct err *err)
{
	struct out out = { .fd = fd };
	int result;

	hash_init(&out.hash);
	result = unpack(image, &out, err);
	hash_end(&out.hash, ret);
	hash_done(&out.hash);
	return result < 0 ? -1 : check(fd, err);
}

/* "6.1.0-56-cloud-amd64 (debian-kernel@...) ...": the first word. */
static bool take_word(const uint8_t *at, size_t size, char *ret)
{
	size_t length = 0;

	while (length < size && length < KERNEL_RELEASE_MAX && at[length] > ' ' && at[length] < 0x7f)
		length++;
	memcpy(ret, at, length);
	ret[length] = '\0';
	return kernel_release_is_valid(ret);
}

bool image_release(const struct bytes *image, char *ret)
{
	const uint8_t *banner;
	size_t at;

	if (is_bzimage(image)) {
		at = le16(image->data + KERNEL_VERSION);
		at += at ? SECTOR : image->size;
		return at < image->size && take_word(image->data + at, image->size - at, ret);
	}
	banner = image->size > 0 ? memmem(image->data, image->size, BANNER, strlen(BANNER)) : NULL;
	if (!banner)
		return false;
	at = (size_t)(banner - image->data) + strlen(BANNER);
	return take_word(image->data + at, image->size - at, ret);
}
