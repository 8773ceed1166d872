"""Artifacts that describe their program whole: served without the source; all others are refused."""

import datetime as dt
import json
from typing import Literal

import pytest

import dspex_core as dspy
from dspex_core.errors import ArtifactError
from dspex_core.serve.loading import load_program


class Ticket(dspy.Signature):
    """Sort a ticket."""

    message: str = dspy.InputField(desc="from a customer", max_length=4000)
    since: dt.date | None = dspy.InputField(default=None)
    intent: Literal["cancel", "refund", "don't know"] = dspy.OutputField()
    orders: list[dict[str, int]] = dspy.OutputField(prefix="Orders, by number:")


class Order(dspy.Signature):
    """Read an order."""

    message: str = dspy.InputField()
    orders: list[dspy.Example] = dspy.OutputField()


class Sorter(dspy.Module):
    def __init__(self):
        super().__init__()
        self.sort = dspy.Predict("message -> intent")

    def forward(self, message):
        return self.sort(message=message)


def compiled(program, path):
    """The file that a compiled program leaves."""
    inputs = next(iter(program.predictors())).signature.input_fields
    rows = [dspy.Example(dict.fromkeys(inputs, "x") | {"intent": "refund"}).with_inputs(*inputs)]
    dspy.LabeledFewShot(k=1).compile(program, trainset=rows).save(path)
    return path


@pytest.mark.parametrize(
    "program",
    [
        dspy.Predict(Ticket),
        dspy.ChainOfThought(Ticket),
        dspy.Predict("message -> intent: Literal['a', 'b'], score: float | None"),
        dspy.Predict(Ticket, temperature=0.5),
    ],
    ids=["predict", "chain-of-thought", "from-text", "with-config"],
)
def test_a_predictor_with_types_that_need_no_import_is_made_from_its_artifact(program, tmp_path):
    path = compiled(program, tmp_path / "ticket.json")
    served = load_program(path, strict=True)
    named = load_program(path, strict=True)
    assert type(served) is type(program)
    (own,), (made,) = program.predictors(), served.predictors()
    assert made.signature.fields == own.signature.fields
    assert made.signature.instructions == own.signature.instructions
    assert len(made.demos) == 1
    assert served.dump_state() == named.dump_state() == json.loads(path.read_text())["state"]


@pytest.mark.parametrize(
    "program",
    [dspy.Predict(Order), Sorter(), dspy.ReAct("message -> intent", tools=[])],
    ids=["a class of the project", "a module of the project", "an agent"],
)
def test_a_program_that_needs_the_project_s_code_is_refused(program, tmp_path):
    path = compiled(program, tmp_path / "ticket.json")
    with pytest.raises(ArtifactError, match=r"--program package\.module:function"):
        load_program(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda source: source.update(predictors={}),
        lambda source: source.update(modules={"self": "Module"}),
        lambda source: source.update(code={"Ticket.forward": "0" * 16}),
        lambda source: source["predictors"]["self"]["fields"]["intent"].update(type="__import__('os').system('true')"),
        lambda source: source["predictors"]["self"]["fields"]["intent"].update(type="Ticket"),
        lambda source: source["predictors"]["self"]["fields"]["intent"].update(role=3),
        lambda source: source["predictors"]["self"]["fields"]["intent"].update(odd=True),
        lambda source: source["predictors"]["self"].update(instructions=["x"]),
        lambda source: source["predictors"]["self"].update(fields=None),
    ],
)
def test_an_artifact_that_describes_something_else_is_refused(change, tmp_path):
    path = compiled(dspy.Predict(Ticket), tmp_path / "ticket.json")
    stored = json.loads(path.read_text())
    change(stored["provenance"]["fingerprint"]["source"])
    path.write_text(json.dumps(stored))
    with pytest.raises(ArtifactError, match=r"--program package\.module:function"):
        load_program(path)
