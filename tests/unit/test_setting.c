/* Settings: defaults, ranges, order of sources, and complaints that name what and where. */
#include "check.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/setting.h"
#include "base/str.h"
#include "base/suggest.h"

#include <ctype.h>

static void every_row_is_sound_and_documented(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct settings s;
    settings_init(&s, &a); /* aborts when a default is outside its range */
    size_t count;
    const struct setting *table = setting_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct setting *row = &table[i];
        assert_ptr_equal(setting_find(row->name), row);
        for (const char *c = row->name; *c; c++)
            assert_true(islower((unsigned char)*c) || *c == '_');
        assert_true(strlen(row->doc) > 5 && !ends_with(row->doc, "."));
        assert_string_equal(s.from[i], "default");
        STR_LOCAL(value);
        setting_format(row, &s, &value);
        assert_string_equal(value.data, row->preset);
    }
    assert_int_equal(s.pairs, 2);
    assert_int_equal(s.log, LOG_WARNING);
    assert_int_equal(s.sandbox, SETTING_SANDBOX_REQUIRED);
}

static void later_sources_win_and_are_remembered(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct settings s;
    settings_init(&s, &a);
    const char *yaml = "# ours\npairs: 3\nmap_tokens: 900\nca_file: /etc/ca.pem\nnetwork: true\n";
    const char *const environment[] = { "HOME=/x", "TANDEM_MAP_TOKENS=700", "TANDEM_ATTEMPTS=5",
                                        "TANDEM_HOME=/y", NULL };
    check_ok(settings_read_yaml(&s, "/h/settings.yaml", yaml, strlen(yaml), &e), &e);
    check_ok(settings_read_environment(&s, environment, &e), &e);
    check_ok(settings_assign(&s, "attempts=6", &e), &e);
    assert_int_equal(s.pairs, 3);
    assert_int_equal(s.map_tokens, 700);
    assert_int_equal(s.attempts, 6);
    assert_string_equal(s.ca_file, "/etc/ca.pem");
    assert_true(s.network);
    size_t count;
    const struct setting *table = setting_table(&count);
    assert_string_equal(s.from[setting_find("pairs") - table], "/h/settings.yaml:2");
    assert_string_equal(s.from[setting_find("map_tokens") - table], "TANDEM_MAP_TOKENS in the environment");
    assert_string_equal(s.from[setting_find("attempts") - table], "--set");
    assert_string_equal(s.from[setting_find("stall_s") - table], "default");
}

static void a_wrong_value_names_setting_range_and_source(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct settings s;
    settings_init(&s, &a);
    check_err(settings_assign(&s, "pairs=40", &e), ERR_INVALID, &e,
              "pairs is \"40\" (--set); allowed: 1 to 16 pairs");
    check_err(settings_assign(&s, "pairs=", &e), ERR_INVALID, &e, "pairs is \"\"");
    check_err(settings_assign(&s, "pairs=2x", &e), ERR_INVALID, &e, "allowed: 1 to 16");
    check_err(settings_assign(&s, "color=sometimes", &e), ERR_INVALID, &e, "auto, always, never");
    check_err(settings_assign(&s, "network=yes", &e), ERR_INVALID, &e, "allowed: false, true");
    check_err(settings_assign(&s, "pairs", &e), ERR_INVALID, &e, "name=value");
    check_err(settings_assign(&s, "=3", &e), ERR_INVALID, &e, "name=value");
    const char *const environment[] = { "TANDEM_ATTEMPTS=5", "TANDEM_STALL_S=never", NULL };
    check_err(settings_read_environment(&s, environment, &e), ERR_INVALID, &e,
              "(TANDEM_STALL_S in the environment); allowed: 1 to 86400 seconds");
    assert_int_equal(s.pairs, 2);
    assert_int_equal(s.attempts, 10); /* all or nothing */
}

static void a_wrong_file_names_its_line(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct settings s;
    settings_init(&s, &a);
    struct { const char *text, *words; } wrong[] = {
        { "attempts: 9\npairs: 17\n", "pairs is \"17\" (s.yaml:2); allowed: 1 to 16" },
        { "pairs: 1.5\n", "pairs is \"1.5\" (s.yaml:1)" },
        { "attempts: 9\n\npiars: 3\n", "no setting \"piars\" (s.yaml:3); did you mean pairs?" },
        { "zzzzzzz: 3\n", "see tandem help settings" },
        { "pairs:\n  - 1\n", "s.yaml:1: pairs needs one value" },
        { "- pairs\n", "one setting a line" },
        { "pairs: [\n", "s.yaml" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_err(settings_read_yaml(&s, "s.yaml", wrong[i].text, strlen(wrong[i].text), &e),
                  ERR_INVALID, &e, wrong[i].words);
    assert_int_equal(s.attempts, 10);
    check_ok(settings_read_yaml(&s, "s.yaml", "", 0, &e), &e);
    check_ok(settings_read_yaml(&s, "s.yaml", "# only\n", 7, &e), &e);
}

static void a_path_is_meant_from_where_it_is_said(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct settings s;
    settings_init(&s, &a);
    check_err(settings_assign(&s, "ca_file=pem", &e), ERR_INVALID, &e, "(--set); allowed: a path of at most 4096 bytes, from the root (/...)");
    s.here = "/w";
    const char *yaml = "api_key_file: key\nmodels_dir: /big\nscratch: ''\n", *none = "ca_file: pem\n";
    check_ok(settings_read_yaml(&s, "/h/settings.yaml", yaml, strlen(yaml), &e), &e);
    check_ok(settings_assign(&s, "ca_file=./sub/pem", &e), &e);
    assert_string_equal(s.api_key_file, "/h/key");
    assert_string_equal(s.models_dir, "/big");
    assert_string_equal(s.scratch, "");
    assert_string_equal(s.ca_file, "/w/sub/pem");
    check_ok(settings_assign(&s, "llama_server=server", &e), &e);
    assert_string_equal(s.llama_server, "server");
    check_ok(settings_assign(&s, "llama_server=bin/server", &e), &e);
    assert_string_equal(s.llama_server, "/w/bin/server");
    s.here = "/";
    check_ok(settings_read_yaml(&s, "settings.yaml", none, strlen(none), &e), &e);
    assert_string_equal(s.ca_file, "/pem");
    assert_string_equal(s.here, "/");
}

static void a_text_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct settings s;
    settings_init(&s, &a);
    check_err(settings_assign(&s, "nearby=\xe9", &e), ERR_INVALID, &e, "bytes, in UTF-8");
    check_err(settings_assign(&s, "scratch=/\xe9", &e), ERR_INVALID, &e, "bytes, in UTF-8");
}

static void an_overlong_text_is_refused(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct settings s;
    settings_init(&s, &a);
    char value[5000];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    check_err(setting_set(&s, "scratch", value, "--set", &e), ERR_INVALID, &e, "at most 4096 bytes");
    assert_string_equal(s.scratch, "");
}

static void distance_counts_slips_of_fingers(void **state)
{
    (void)state;
    assert_int_equal(suggest_distance("status", "status"), 0);
    assert_int_equal(suggest_distance("stauts", "status"), 1);
    assert_int_equal(suggest_distance("statu", "status"), 1);
    assert_int_equal(suggest_distance("xstatus", "status"), 1);
    assert_int_equal(suggest_distance("kitten", "sitting"), 3);
    assert_int_equal(suggest_distance("", "abc"), 3);
}

static void suggestions_are_near_or_begin_alike(void **state)
{
    (void)state;
    struct suggestion s = { 0 };
    suggestion_try(&s, "stauts", "show");
    suggestion_try(&s, "stauts", "status");
    assert_string_equal(s.name, "status");
    struct suggestion begin = { 0 };
    suggestion_try(&begin, "com", "completion");
    assert_string_equal(begin.name, "completion");
    struct suggestion none = { 0 };
    suggestion_try(&none, "frobnicate", "run");
    suggestion_try(&none, "x", "y");
    assert_null(none.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_sound_and_documented),
        cmocka_unit_test(later_sources_win_and_are_remembered),
        cmocka_unit_test(a_wrong_value_names_setting_range_and_source),
        cmocka_unit_test(a_wrong_file_names_its_line),
        cmocka_unit_test(a_path_is_meant_from_where_it_is_said),
        cmocka_unit_test(a_text_that_is_not_utf8_is_refused),
        cmocka_unit_test(an_overlong_text_is_refused),
        cmocka_unit_test(distance_counts_slips_of_fingers),
        cmocka_unit_test(suggestions_are_near_or_begin_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
