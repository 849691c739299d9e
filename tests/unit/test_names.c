/* Names and origins: what a web page can make a browser send. */
#include "check.h"

#include "http/names.h"

static void addresses_and_localhost_are_always_the_servers_own(void **state)
{
    (void)state;
    static const char *const ours[] = { "127.0.0.1", "127.0.0.1:8799", "10.1.2.3:80", "[::1]:8799", "[::1]", "localhost", "LocalHost:1",
                                        "localhost.", "tandem.localhost:8799" };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        assert_true(host_is_ours(ours[i], ""));
}

static void other_names_are_not_unless_they_are_listed(void **state)
{
    (void)state;
    static const char *const others[] = { "evil.example", "localhost.evil.example", "evillocalhost", "127.0.0.1.evil.example", "", ":80",
                                          "[", "[]", "[::1", "[evil.example]:80", "localhost:80:90", "localhost:x", ".localhost" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_false(host_is_ours(others[i], ""));
        assert_false(host_is_ours(others[i], "models.example gpu"));
    }
    assert_true(host_is_ours("Models.example:8799", " gpu  models.example "));
    assert_true(host_is_ours("gpu", "models.example gpu"));
    assert_false(host_is_ours("models.example.evil", "models.example"));
    assert_true(host_is_ours("evil.example", "*"));
}

static void a_name_of_any_length_is_harmless(void **state)
{
    (void)state;
    char name[9000];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_false(host_is_ours(name, "gpu"));
    assert_false(origin_is_allowed(name, "gpu", "http://gpu"));
}

static void pages_may_ask_where_they_come_from_or_when_they_are_listed(void **state)
{
    (void)state;
    assert_true(origin_is_allowed("http://localhost:8799", "localhost:8799", ""));
    assert_true(origin_is_allowed("https://models.example", "models.example", ""));
    assert_false(origin_is_allowed("http://localhost:3000", "localhost:8799", ""));
    assert_false(origin_is_allowed("null", "localhost:8799", ""));
    assert_false(origin_is_allowed("file://localhost:8799", "localhost:8799", ""));
    assert_true(origin_is_allowed("http://localhost:3000", "localhost:8799", "https://a.example http://localhost:3000"));
    assert_false(origin_is_allowed("http://localhost:30001", "localhost:8799", "http://localhost:3000"));
    assert_true(origin_is_allowed("https://b.example", NULL, "*"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_and_localhost_are_always_the_servers_own),
        cmocka_unit_test(other_names_are_not_unless_they_are_listed),
        cmocka_unit_test(a_name_of_any_length_is_harmless),
        cmocka_unit_test(pages_may_ask_where_they_come_from_or_when_they_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
