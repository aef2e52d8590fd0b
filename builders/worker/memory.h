/*
 * How much memory an operation of duet-worker may have: what it reads can be made to take any amount. It
 * is a limit of addresses (RLIMIT_AS), which the kernel keeps for every way to get memory: libraries,
 * threads' stacks, mapped files. Beyond it a worker ends with WORKER_EXIT_MEMORY, which the other side
 * tells as ERR_WORKER_MEMORY.
 *
 * The numbers are from the largest inputs that are taken, measured as VmPeak. A worker that did nothing
 * has 58 MiB (libraries). The reasons stand with each.
 */
#ifndef DUET_BUILDERS_WORKER_MEMORY_H
#define DUET_BUILDERS_WORKER_MEMORY_H

#include <stdint.h>

#include "core/err.h"

#define MEMORY_MIB (1024ull * 1024)

/*
 * Layers, archives and sources: some 72 bytes for each entry of an EROFS file, so about 690 MiB for
 * LAYER_ENTRIES_MAX, and 128 MiB for zstd's largest window. Measured: 300,000 files 105 MiB, two million
 * 215 MiB, 300,000 with the largest window 233 MiB.
 */
#define MEMORY_LAYER (1024 * MEMORY_MIB)
/*
 * The same when others work at the same time (WORKER_SHARED): a pull has eight, four layers in two forms,
 * so 2 GiB together. 300,000 files with the largest window fit. What does not is done again alone.
 */
#define MEMORY_LAYER_SHARED (256 * MEMORY_MIB)
/*
 * Lists of packages, kernels and their modules. Files are mapped whole: a vmlinux of up to 1 GiB, a boot
 * image of up to 512 MiB (KERNEL_VMLINUX_BYTES_MAX, KERNEL_IMAGE_BYTES_MAX). Debian's take 68 MiB.
 */
#define MEMORY_KERNEL (2048 * MEMORY_MIB)
/* JSON of 4 MiB at most; a tree of it takes many times its text. */
#define MEMORY_DOCUMENT (512 * MEMORY_MIB)
/* Hashing and fetching: fixed buffers, and a thread for each of sixteen transfers. */
#define MEMORY_BYTES (256 * MEMORY_MIB)

/*
 * At the start of main, before there are threads: when memory is out the process ends with
 * WORKER_EXIT_MEMORY and says nothing, threads get small stacks and share one heap (each of glibc's
 * others takes 64 MiB of addresses).
 */
void memory_begin(void);
/* No more than this from here on; read back. A lower limit that the caller has stays. */
int memory_limit(uint64_t bytes, struct err *err);
/* The answer is sent: the process may end. Before, it is a library without memory that ends it. */
void memory_end(void);

#endif
