"""What a fingerprint says of a program, an optimizer and their data, and what it never says."""

import json
import os
import subprocess
import sys
from fnmatch import fnmatchcase
from functools import partial

import pytest

from dspex_core import (
    COPRO,
    LM,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    Example,
    InputField,
    KNNFewShot,
    LabeledFewShot,
    MIPROv2,
    OutputField,
    Predict,
    ScriptedLM,
    Signature,
    context,
    exact_match,
)
from dspex_core.dspy_paths.teleprompt import GEPA, SIMBA, BetterTogether, InferRules
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.fingerprint import default_data, fingerprint_of, part_changes

ROWS = [Example(text=f"row {number}", label="good").with_inputs("text") for number in range(4)]


def signature(doc="Judge the text.", *, text=None):
    return Signature({"text": text or InputField(), "label": OutputField()}, doc)


def own_metric(example, prediction, trace=None):
    return example.label == prediction.label


EXACT = exact_match("label")
BY_EXACT = BootstrapFewShot(EXACT, max_rounds=2)


def fingerprint(**changed):
    given = {
        "optimizer": BootstrapFewShot(own_metric, max_rounds=2),
        "metric": own_metric,
        "trainset": ROWS,
        "valset": None,
        "lm": LM("openai/gpt-4o-mini", temperature=0.0),
        **changed,
    }
    return fingerprint_of(Predict(signature()), given.pop("optimizer"), **given)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {"optimizer": BootstrapFewShot(own_metric, max_rounds=3)},
            r"optimizer (BootstrapFewShot(*max_rounds=2*) then, *",
        ),
        ({"optimizer": LabeledFewShot(2)}, "optimizer (*LabeledFewShot(k=2, seed=0) now)"),
        (
            {"metric": EXACT, "optimizer": BootstrapFewShot(EXACT, max_rounds=2)},
            "metric (own_metric then, FieldMetric(*",
        ),
        ({"trainset": ROWS[1:]}, "trainset (4 rows then, 3 rows now)"),
        ({"trainset": ROWS[::-1]}, "trainset (4 rows then, other 4 rows now)"),
        ({"valset": ROWS}, "valset (none then, 4 rows now)"),
        ({"lm": LM("openai/gpt-4o", temperature=0.0)}, "lm (LM(*gpt-4o-mini*) then, LM(*gpt-4o'*) now)"),
        ({"lm": ScriptedLM([])}, "lm (LM(*) then, ScriptedLM(*) now)"),
    ],
)
def test_each_part_that_changed_is_named(changed, line):
    (said,) = part_changes(fingerprint(), fingerprint(**changed))
    assert fnmatchcase(said, line), said


def test_parts_that_are_the_same_are_not_named():
    optimizer = BootstrapFewShot(own_metric, max_rounds=2)
    assert part_changes(fingerprint(), fingerprint(optimizer=optimizer, trainset=list(ROWS))) == []


OPTIMIZERS = [
    LabeledFewShot(2),
    BY_EXACT,
    BootstrapFewShotWithRandomSearch(EXACT, max_labeled_demos=3),
    KNNFewShot(2, metric=EXACT, max_rounds=2),
    MIPROv2(EXACT, auto="heavy"),
    COPRO(metric=EXACT, breadth=3),
    SIMBA(metric=EXACT, bsize=3),
    InferRules(metric=EXACT, num_rules=3),
    GEPA(EXACT, max_full_evals=3),
    BetterTogether(EXACT, a=MIPROv2(EXACT, auto="heavy"), b=BY_EXACT),
]


def without_options_at_defaults(data, defaults):
    """Return what a version wrote that did not have these options yet."""
    if not (isinstance(data, dict) and isinstance(defaults, dict)):
        return data
    inner = {name: without_options_at_defaults(value, defaults.get(name)) for name, value in data.items()}
    return {name: value for name, value in inner.items() if name not in defaults or value != defaults[name]}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda each: type(each).__name__)
def test_an_option_that_was_not_there_then_and_is_at_its_default_now_is_no_change(optimizer):
    now = fingerprint(optimizer=optimizer)
    then = {**now, "optimizer": without_options_at_defaults(now["optimizer"], default_data(optimizer))}
    assert len(json.dumps(then)) < len(json.dumps(now))
    assert part_changes(then, now, optimizer=optimizer) == []


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (MIPROv2(EXACT), MIPROv2(EXACT, racing=True)),
        (MIPROv2(EXACT, racing=True), MIPROv2(EXACT)),
        (BetterTogether(EXACT, a=MIPROv2(EXACT)), BetterTogether(EXACT, a=MIPROv2(EXACT, racing=True))),
        (KNNFewShot(2, metric=EXACT), KNNFewShot(2, metric=EXACT, max_rounds=2)),
    ],
    ids=["set", "unset", "inside another", "of its bootstrap"],
)
def test_an_option_that_is_not_at_its_default_is_a_change(then, now):
    before, after = fingerprint(optimizer=then), fingerprint(optimizer=now)
    before = {**before, "optimizer": without_options_at_defaults(before["optimizer"], default_data(then))}
    assert [line.partition(" ")[0] for line in part_changes(before, after, optimizer=now)] == ["optimizer"]


def test_the_default_of_an_option_that_is_not_shown_adds_nothing():
    class Own(Optimizer):
        metric = None

        def __init__(self, k=3):
            self._k = k

    now = fingerprint(optimizer=Own())
    assert part_changes(now, now, optimizer=Own()) == []


def test_lambdas_are_told_apart_by_their_own_text():
    with_few = {"metric": lambda example, made: example.label == made.label, "optimizer": LabeledFewShot(1)}
    with_many = {"metric": lambda example, made: example.label == made.label, "optimizer": LabeledFewShot(9)}
    other = {"metric": lambda example, prediction: True, "optimizer": LabeledFewShot(1)}
    one, two, three = (fingerprint(**given)["metric"] for given in (with_few, with_many, other))
    assert one == two != three


def tidy(text):
    return text.strip()


def tidying(text):
    return text.strip().lower()


def tidy_metric(example, prediction, trace=None):
    return tidy(example.label) == tidy(prediction.label)


class TidyMetric:
    def __call__(self, example, prediction, trace=None):
        return tidy_metric(example, prediction)


@pytest.mark.parametrize("metric", [tidy_metric, TidyMetric(), partial(tidy_metric, trace=None)])
def test_a_function_that_the_metric_calls_is_a_part_of_it(metric, monkeypatch):
    before = fingerprint(metric=metric, optimizer=LabeledFewShot(1))
    monkeypatch.setitem(globals(), "tidy", tidying)
    after = fingerprint(metric=metric, optimizer=LabeledFewShot(1))
    assert [line.partition(" ")[0] for line in part_changes(before, after)] == ["metric"]


SECRETS = ("sk-abcdef0123456789", "hunter2-hunter2", "https://me:pass@host.example/v1")


def test_no_secret_is_in_it():
    lm = LM("openai/gpt-4o", api_key=SECRETS[0], api_base=SECRETS[2], extra_headers={"Authorization": SECRETS[1]})
    made = fingerprint(
        lm=lm,
        optimizer=BootstrapFewShot(own_metric, teacher_settings={"lm": lm, "password": SECRETS[1], "url": SECRETS[2]}),
    )
    hidden = fingerprint_of(
        Predict(signature(f"Use {SECRETS[0]}.", text=InputField(desc=SECRETS[2]))),
        LabeledFewShot(1),
        metric=None,
        trainset=[Example(text=SECRETS[0]).with_inputs("text")],
        valset=None,
        lm=lm,
    )
    text = json.dumps([made, hidden])
    assert [secret for secret in (*SECRETS, "me:pass") if secret in text] == []


PROGRAM = '''
import enum
from typing import Literal
import pydantic
from dspex_core import Example, InputField, LabeledFewShot, OutputField, Predict, Signature

class Kind(enum.Enum):
    A = "a"
    B = "b"

class Thing(pydantic.BaseModel):
    """A thing."""
    names: set[str] = {"x", "y", "z"}
    kind: Kind | None = None

class Task(Signature):
    """Do it.

    Do it well."""

    thing: Thing = InputField(desc="it")
    kind: Literal["a", "b"] = OutputField()

def metric(example, prediction, trace=None):
    return example.kind == prediction.kind

ROWS = [Example(thing={"p", "q", "r"}, kind=Kind.A).with_inputs("thing")]
MADE = [Predict(Task), LabeledFewShot(3), metric, ROWS]
'''
PRINT = """
import json
from dspex_core.optimizers.fingerprint import fingerprint_of
program, optimizer, metric, rows = made.MADE
print(json.dumps(fingerprint_of(program, optimizer, metric=metric, trainset=rows, valset=None, lm=None)))
"""


def test_it_is_the_same_in_every_process_and_at_any_place_of_the_module(tmp_path):
    (tmp_path / "shop").mkdir()
    for name in ("tasks.py", "shop/moved.py"):
        (tmp_path / name).write_text(PROGRAM)
    imports = {"0": "import tasks as made", "1": "import shop.moved as made", "42": "import tasks as made"}
    seen = set()
    for seed, imported in imports.items():
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-c", f"{imported}\n{PRINT}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        seen.add(done.stdout)
    assert len(seen) == 1


def test_compiling_in_context_notes_the_lm():
    with context(lm=ScriptedLM([])):
        made = LabeledFewShot(1).compile(Predict(signature()), trainset=ROWS)
    assert vars(made)["_dspex_origin"]["fingerprint"]["lm"]["model"] == "scripted"
