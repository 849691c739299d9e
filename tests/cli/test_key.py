"""tandem key: who may ask the gateway, which models, and how much."""
import datetime
import json
import re

import home
import serving


class Keys(serving.Serving):
    serves = None

    def key(self, *words):
        key = self.good("key", "add", *words).strip()
        self.assertRegex(key, r"^tandem-[0-9a-f]{64}$")
        return key

    def code(self, answer):
        return answer[0], answer[2]["error"]["type"], answer[2]["error"]["code"]

    # ---- the commands ----

    def test_a_key_is_shown_once_and_only_its_digest_is_kept(self):
        key = self.key("ann", "--models", "developer,other", "--per-minute", "30", "--tokens-per-day", "9000", "--at-once", "2",
                       "--expires", "2090-12-31")
        self.assertRegex(self.good("key", "list"), r"ann +30 +2 +9000 +- +2090-12-31 +developer, other\n")
        self.assertNotEqual(self.key("bob"), key)
        listed = json.loads(self.good("key", "list", "--json"))
        self.assertEqual([k["id"] for k in listed], ["ann", "bob"])
        self.assertNotIn("digest", listed[0])
        log = self.good("log", "--all", "--json")
        self.assertIn("key.added", log)
        self.assertNotIn("digest", log.replace("payload_digest", ""))
        for path in self.home.rglob("*"):
            if path.is_file():
                self.assertNotIn(key[len("tandem-"):].encode(), path.read_bytes(), path)

    def test_wrong_words_are_told(self):
        self.key("ann")
        self.refused(1, 'there is a key "ann" already', "key", "add", "ann")
        self.refused(1, "is no name for a key", "key", "add", "a b")
        self.refused(1, "is no name for a key", "key", "add", ".a")
        self.refused(1, "is no name for a key", "key", "add", "a" * 61)
        self.refused(2, "allowed: 1 to 1000000", "key", "add", "b", "--per-minute", "0")
        self.refused(2, "write a day as 2030-12-31", "key", "add", "b", "--expires", "2030-02-30")
        self.refused(2, "is over already", "key", "add", "b", "--expires", "2020-01-01")
        self.refused(2, 'there is no model and no route "smal" (did you mean "small"?)', "key", "add", "b", "--models", "smal")
        self.refused(1, 'there is no key "eve"', "key", "rm", "eve")
        self.assertIn("last key", self.good("key", "rm", "ann"))
        self.assertIn("There are no keys", self.good("key", "list"))

    # ---- at the door ----

    def test_without_keys_programs_here_may_ask_and_proxies_may_not(self):
        self.serve()
        self.assertEqual(self.completes()[0], 200)
        self.assertEqual(self.completes(key="whatever a program sends")[0], 200)
        status, headers, text = self.request("/v1/models", X_Forwarded_For="203.0.113.9")
        self.assertEqual((status, headers["WWW-Authenticate"]), (401, "Bearer"), text)

    def test_keys_are_asked_for_as_soon_as_there_is_one_and_no_longer_when_it_is_gone(self):
        self.serve()
        key = self.key("ann")  # through the server
        answer = self.completes()
        self.assertEqual(self.code(answer), (401, "authentication_error", "invalid_api_key"))
        self.assertEqual(answer[1]["WWW-Authenticate"], "Bearer")
        self.assertEqual(self.completes(key=key)[0], 200)
        self.assertEqual(self.completes(key=key[:-1] + ("0" if key[-1] != "0" else "1"))[0], 401)
        self.assertEqual(self.request("/metrics")[0], 401)
        self.assertEqual(self.request("/metrics", key=key)[0], 200)
        self.assertEqual(self.request("/healthz")[0], 200)
        self.good("key", "rm", "ann")
        self.assertEqual(self.completes()[0], 200)
        self.assertIn("key.removed", self.good("log", "--all"))

    def test_the_homes_own_commands_need_no_key(self):
        self.serve()
        self.key("ann")
        self.assertEqual(self.good("model", "ask", "developer", "say", "hello"), "Hello, Ann\n")

    def test_a_setting_lets_programs_on_this_machine_in_without(self):
        key = self.key("ann", "--models", "other")
        self.serve("--set", "keyless_local=true")
        self.assertEqual(self.completes()[0], 200)
        self.assertEqual(self.completes(key=key)[0], 403)
        self.assertEqual(self.request("/v1/models", Via="1.1 proxy")[0], 401)

    def test_abuse_of_the_header_is_told_and_harmless(self):
        key = self.key("ann")
        self.serve()
        for value, status in (("", 401), ("Bearer", 401), ("Bearer ", 401), (f"Basic {key}", 401), (key, 401), (f"Bearer {key} ", 200),
                              (f"bearer {key}", 200), (f"Bearer  {key}", 200), (f"Bearer {key}x", 401), (f"Bearer {key[:8]}", 401),
                              ("Bearer " + "a" * 4000, 401), ("Bearer " + "a" * 20000, 431), ("Bearer \x01\x02", 400),
                              ("Bearer \x00", 400), ("Bearer \u00e9\u0000", 400), ("Bearer \u00e9", 401)):
            with self.subTest(value=value[:20]):
                said = self.raw(f"GET /v1/models HTTP/1.1\nHost: localhost\nConnection: close\nAuthorization: {value}\n\n")
                self.assertIn(f"HTTP/1.1 {status} ", said, value[:40])
        twice = f"Authorization: Bearer {key}\n"
        self.assertIn("more than one Authorization", self.raw(f"GET /v1/models HTTP/1.1\nHost: localhost\n{twice}{twice}\n"))
        self.assertIn("another scheme than Bearer", self.raw(f"GET /v1/models HTTP/1.1\nHost: localhost\nConnection: close\n"
                                                             f"Authorization: Basic {key}\n\n"))

    # ---- what a key may ----

    def test_a_key_may_name_its_models_and_sees_no_others(self):
        key = self.key("ann", "--models", "developer")
        self.serve()
        self.assertEqual(self.completes(key=key)[0], 200)
        self.assertEqual(self.code(self.completes(key=key, model="small")), (403, "permission_error", "refused"))
        self.assertEqual([m["id"] for m in json.loads(self.ask("/v1/models", key=key))["data"]], ["developer"])
        self.assertEqual(self.request("/v1/models/other", key=key)[0], 403)

    def test_requests_of_a_minute_are_limited_and_the_wait_is_told(self):
        key, other = self.key("ann", "--per-minute", "3"), self.key("bob", "--per-minute", "3")
        self.serve()
        self.assertEqual([self.request("/v1/models", key=key)[0] for _ in range(3)], [200, 200, 200])
        answer = self.completes(key=key)
        self.assertEqual(self.code(answer), (429, "rate_limit_error", "rate_limit_exceeded"))
        self.assertIn(int(answer[1]["Retry-After"]), range(15, 21))
        self.assertEqual(self.completes(key=other)[0], 200)
        self.assertEqual(self.request("/metrics", key=key)[0], 200)
        self.assertIn('tandem_key_turned_away_total{key="ann"} 1\n', self.ask("/metrics", key=key))

    def test_tokens_of_a_day_run_out_and_are_remembered(self):
        key = self.key("ann", "--tokens-per-day", "200")  # the fake says 110 for each call
        self.serve()
        self.assertEqual([self.completes(key=key)[0] for _ in range(3)], [200, 200, 429])
        status, headers, said = self.completes(key=key)
        now = datetime.datetime.now(datetime.timezone.utc)
        left = 86400 - now.hour * 3600 - now.minute * 60 - now.second
        self.assertAlmostEqual(int(headers["Retry-After"]), left, delta=10)
        self.assertIn("midnight UTC", said["error"]["message"])
        self.stop()
        self.assertRegex(self.good("key", "list"), r"ann +- +- +200 +220 ")
        self.serve()
        self.assertEqual(self.completes(key=key)[0], 429)
        self.stop()
        self.good("key", "rm", "ann")
        again = self.key("ann", "--tokens-per-day", "200")
        self.serve()
        self.assertEqual((self.completes(key=key)[0], self.completes(key=again)[0]), (401, 200))

    def test_a_removed_key_ends_at_the_next_request(self):
        key, other = self.key("ann"), self.key("bob")
        self.serve()
        self.assertEqual(self.completes(key=key)[0], 200)
        self.good("key", "rm", "ann")
        self.assertEqual((self.completes(key=key)[0], self.completes(key=other)[0], self.completes()[0]), (401, 200, 401))

    # ---- other machines ----

    def test_other_addresses_want_a_key_first(self):
        self.refused(2, "there is no key yet", "serve", "--listen", "0.0.0.0:0")
        self.refused(2, "there is no key yet", "serve", "--listen", "127.example.org:0")
        key = self.key("ann")
        self.serve(listen="0.0.0.0:0")
        self.assertIn("plain HTTP", self.server.stdout.readline())
        self.assertEqual((self.completes()[0], self.completes(key=key)[0]), (401, 200))


if __name__ == "__main__":
    home.tap.main()
