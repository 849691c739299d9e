"""What a model's server does to an answer, and what another program gets of it from the gateway."""
import json
import time

import home
import upstream

CHAT = "/v1/chat/completions"
DONE = "data: [DONE]\n\n"
WHOLE = {"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"},
         "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}


def event(text, finish=None):
    return "data: " + json.dumps({"id": "x", "object": "chat.completion.chunk", "choices": [
        {"index": 0, "delta": {"content": text}, "finish_reason": finish}]}, ensure_ascii=False) + "\n\n"


def events(*texts, **more):
    return {"status": 200, "type": "text/event-stream", "body": "".join(event(text) for text in texts), **more}


class Relay(upstream.Gateway):
    serves = ("--set", "first_token_s=1", "--set", "stall_s=1")

    def rule(self, rule, *more):
        self.write_script({"text": "Hello", "rules": [{"on": CHAT, **r} for r in (rule, *more)]})
        self.before = self.asked()

    def asked(self):
        """Calls that reached the model's server."""
        return (self.room / "upstream.log").read_text().count(f'"path":"{CHAT}"')

    def stream(self, **more):
        """(the events, whether the stream came to its end)."""
        with self.connect() as connection:
            connection.sendall(self.post(self.chat("hello", stream=True, **more), Connection="close"))
            got = b""
            while piece := connection.recv(65536):
                got += piece
        head, _, body = got.partition(b"\r\n\r\n")
        self.assertIn(b" 200 OK", head, got)
        lines = body.decode().replace("\r", "").split("\n")
        return [line[6:] for line in lines if line.startswith("data: ")], body.endswith(b"\r\n0\r\n\r\n")

    def words(self, got):
        chunks = [json.loads(data) for data in got if data != "[DONE]"]
        return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))

    def fails(self, status, words):
        """One answer that is wanted whole is an error."""
        got, _, said = self.completes("hello")
        self.assertEqual(got, status, said)
        self.assertIn(words, said["error"]["message"])
        self.assertNotIn("choices", said)

    def breaks_off(self, shown, words):
        """So does a stream, which says so and does not come to its end."""
        got, ended = self.stream()
        self.assertFalse(ended, got)
        self.assertNotIn("[DONE]", got)
        self.assertEqual(self.words(got[:-1]), shown)
        self.assertIn(words, json.loads(got[-1])["error"]["message"])

    def test_a_server_that_breaks_off_is_asked_again_for_one_answer(self):
        self.rule({**events("one", "two"), "cut": len(event("one")) + 20, "then": "close", "times": 2})
        status, _, said = self.completes("hello")
        self.assertEqual((status, said["choices"][0]["message"]["content"]), (200, "Hello"))
        self.assertEqual(self.asked() - self.before, 3)

    def test_one_that_always_breaks_off_is_an_error(self):
        for then in ("close", "reset"):
            with self.subTest(then=then):
                self.rule({**events("one", "two"), "cut": len(event("one")) + 20, "then": then})
                self.fails(500, "broke: ")
                self.assertEqual(self.asked() - self.before, 3)
                self.breaks_off("one", "broke: ")

    def test_a_stream_without_an_end_is_no_whole_answer(self):
        for framing in ("chunked", "close"):
            with self.subTest(framing=framing):
                self.rule(events("one", "two", framing=framing))
                self.fails(500, "small ended in the middle of its answer")
                self.breaks_off("onetwo", "small ended in the middle of its answer")

    def test_a_server_that_only_says_how_it_finished_is_believed(self):
        self.rule({"status": 200, "body": event("one") + event("", finish="length")})
        status, _, said = self.completes("hello")
        self.assertEqual((status, said["choices"][0]["finish_reason"]), (200, "length"))
        got, ended = self.stream()
        self.assertEqual((self.words(got), ended), ("one", True))

    def test_what_becomes_of_the_connection_behind_the_end_does_not_matter(self):
        for then in ("hang", "reset"):
            with self.subTest(then=then):
                self.rule({"status": 200, "type": "text/event-stream", "body": event("one", "stop") + DONE + event("no"),
                           "cut": len(event("one", "stop") + DONE), "then": then})
                self.assertEqual(self.completes("hello")[2]["choices"][0]["message"]["content"], "one")
                got, ended = self.stream()
                self.assertEqual((self.words(got), ended), ("one", True))
                self.assertEqual(self.asked() - self.before, 2)

    def test_an_end_without_a_beginning_is_no_answer(self):
        self.rule({"status": 200, "type": "text/event-stream", "body": DONE})
        self.fails(503, "small ended without an answer")
        self.assertEqual(self.asked() - self.before, 3)

    def test_values_between_the_chunks_are_skipped_and_what_is_no_json_is_not(self):
        body = "data: null\n\n" + event("one") + "data: [1]\n\n" + event("two", "stop") + DONE
        self.rule({"status": 200, "type": "text/event-stream", "body": body})
        self.assertEqual(self.completes("hello")[2]["choices"][0]["message"]["content"], "onetwo")
        for wrong in ('{"choices":[}', '{"error":1,"error":2}'):
            with self.subTest(wrong=wrong):
                self.rule({"status": 200, "type": "text/event-stream", "body": event("one") + f"data: {wrong}\n\n" + event("", "stop") + DONE})
                self.fails(500, "small sent an event that is no JSON")

    def test_an_answer_keeps_what_tandem_does_not_know(self):
        chunk = '{"id":"x","é":[1,{"b":2}],"choices":[{"index":0,"delta":{"content":"\\u00e9%s","mood":{"is":"go"}},"finish_reason":%s}]}'
        self.rule({"status": 200, "type": "text/event-stream", "body": "data: " + chunk % ("1", "null") + "\n\ndata: " + chunk % ("2", '"stop"') +
                   "\n\n" + DONE})
        _, _, said = self.completes("hello")
        self.assertEqual(said["é"], [1, {"b": 2}])
        self.assertEqual(said["choices"][0]["message"], {"role": "assistant", "content": "é1é2", "mood": {"is": "gogo"}})

    def test_words_about_a_finish_are_none(self):
        self.rule(events('"finish_reason": "stop"'))
        self.fails(500, "small ended in the middle of its answer")

    def test_a_silence_in_the_middle_ends_it(self):
        self.rule({**events("one", "two"), "cut": len(event("one")), "then": "hang"})
        self.fails(504, "stopped in the middle of its answer for 1 s")
        self.breaks_off("one", "stopped in the middle of its answer for 1 s")

    def test_headers_that_never_come_are_a_time_out(self):
        self.rule({"cut": -1, "then": "hang"})
        self.fails(504, "did not begin to answer within 1 s")

    def test_an_error_of_the_server_is_one_for_the_caller(self):
        error = 'data: {"error": {"code": 500, "message": "it broke", "type": "server_error"}}\n\n'
        self.rule({"status": 200, "type": "text/event-stream", "body": event("one") + error})
        self.fails(500, "small says: it broke")
        self.breaks_off("one", "it broke")
        self.rule({"status": 200, "type": "text/event-stream", "body": error.replace("500", "400")})
        self.fails(400, "small says: it broke")
        self.assertEqual(self.asked() - self.before, 1)  # it would only say so again

    def test_what_is_no_json_is_not_left_out(self):
        self.rule({"status": 200, "type": "text/event-stream", "body": event("one") + "data: {not json\n\n" + event("two", "stop") + DONE})
        self.fails(500, "small sent an event that is no JSON")

    def test_bytes_that_are_not_utf8_are_replaced(self):
        self.rule({"status": 200, "type": "text/event-stream", "latin1": True, "body": event("caf\u00e9 ") + event("ok", "stop") + DONE})
        self.assertEqual(self.completes("hello")[2]["choices"][0]["message"]["content"], "caf\ufffd ok")
        self.assertEqual(self.words(self.stream()[0]), "caf\ufffd ok")

    def test_half_a_character_in_each_piece_is_put_together(self):
        self.rule({"text": "h\u00e9 \U0001f600 \u4e16", "piece": 1})
        self.assertEqual(self.completes("hello")[2]["choices"][0]["message"]["content"], "h\u00e9 \U0001f600 \u4e16")
        self.assertEqual(self.words(self.stream()[0]), "h\u00e9 \U0001f600 \u4e16")

    def test_a_web_page_is_said_to_be_one(self):
        self.rule({"status": 200, "type": "text/html", "body": "<html><title>Please log in</title></html>"})
        self.fails(503, 'small answered with a web page ("Please log in")')
        self.rule({"status": 502, "type": "text/html", "body": "<html><title>Bad Gateway</title></html>"})
        self.fails(502, "the server of small refused (status 502: Bad Gateway)")

    def test_what_is_meant_for_us_is_told_as_that(self):
        self.rule({"status": 401, "body": '{"error": {"message": "no key"}}'})
        self.fails(502, "the server of small wants another API key (status 401: no key)")
        self.rule({"status": 302, "headers": ["Location: http://elsewhere/"], "body": "gone"})
        self.fails(502, "the server of small points elsewhere (status 302: gone)")

    def test_a_server_that_does_not_stream_is_understood(self):
        self.rule({"status": 200, "body": json.dumps(WHOLE)})
        self.assertEqual(self.completes("hello")[2], WHOLE)
        got, ended = self.stream(stream_options={"include_usage": True})
        self.assertEqual((self.words(got), got[-1], ended), ("Hello", "[DONE]", True))
        self.assertEqual([json.loads(data).get("usage") for data in got[:-1]], [None, WHOLE["usage"]])
        self.rule({"status": 200, "body": '{"error": {"message": "it broke", "code": 500}}'})
        self.fails(500, "small says: it broke")

    def test_an_answer_without_end_is_cut_off(self):
        self.rule(events("x" * 1000, repeat=1000000))
        begun = time.monotonic()
        self.fails(500, "small gave an answer that is larger than the 128 MiB that are allowed")
        self.assertLess(time.monotonic() - begun, 20)
        self.assertEqual(self.asked() - self.before, 1)
        with open(f"/proc/{self.server.pid}/status") as status:
            most = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        self.assertLess(most, 1000 << 10)  # also under sanitizers

    def test_a_stop_is_told_to_streams(self):
        self.write_script({"text": "one two three " * 1000, "tokens_per_s": 20})
        connection = self.connect()
        connection.sendall(self.post(self.chat("hello", stream=True)))
        got = connection.recv(4096)
        self.server.terminate()
        while piece := connection.recv(65536):
            got += piece
        self.assertIn(b'"message":"Tandem is being stopped"', got)
        self.server.communicate(timeout=20)


class Patience(upstream.Gateway):
    def begin(self, words):
        connection = self.connect()
        connection.sendall(self.post(self.chat(words, stream=True), Connection="close"))
        return connection

    def rest(self, connection):
        got = b""
        while piece := connection.recv(65536):
            got += piece
        return got

    def test_who_waits_for_a_stream_is_given_signs_of_life(self):
        """While the model reads, and in the queue; after them a refusal is an event."""
        refusal = json.dumps({"error": {"message": "too long", "type": "exceed_context_size_error", "code": 400}})
        self.write_script({"rules": [{"on": CHAT, "has": "refuse me", "status": 400, "body": refusal},
                                     {"on": CHAT, "text": "Hello", "after_ms": 17000}]})
        reads = self.begin("hello")
        self.wait_until(lambda: self.figure('model_slots{model="small",is="busy"}') == 1)
        queues = self.begin("refuse me")
        begun = time.monotonic()
        for connection in reads, queues:
            first = connection.recv(4096)
            while b"\r\n:\n\n" not in first:
                first += connection.recv(4096)
            self.assertIn(b" 200 OK", first)
            self.assertNotIn(b"data:", first)
        self.assertLess(time.monotonic() - begun, 16.9)
        whole, refused = self.rest(reads), self.rest(queues)
        self.assertIn(b'"content":"Hell"', whole)
        self.assertTrue(whole.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"), whole)
        self.assertIn(b'"message":"the server of small refused (status 400: too long)"', refused)
        self.assertFalse(refused.endswith(b"\r\n0\r\n\r\n"), refused)


if __name__ == "__main__":
    home.tap.main()
