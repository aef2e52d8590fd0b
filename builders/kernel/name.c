/* Names of kernels, for duet and its worker alike: see take.h. */
#include <string.h>

#include "builders/kernel/take.h"

bool kernel_release_is_valid(const char *release)
{
	static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789._+~-";
	size_t length = strlen(release);

	return length > 0 && length <= KERNEL_RELEASE_MAX && release[0] != '.' &&
	       release[0] != '-' && strspn(release, characters) == length;
}
