"""tandem verify: what was proven is proven again, and what was tampered with is named."""
import contextlib
import hashlib
import json
import shutil
import sqlite3
import subprocess
import threading
import unittest

import greet
import home


class Verify(greet.Built):
    def faults(self, *words, **more):
        """Sentences about what does not hold; the text for people agrees with the JSON."""
        done = self.tandem("verify", "--json", *words, **more)
        self.assertEqual(done.stderr, "")
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if report["faults"] else 0, done.stdout)
        return [" ".join(filter(None, [f["ticket"], f"criterion {f['criterion']}:" if f["criterion"] else "", f["text"]]))
                for f in report["faults"]]

    def assertNamed(self, words, *more):
        faults = self.faults(*more)
        self.assertTrue(any(words in fault for fault in faults), faults)
        return faults

    @contextlib.contextmanager
    def store(self):
        path = next(p for p in self.home.iterdir() if p.is_file() and p.read_bytes()[:6] == b"SQLite")
        db = sqlite3.connect(path)
        yield db
        db.commit()
        db.close()

    def document(self, db, kind, name):
        return json.loads(db.execute(f"SELECT body FROM doc_{kind} WHERE id = ?", (name,)).fetchone()[0])

    def rewrite(self, db, table, name, **fields):
        value = {**self.document(db, table, name), **fields}
        body = canonical(value)
        db.execute(f"UPDATE doc_{table} SET body = ? WHERE id = ?", (body, name))
        return hashlib.sha256(body).hexdigest()

    # ---- what holds ----

    def test_everything_holds_and_is_counted(self):
        self.assertEqual(self.faults(), [])
        report = json.loads(self.good("verify", "--json"))
        self.assertEqual((report["tickets"], report["criteria"], report["faults"]), (2, 3, []))
        self.assertGreaterEqual(report["trees"], 5)
        self.assertGreater(report["events"], 40)

    def test_a_release_that_was_taken_back_is_named(self):
        self.good("release", "--yes")
        self.assertEqual(self.faults(), [])
        released = self.git(self.bare, "rev-parse", "main")
        self.git(self.bare, "branch", "--force", "main", "main~1")
        self.assertNamed(f"the release {released[:12]} (event")

    def test_people_read_the_same(self):
        self.assertRegex(self.good("verify"), r"^Testing \d+ trees \.\.\.\n\d+ events, 2 tickets, 3 criteria; \d trees tested\. "
                         r"Everything holds\.\n$")
        self.git(self.bare, "branch", "-D", "ticket/T-1")
        done = self.tandem("verify")
        self.assertEqual(done.returncode, 1)
        self.assertIn("fault  greet T-1: the branch ticket/T-1 is gone\n", done.stdout)
        self.assertRegex(done.stdout, r"\d+ things do not hold\.\n$")

    def test_a_copied_home_is_proven_from_itself_alone(self):
        copy = self.room / "elsewhere"
        shutil.copytree(self.home, copy)
        shutil.rmtree(self.home)
        shutil.rmtree(self.clone)
        before = {p: p.stat().st_mtime_ns for p in copy.rglob("*") if p.is_file() and "objects" in p.parts}
        self.assertEqual(self.faults("--home", copy), [])
        self.assertEqual({p: p.stat().st_mtime_ns for p in copy.rglob("*") if p.is_file() and "objects" in p.parts}, before)

    def test_one_ticket_is_proven_alone(self):
        report = json.loads(self.good("verify", "T-2", "--json"))
        self.assertEqual((report["tickets"], report["criteria"]), (1, 1))
        self.refused(1, "project greet has no ticket T-9", "verify", "T-9")
        self.refused(1, 'there is no project "nowhere"', "verify", "--project", "nowhere")

    def test_several_trees_at_a_time_give_the_same(self):
        self.assertEqual(self.faults("--pairs", "4"), [])
        self.refused(2, "allowed: 1 to 16", "verify", "--pairs", "99")

    def test_a_home_that_is_not_there_is_said(self):
        self.refused(1, "nowhere", "verify", "--home", self.room / "nowhere")

    # ---- the store ----

    def test_a_changed_byte_of_an_event_is_named(self):
        with self.store() as db:
            seq, body = db.execute("SELECT seq, body FROM event WHERE kind = 'green.witnessed'").fetchone()
            db.execute("UPDATE event SET body = ? WHERE seq = ?", (body.replace(b'"green.', b'"Green.'), seq))
        self.assertNamed(f"event {seq} was altered: its bytes do not have its hash")

    def test_a_changed_byte_of_a_document_is_named(self):
        with self.store() as db:
            title = self.document(db, "ticket", "greet/T-2")["title"]
            self.rewrite(db, "ticket", "greet/T-2", title=title.replace("bye", "Bye"))
        self.assertNamed("ticket greet/T-2 was altered: it is not what event")

    def test_a_changed_byte_of_a_stored_body_is_named(self):
        with self.store() as db:
            digest = self.document(db, "run", "greet/T-2/developer/green-1/1")["answer"]
            body = db.execute("SELECT body FROM blob WHERE digest = ?", (digest,)).fetchone()[0]
            db.execute("UPDATE blob SET body = ? WHERE digest = ?", (body[:-1] + bytes([body[-1] ^ 1]), digest))
        self.assertNamed(f"blob {digest} was altered")

    def test_a_document_that_cannot_be_read_does_not_hide_the_rest(self):
        with self.store() as db:
            db.execute("UPDATE doc_ticket SET body = CAST('{' AS BLOB) WHERE id = 'greet/T-1'")
            db.execute("UPDATE blob SET body = CAST('x' AS BLOB) WHERE n = (SELECT min(n) FROM blob)")
        faults = self.assertNamed("the project cannot be read: ")
        self.assertTrue(any("ticket greet/T-1 was altered" in f for f in faults), faults)
        self.assertTrue(any("blob" in f for f in faults), faults)

    # ---- evidence ----

    def test_swapped_tests_are_named(self):
        with self.store() as db:
            one, other = (self.document(db, "evidence", name)["tests"] for name in ("greet/T-1/1", "greet/T-2/1"))
            self.rewrite(db, "evidence", "greet/T-1/1", tests=other)
        faults = self.assertNamed(f"T-1 criterion 1: its evidence names the tests {other[0]}, the ticket {one[0]}")
        self.assertTrue(any("evidence greet/T-1/1 was altered" in f for f in faults), faults)
        self.assertTrue(any(f"its evidence names the tests {other[0]}, but event" in f for f in faults), faults)
        self.assertTrue(any(f"the tests that fail on the red commit" in f and f"are {one[0]}, not {other[0]}" in f for f in faults), faults)

    def test_another_reason_is_named(self):
        with self.store() as db:
            self.rewrite(db, "evidence", "greet/T-1/1", reason="assertion", absent=[])
        faults = self.assertNamed("T-1 criterion 1: its evidence says that the tests failed by assertion, but event")
        self.assertTrue(any("by absence, not by assertion" in f for f in faults), faults)

    def test_another_name_that_was_absent_is_named(self):
        with self.store() as db:
            self.rewrite(db, "evidence", "greet/T-1/1", absent=["salute"])
        self.assertNamed("because greet is absent, not salute")

    def test_exchanged_commits_are_named(self):
        with self.store() as db:
            red, green = (self.document(db, "evidence", "greet/T-2/1")[k] for k in ("red_commit", "green_commit"))
            self.rewrite(db, "evidence", "greet/T-2/1", red_commit=green, green_commit=red)
        faults = self.assertNamed(f"T-2 criterion 1: the red commit {green[:12]} has the tree")
        self.assertTrue(any('which is "green.witnessed" of T-2, not "red.witnessed" of T-2' in f for f in faults), faults)
        self.assertTrue(any(f"the green commit {red[:12]} is not green any more" in f for f in faults), faults)

    def test_a_tree_on_which_the_tests_do_not_fail_is_named(self):
        with self.store() as db:
            ev = self.document(db, "evidence", "greet/T-1/2")
            self.rewrite(db, "evidence", "greet/T-1/2", met_by=ev["green_tree"])
        faults = self.assertNamed(f"T-1 criterion 2: its tests do not fail on the ticket's base, tree {ev['green_tree'][:12]}")
        self.assertTrue(any("saw the tests fail on the tree" in f for f in faults), faults)

    def test_missing_evidence_is_named(self):
        with self.store() as db:
            db.execute("DELETE FROM doc_evidence WHERE id = 'greet/T-2/1'")
        faults = self.assertNamed("T-2 criterion 1: it is green, but its evidence cannot be read")
        self.assertTrue(any("evidence greet/T-2/1 is missing" in f for f in faults), faults)

    def test_a_log_forged_as_a_whole_does_not_fit_the_commits(self):
        """Everything in the store agrees again: only git knows better."""
        with self.store() as db:
            other = self.document(db, "evidence", "greet/T-2/1")["tests"]
            digest = self.rewrite(db, "evidence", "greet/T-1/1", tests=other)
            ticket = self.document(db, "ticket", "greet/T-1")
            ticket["criteria"][0]["tests"] = other
            forged = {("evidence", "greet/T-1/1"): digest, ("ticket", "greet/T-1"): self.rewrite(db, "ticket", "greet/T-1", **ticket)}
            prev = None
            for seq, body in db.execute("SELECT seq, body FROM event ORDER BY seq").fetchall():
                event = json.loads(body)
                if event["kind"] == "red.witnessed" and event["ticket"] == "T-1":
                    payload = json.loads(db.execute("SELECT body FROM blob WHERE digest = ?", (event["payload"],)).fetchone()[0])
                    new = canonical({**payload, "tests": other})
                    digest = hashlib.sha256(new).hexdigest()
                    db.execute("UPDATE blob SET digest = ?, body = ?, len = ? WHERE digest = ?", (digest, new, len(new), event["payload"]))
                    event["payload"] = digest
                for doc in event["docs"]:
                    key = (doc[0], doc[1])
                    last = db.execute(f"SELECT version FROM doc_{doc[0]} WHERE id = ?", (doc[1],)).fetchone()
                    if key in forged and last and last[0] == doc[2]:
                        doc[3] = forged[key]
                event["prev"] = prev or event["prev"]
                body = canonical(event)
                prev = hashlib.sha256(body).hexdigest()
                db.execute("UPDATE event SET body = ?, hash = ? WHERE seq = ?", (body, prev, seq))
            db.execute("UPDATE head SET hash = ?", (prev,))
        faults = self.assertNamed("T-1 criterion 1: the red commit")
        self.assertFalse(any("altered" in f or "does not follow" in f for f in faults), faults)
        self.assertTrue(any("rests on an event that the log does not have" in f for f in faults), faults)

    # ---- git ----

    def worktree(self, branch):
        where = self.room / "work"
        self.git(self.bare, "worktree", "add", "--quiet", where, branch)
        return where

    def test_a_rewritten_commit_is_named(self):
        with self.store() as db:
            green = self.document(db, "evidence", "greet/T-2/1")["green_commit"]
        work = self.worktree("ticket/T-2")
        self.assertEqual(self.git(work, "rev-parse", "HEAD"), green)
        (work / "greet.py").write_text(greet.BOTH + "\n\nbackdoor = True\n")
        self.git(work, "commit", "--quiet", "--all", "--amend", "--no-edit")
        new = self.git(work, "rev-parse", "HEAD")
        faults = self.assertNamed(f"T-2 criterion 1: the green commit {green[:12]} is not on the branch ticket/T-2 any more")
        self.assertTrue(any(f"holds the commit {new[:12]} with the tree" in f for f in faults), faults)

    def test_a_commit_nobody_witnessed_is_named(self):
        work = self.worktree("DEV")
        (work / "late.py").write_text("")
        self.git(work, "add", "late.py")
        self.git(work, "commit", "--quiet", "-m", "Late")
        new = self.git(work, "rev-parse", "HEAD")
        self.assertNamed(f"the branch DEV holds the commit {new[:12]}, which no event of the log witnessed")

    def test_a_branch_moved_back_or_deleted_is_named(self):
        self.git(self.bare, "branch", "--force", "DEV", "DEV^")
        self.git(self.bare, "branch", "-D", "ticket/T-1")
        faults = self.assertNamed("is not on the branch DEV any more")
        self.assertTrue(any("T-1 the branch ticket/T-1 is gone" in f for f in faults), faults)

    def test_a_lost_object_is_named(self):
        with self.store() as db:
            red = self.document(db, "evidence", "greet/T-1/1")["red_commit"]
        (self.bare / "objects" / red[:2] / red[2:]).unlink()
        self.assertNamed(f"T-1 criterion 1: the red commit {red[:12]} cannot be read")

    def test_a_lost_repository_is_named(self):
        shutil.rmtree(self.bare)
        self.assertNamed("the project cannot be read: ")

    def test_a_stack_under_which_the_tests_do_not_run_is_named(self):
        (self.home / "share" / "stacks").mkdir(parents=True)
        ours = (home.ROOT / "share" / "stacks" / "python.yaml").read_text()
        (self.home / "share" / "stacks" / "python.yaml").write_text(ours.replace("argv: [python3, -P,", "argv: [python3, -Z,"))
        self.assertNamed("T-1 criterion 1: the red commit")


class Beside(greet.Built):
    """A writer at work meanwhile."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        home.Home.setUp(self)

    def test_it_holds_at_every_moment_of_a_run(self):
        (self.room / "spec.md").write_text(greet.SPEC)
        fake = greet.model()
        self.addCleanup(fake.close)
        asked, go_on = threading.Event(), threading.Event()
        said = fake.answer

        def answer(role, messages):
            if role == "developer" and "> bye('Ann')" in messages[-1]["content"]:
                asked.set()
                go_on.wait(60)
            return said(role, messages)

        fake.answer = answer
        run = subprocess.Popen([home.TANDEM, "run", "spec.md", "--stack", "python", "--yes", *fake.words()], cwd=self.room,
                               env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.kill)
        self.addCleanup(go_on.set)
        try:
            for _ in range(100):
                if asked.wait(0.05):
                    break
                done = self.tandem("verify", "--json")
                if done.returncode == 0 and done.stdout:
                    self.assertEqual(json.loads(done.stdout)["faults"], [])
                else:
                    self.assertNotIn('"faults":[{', done.stdout)
            self.assertTrue(asked.wait(60))
            report = json.loads(self.good("verify", "--json"))
            self.assertEqual((report["criteria"], report["faults"]), (3, []))
        finally:
            go_on.set()
            out, _ = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, out)
        self.assertEqual(json.loads(self.good("verify", "--json"))["faults"], [])


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


if __name__ == "__main__":
    home.tap.main()
