/* main.c - wires the layers together; the only file that sees them all. */
#include <stdio.h>

int main(void)
{
    puts("tandem " TANDEM_VERSION);
    return 0;
}
