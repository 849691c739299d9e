/* main.c - wires the layers together; the only file that sees them all. */
#include "cli/command.h"

int main(int argc, char **argv)
{
    return cli_run(argc, argv);
}
