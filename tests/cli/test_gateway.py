"""The gateway under load and abuse: queues, slow and absent clients, web pages, limits, figures."""
import json
import re
import socket
import threading
import time

import home
import upstream

SLOW = {"text": "one two three four five six seven eight nine ten " * 100, "tokens_per_s": 20}


class Queue(upstream.Gateway):
    serves = None

    def asked(self):
        """Calls that reached the model's server."""
        return (self.room / "upstream.log").read_text().count('"kind":"slot"')

    def begin_call(self, **more):
        """A call that is under way, on a connection of its own."""
        connection = self.connect()
        connection.sendall(self.post(self.chat("hello", stream=True, **more)))
        return connection

    def occupy(self):
        """Takes the only slot, and keeps it."""
        self.write_script(SLOW)
        connection = self.begin_call()
        self.assertIn(b"200 OK", connection.recv(4096))
        return connection

    def waiting(self):
        return int(self.figure('model_waiting{model="small"}'))

    def test_a_full_queue_says_when_to_come_again(self):
        self.serve("--set", "model_queue=2")
        self.write_script({"text": "x", "rules": [{"on": "/v1/chat/completions", "after_ms": 1500}]})
        self.assertEqual(self.completes()[0], 200)  # by which it knows how long calls take
        self.occupy()
        waits = [self.begin_call() for _ in range(2)]
        self.wait_until(lambda: self.waiting() == 2)
        status, headers, said = self.completes()
        self.assertEqual((status, said["error"]["type"]), (429, "rate_limit_error"))
        self.assertIn("2 calls wait for small already", said["error"]["message"])
        self.assertIn(int(headers["Retry-After"]), (4, 5, 6))  # three calls of 1.5 s
        for connection in waits:
            connection.close()
        self.wait_until(lambda: self.waiting() == 0)
        self.assertEqual(self.asked(), 2)

    def test_a_call_waits_only_so_long_for_a_slot(self):
        self.serve("--set", "queue_wait_s=1")
        self.occupy()
        begun = time.monotonic()
        status, headers, said = self.completes()
        self.assertEqual(status, 429, said)
        self.assertIn("no slot of small came free within 1 s", said["error"]["message"])
        self.assertGreaterEqual(int(headers["Retry-After"]), 1)
        self.assertGreaterEqual(time.monotonic() - begun, 1)
        self.assertEqual(self.waiting(), 0)

    def test_a_client_that_leaves_frees_its_slot_and_its_place(self):
        self.serve()
        holder, waits = self.occupy(), self.begin_call()
        self.wait_until(lambda: self.waiting() == 1)
        waits.close()
        self.wait_until(lambda: self.waiting() == 0)
        self.write_script({"text": "Hello"})
        holder.close()
        self.wait_until(lambda: self.figure('model_slots{model="small",is="busy"}') == 0)
        self.assertEqual(self.completes()[0], 200)
        self.wait_until(lambda: self.figure('calls_cancelled_total{model="small",caller="program"}') == 2)

    def test_calls_that_wait_are_served_in_order_when_the_slot_is_free(self):
        self.serve()
        holder = self.occupy()
        got = []
        threads = []
        for n in range(3):
            threads.append(threading.Thread(target=lambda n=n: got.append((n, self.completes(f"hello {n}")[0]))))
            threads[-1].start()
            self.wait_until(lambda n=n: self.waiting() == n + 1)
        self.write_script({"text": "Hello", "rules": [{"on": "/v1/chat/completions", "after_ms": 200}]})
        holder.close()
        for thread in threads:
            thread.join()
        self.assertEqual(got, [(0, 200), (1, 200), (2, 200)])

    def test_a_stream_that_nobody_reads_is_broken_off(self):
        self.serve("--set", "http_stall_s=1")
        event = 'data: {"choices": [{"index": 0, "delta": {"content": "' + "x" * 1000 + '"}}]}\n\n'
        self.write_script({"rules": [{"on": "/v1/chat/completions", "status": 200, "type": "text/event-stream", "body": event,
                                      "repeat": 100000}]})
        connection = self.begin_call()
        self.wait_until(lambda: self.figure("http_broken_total") == 1, seconds=20)
        self.wait_until(lambda: self.figure('model_slots{model="small",is="busy"}') == 0)
        connection.close()

    def test_at_once_counts_calls_that_wait_too(self):
        key = self.good("key", "add", "ann", "--at-once", "2").strip()
        other = self.good("key", "add", "bob").strip()
        self.serve()
        self.write_script(SLOW)
        mine = []
        for _ in range(2):
            connection = self.connect()
            connection.sendall(self.post(self.chat("hello", stream=True), Authorization=f"Bearer {key}"))
            mine.append(connection)
        running = re.compile(r'tandem_key_running\{key="ann"\} 2\n')
        self.wait_until(lambda: running.search(self.ask("/metrics", key=other)))
        status, headers, said = self.completes(key=key)
        self.assertEqual((status, headers["Retry-After"]), (429, "1"), said)
        self.assertIn("the key ann may have 2 calls under way at once", said["error"]["message"])
        mine[0].close()
        self.wait_until(lambda: re.search(r'tandem_key_running\{key="ann"\} 1\n', self.ask("/metrics", key=other)))

    def test_a_stream_that_is_left_costs_tokens_too(self):
        key = self.good("key", "add", "ann").strip()
        self.serve()
        self.write_script(SLOW)
        with self.connect() as connection:
            connection.sendall(self.post(self.chat("hello " * 1000, stream=True), Authorization=f"Bearer {key}"))
            self.assertIn(b"200 OK", connection.recv(4096))
        self.wait_until(lambda: 'tandem_key_running{key="ann"} 0\n' in self.ask("/metrics", key=key))
        tokens = re.search(r'tandem_key_tokens_total\{key="ann"\} (\d+)', self.ask("/metrics", key=key)).group(1)
        self.assertIn(int(tokens), range(1500, 1600))  # 6,000 bytes of prompt, and a few events


class Pages(upstream.Gateway):
    """What a web page can do with the browser of somebody who can reach the server."""
    serves = ("--set", "hosts=models.example", "--set", "origins=https://chat.example http://localhost:3000")

    def test_names_that_are_not_ours_are_refused(self):
        for host, status in (("localhost", 200), ("127.0.0.1:1", 200), ("[::1]:1", 200), ("models.example", 200),
                             ("MODELS.example:8799", 200), ("evil.example", 421), ("evil.example:80", 421), ("localhost.evil.example", 421),
                             ("a" * 5000, 421)):
            with self.subTest(host=host[:30]):
                self.assertIn(f"HTTP/1.1 {status} ", self.raw(f"GET /v1/models HTTP/1.1\nHost: {host}\nConnection: close\n\n"))
        self.assertIn("HTTP/1.1 421 ", self.raw("GET /healthz HTTP/1.1\nHost: evil.example\nConnection: close\n\n"))
        self.assertIn(" 200 OK", self.raw("GET /healthz HTTP/1.0\n\n"))

    def test_pages_that_are_not_named_may_not_ask(self):
        for origin, status in (("https://evil.example", 403), ("null", 403), ("http://localhost:3001", 403), ("https://chat.example", 200),
                               ("http://localhost:3000", 200), (self.url, 200)):
            with self.subTest(origin=origin):
                got, headers, text = self.request("/v1/chat/completions", self.chat("hello"), Origin=origin)
                self.assertEqual(got, status, text)
                self.assertEqual(headers["Access-Control-Allow-Origin"], origin if status == 200 else None)
        stream = self.request("/v1/chat/completions", self.chat("hello", stream=True), Origin="https://chat.example")
        self.assertEqual(stream[1]["Access-Control-Allow-Origin"], "https://chat.example")

    def test_a_browser_is_told_before_what_a_page_may_send(self):
        wanted = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization,content-type,x-stainless-os"}
        status, headers, _ = self.request("/v1/chat/completions", method="OPTIONS", Origin="https://chat.example", **wanted)
        self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (204, "https://chat.example"))
        self.assertIn("POST", headers["Access-Control-Allow-Methods"])
        self.assertEqual(headers["Access-Control-Allow-Headers"], wanted["Access_Control_Request_Headers"])
        status, headers, _ = self.request("/v1/chat/completions", method="OPTIONS", Origin="https://evil.example", **wanted)
        self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (403, None))


class Limits(upstream.Gateway):
    serves = None

    def answers(self, connection, seconds=10):
        """What comes until the server closes."""
        connection.settimeout(seconds)
        got = b""
        try:
            while piece := connection.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return got.decode()

    def drip(self, connection, piece, seconds=6):
        """Sends a piece now and then, until there is an answer."""
        end = time.monotonic() + seconds
        connection.setblocking(False)
        while time.monotonic() < end:
            try:
                if connection.recv(1, socket.MSG_PEEK) is not None:
                    break
            except BlockingIOError:
                pass
            try:
                connection.send(piece)
            except OSError:
                break
            time.sleep(0.05)
        connection.setblocking(True)
        return self.answers(connection)

    def test_a_head_has_a_deadline(self):
        self.serve("--set", "http_head_s=1")
        connection = self.connect()
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nA: ")
        self.assertIn(" 408 ", self.drip(connection, b"a"))
        self.assertEqual(self.figure("http_timed_out_total"), 1)

    def test_a_body_has_a_least_rate(self):
        self.serve("--set", "http_grace_s=1", "--set", "http_rate=1000000")
        connection = self.connect()
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        self.assertIn(" 408 ", self.drip(connection, b"a" * 10))

    def test_a_body_has_a_largest_size(self):
        self.serve("--set", "http_body_mib=1")
        connection = self.connect()
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n")
        said = self.answers(connection)
        self.assertIn(" 413 ", said)
        self.assertIn("a body may have 1048576 bytes here", said)
        connection = self.connect()
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(20):
                connection.sendall(b"20000\r\n" + b" " * 0x20000 + b"\r\n")
        except OSError:
            pass
        self.assertIn(" 413 ", self.answers(connection))
        self.assertEqual(self.completes("x" * 500000)[0] // 100, 4)  # which the model refuses, not the server

    def test_bodies_together_have_a_limit(self):
        self.serve("--set", "http_body_mib=8", "--set", "http_bodies_mib=10")
        first = self.connect()
        first.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n{")
        second = self.connect()
        time.sleep(0.1)
        second.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n{")
        self.assertIn(" 503 ", self.answers(second))
        self.assertEqual(self.completes()[0], 200)

    def test_idle_connections_are_closed(self):
        self.serve("--set", "http_idle_s=1")
        connection = self.connect()
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertIn(" 200 OK", self.answers(connection))

    def test_connections_are_limited_for_all_and_for_each_address(self):
        self.serve("--set", "http_connections=12", "--set", "http_connections_per_address=8")
        mine = [self.connect() for _ in range(8)]
        self.assertIn(" 503 ", self.answers(self.connect()))
        other = [socket.create_connection(("127.0.0.1", self.port), source_address=("127.0.0.2", 0)) for _ in range(4)]
        for connection in other:
            self.addCleanup(connection.close)
        third = socket.create_connection(("127.0.0.1", self.port), source_address=("127.0.0.3", 0))
        self.assertIn(" 503 ", self.answers(third))
        mine[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertIn(b" 200 OK", mine[0].recv(4096))

    def test_ten_thousand_idle_connections_leave_room_for_others(self):
        self.serve("--set", "http_connections=200", "--set", "http_connections_per_address=100", "--set", "http_head_s=600")
        resident = self.figure("process_resident_bytes")
        kept, refused = [], 0
        for n in range(10000):
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=20, source_address=("127.0.0.2", 0))
            if n < 100:
                kept.append(connection)
                self.addCleanup(connection.close)
            else:
                refused += b" 503 " in connection.recv(200)
                connection.close()
        self.assertEqual(refused, 9900)
        self.assertEqual(self.completes()[0], 200)
        self.assertLessEqual(self.figure("http_connections"), 102)
        self.assertLess(self.figure("process_resident_bytes") - resident, 32 << 20)


SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? '
                    r'(-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN|\+Inf)')


def read_figures(text):
    """{family: (type, {(name, labels): value})} of Prometheus' text format 0.0.4; AssertionError
    where it breaks a rule of it."""
    families, family = {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert family not in families and line.split(" ", 3)[3], f"{family} comes twice or says nothing"
            families[family] = (None, {})
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and families[family] == (None, {}), line
            assert kind in ("counter", "gauge", "histogram"), line
            assert (kind == "counter") == name.endswith("_total"), line
            families[family] = (kind, {})
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            kind, samples = families[family]
            wanted = [family + end for end in ("_bucket", "_sum", "_count")] if kind == "histogram" else [family]
            assert name in wanted, f"{line} stands in {family}"
            assert (name, labels) not in samples, f"{line} comes twice"
            samples[name, labels] = float(value)
    return families


class Figures(upstream.Gateway):
    serves = None
    slots = 2

    def check_histogram(self, family, samples):
        rows = {}
        for (name, labels), value in samples.items():
            others = ",".join(label for label in labels.split(",") if not label.startswith("le="))
            row = rows.setdefault(others, {"le": []})
            if name.endswith("_bucket"):
                row["le"].append((float(re.search(r'le="([^"]*)"', labels).group(1)), value))
            else:
                row[name.rsplit("_", 1)[1]] = value
        for labels, row in rows.items():
            bounds, counts = [b for b, _ in row["le"]], [c for _, c in row["le"]]
            self.assertEqual(bounds, sorted(bounds), (family, labels))
            self.assertEqual(counts, sorted(counts), (family, labels))
            self.assertEqual((bounds[-1], counts[-1]), (float("inf"), row["count"]), (family, labels))
            self.assertIn("sum", row)

    def test_figures_keep_the_rules_of_the_format(self):
        key = self.good("key", "add", "ann").strip()
        for n in range(70):
            self.good("key", "add", f"b{n:02}", "--models", "small")
        self.serve()
        self.good("model", "set", "small", "slots=3")  # a second instance beside the first
        self.write_script({"text": "Hello"})
        for words in ("hello", 'say "hello"\n\\'):
            self.assertEqual(self.completes(words, key=key)[0], 200)
        self.assertEqual(self.completes(model='no"ne\n', key=key)[0], 404)
        self.assertEqual(self.completes()[0], 401)
        self.wait_until(lambda: 'tandem_calls_total{model="small",caller="program"} 2\n' in self.ask("/metrics", key=key))
        families = read_figures(self.ask("/metrics", key=key))
        for family, (kind, samples) in families.items():
            if kind == "histogram":
                self.check_histogram(family, samples)
        self.assertEqual(families["tandem_calls_total"][1]["tandem_calls_total", 'model="small",caller="program"'], 2)
        self.assertEqual(families["tandem_unauthorized_total"][1]["tandem_unauthorized_total", None], 1)
        self.assertEqual(families["tandem_model_state"][1]["tandem_model_state", 'model="small",state="ready"'], 1)
        self.assertEqual(families["tandem_model_slots"][1]["tandem_model_slots", 'model="small",is="free"'], 3)
        keys = families["tandem_key_requests_total"][1]
        self.assertEqual(len(keys), 65)  # 64 by name, the others as one
        self.assertEqual(keys["tandem_key_requests_total", 'key="ann"'], 3)
        for family in ("tandem_queue_seconds", "tandem_first_token_seconds", "tandem_call_seconds", "tandem_prompt_tokens_total",
                       "tandem_model_waiting", "tandem_model_in_flight", "tandem_model_memory_mib", "tandem_memory_reserved_mib",
                       "tandem_http_requests_total", "tandem_process_resident_bytes", "tandem_info"):
            self.assertTrue(families[family][1], family)

    def test_the_reader_of_this_test_finds_what_is_wrong(self):
        for text in ("# HELP a x\n# TYPE a counter\na 1\n", "# HELP a x\n# TYPE a gauge\na 1\na 2\n", "# HELP a x\n# TYPE a gauge\nb 1\n",
                     "# HELP a x\n# TYPE a gauge\na{b=\"c\nd\"} 1\n", "# HELP a x\n# TYPE a gauge\na 1"):
            with self.assertRaises(AssertionError):
                read_figures(text)


if __name__ == "__main__":
    home.tap.main()
