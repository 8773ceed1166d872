"""Programs and metrics that workers of an executor import."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from dspex_core import Example, Module, Predict, ScriptedLM


def answer(request):
    """Answer with the length of the question."""
    asked = request.messages[-1].text
    question = asked.split("[[ ## question ## ]]\n")[1].split("\n")[0]
    return {"answer": f"{question} has {len(question)} characters"}


def lm():
    return ScriptedLM(answer)


class Short(Module):
    """Answers in two steps; fails on the question that is empty."""

    def __init__(self):
        self.draft = Predict("question -> answer")
        self.final = Predict("question -> answer")

    def forward(self, question):
        if question == "fails":
            raise ValueError("no answer to that")
        self.draft(question=question)
        return self.final(question=question)


def mentions(example, prediction, trace=None):
    return example.question in prediction.answer


def rows(n):
    return [Example(question=f"question {number}").with_inputs("question") for number in range(n)]


def exits(question):
    os._exit(3)


def locks(question):
    return threading.Lock()


def kills_its_worker_once(question, marks):
    """Kill the process of the first call, note all others."""
    mark = Path(marks) / "killed"
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        (Path(marks) / f"{question} {time.time_ns()}").touch()
        return Example(answer=question)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def same(example, prediction, trace=None):
    return example.question == prediction.answer
