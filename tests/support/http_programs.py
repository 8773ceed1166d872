"""Programs that a service in another process makes by name."""

import dspex_core as dspy


class QA(dspy.Signature):
    """Answer the question."""

    question: str = dspy.InputField(desc="what to answer")
    answer: str = dspy.OutputField()


def answers(reply="Paris"):
    """An LM that answers each request in the same way."""
    return dspy.ScriptedLM(lambda _: f"[[ ## answer ## ]]\n{reply}\n\n[[ ## completed ## ]]")


def qa():
    """A program that needs no model, as the command line makes it."""
    program = dspy.Predict(QA)
    program.set_lm(answers())
    return program


def unset():
    """A program that needs a model, and has none."""
    return dspy.Predict(QA)
