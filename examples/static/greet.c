#include <stdio.h>
#include <sys/utsname.h>

int main(void)
{
	struct utsname host;

	if (uname(&host) < 0)
		return 1;
	printf("one file, no distribution around it, on Linux %s\n", host.release);
	return 0;
}
