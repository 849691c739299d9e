/* empty.c - does nothing; see bench_start.c. */
int main(void)
{
    return 0;
}
