/* Unified diffs. */
#include "check.h"

#include "base/diff.h"
#include "base/str.h"

#include <stdlib.h>

static void differs(const char *a, const char *b, const char *expected)
{
    STR_LOCAL(out);
    diff_unified(&out, "a", a, strlen(a), "b", b, strlen(b));
    assert_string_equal(out.data, expected);
}

static void equal_texts_have_no_diff(void **state)
{
    (void)state;
    differs("", "", "");
    differs("x\ny\n", "x\ny\n", "");
}

static void a_change_stands_in_its_context(void **state)
{
    (void)state;
    differs("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
            "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

static void text_may_appear_and_vanish(void **state)
{
    (void)state;
    differs("", "x\n", "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+x\n");
    differs("x\ny\n", "", "--- a\n+++ b\n@@ -1,2 +0,0 @@\n-x\n-y\n");
    differs("x\n", "x\ny\n", "--- a\n+++ b\n@@ -1,1 +1,2 @@\n x\n+y\n");
}

static void a_missing_newline_is_shown(void **state)
{
    (void)state;
    differs("x\n", "x", "--- a\n+++ b\n@@ -1,1 +1,1 @@\n-x\n+x\n\\ No newline at end of file\n");
}

static void distant_changes_are_two_hunks(void **state)
{
    (void)state;
    differs("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
            "--- a\n+++ b\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
    differs("a\n1\n2\n3\nb\n", "A\n1\n2\n3\nB\n",
            "--- a\n+++ b\n@@ -1,5 +1,5 @@\n-a\n+A\n 1\n 2\n 3\n-b\n+B\n");
}

/* Applies a diff by hand: the old side of its lines must be the old text, and the new the new. */
static void sides(const char *diff, struct str *old_side, struct str *new_side)
{
    for (const char *p = diff; *p;) {
        size_t len = strcspn(p, "\n") + 1;
        if (*p == ' ' || *p == '-')
            str_add_bytes(old_side, p + 1, len - 1);
        if (*p == ' ' || *p == '+')
            str_add_bytes(new_side, p + 1, len - 1);
        p += len;
    }
}

static void random_changes_are_shown_truly_and_shortly(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 300; round++) {
        STR_LOCAL(a);
        STR_LOCAL(b);
        int edits = 0;
        for (int i = 0; i < 6; i++) { /* short: everything is within one hunk */
            int line = rand() % 3, fate = rand() % 4;
            if (fate != 0)
                str_addf(&a, "%d\n", line);
            if (fate != 1)
                str_addf(&b, "%d\n", fate == 2 ? line + 1 : line);
            edits += fate == 0 || fate == 1 ? 1 : fate == 2 ? 2 : 0;
        }
        STR_LOCAL(out);
        STR_LOCAL(old_side);
        STR_LOCAL(new_side);
        diff_unified(&out, "a", a.data, a.len, "b", b.data, b.len);
        if (strcmp(a.data, b.data) == 0)
            continue;
        const char *body = strchr(strstr(out.data, "@@"), '\n') + 1;
        sides(body, &old_side, &new_side);
        /* The hunk begins at most three equal lines before the first change. */
        assert_non_null(strstr(a.data, old_side.data));
        assert_non_null(strstr(b.data, new_side.data));
        int shown = 0;
        for (const char *p = body; *p; p += strcspn(p, "\n") + 1)
            shown += *p == '-' || *p == '+';
        assert_true(shown <= edits);
    }
}

static void very_different_texts_are_replaced_whole(void **state)
{
    (void)state;
    STR_LOCAL(a);
    STR_LOCAL(b);
    STR_LOCAL(out);
    for (int i = 0; i < 3000; i++) {
        str_addf(&a, "a%d\n", i);
        str_addf(&b, "b%d\n", i);
    }
    diff_unified(&out, "a", a.data, a.len, "b", b.data, b.len);
    assert_true(out.len > a.len + b.len);
    assert_non_null(strstr(out.data, "@@ -1,3000 +1,3000 @@"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_texts_have_no_diff),
        cmocka_unit_test(a_change_stands_in_its_context),
        cmocka_unit_test(text_may_appear_and_vanish),
        cmocka_unit_test(a_missing_newline_is_shown),
        cmocka_unit_test(distant_changes_are_two_hunks),
        cmocka_unit_test(random_changes_are_shown_truly_and_shortly),
        cmocka_unit_test(very_different_texts_are_replaced_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
