/* The store on SQLite: the conformance suite, and what can happen to a database file. */
#include "check.h"
#include "store_suite.h"

#include "store/sqlite/sqlite_engine.h"

int main(void)
{
    return store_suite_run(&sqlite_engine);
}
