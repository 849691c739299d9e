"""A person at a real terminal: the program runs on a pseudo-terminal and is answered."""
import os
import pty
import select
import subprocess

import home


class AtTerminal(home.Home):
    def at_terminal(self, words, answers, editor="exit 1", **environment):
        """Runs `tandem WORDS`; each time it asks something, the next of `answers` is typed.

        A question is a line that ends with one of `QUESTIONS`; a function is called for its answer;
        what is no text but a signal is what Ctrl-C or the like sends.  `editor` is the body of a
        shell script.  Returns the exit status and all that was shown.
        """
        script = self.room / "editor"
        script.write_text(f"#!/bin/sh\n{editor}\n")
        script.chmod(0o755)
        main, side = pty.openpty()
        self.addCleanup(os.close, main)
        child = subprocess.Popen([home.TANDEM, *map(str, words)], stdin=side, stdout=side, stderr=side, cwd=self.room,
                                 env=self.environment(EDITOR=f'"{script}"', TERM="xterm", NO_COLOR="1", **environment),
                                 start_new_session=True)
        os.close(side)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        out, answers = "", list(answers)
        while select.select([main], [], [], 60)[0]:
            try:
                piece = os.read(main, 65536)
            except OSError:  # the child has closed the other side
                return child.wait(10), out
            out += piece.decode()
            if answers and out.rstrip(" >").endswith(self.QUESTIONS):
                answer = answers.pop(0)
                if callable(answer):
                    answer = answer()
                if isinstance(answer, str):
                    os.write(main, answer.encode() + b"\n")
                else:
                    child.send_signal(answer)
        self.fail(out)

    QUESTIONS = ("[s]top", "[d]rop the changes", "What should be different?")
