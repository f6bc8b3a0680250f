/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The payload of the benchmark: ends at once; with an argument it says that it runs and stays until
 * its standard input ends, so that the processes around it can be looked at. */
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;

	(void)argv;
	if (argc > 1) {
		if (write(1, ".", 1) != 1)
			return 1;
		while (read(0, &byte, 1) > 0)
			;
	}
	return 0;
}
