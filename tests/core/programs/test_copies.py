"""Copies of programs: they can be changed without the program, and share what cannot be copied."""

import copy
import threading

import pytest

from dspex_core import Module, Predict, ScriptedLM, context
from dspex_core.programs.saving.tree import replace


class Shop(Module):
    def __init__(self):
        self.lock = threading.Lock()
        self.ask = Predict("question -> answer")
        self.parts = [Predict("question -> topic"), self.lock]
        self.named = {"again": self.ask, "pair": (Predict("topic -> answer"), 1)}
        self.notes = {"seen": [1, 2]}


def test_a_program_that_holds_a_lock_can_be_copied():
    program = Shop()
    clone = program.deepcopy()
    assert clone.lock is program.lock
    assert clone.parts[1] is program.lock
    assert [path for path, _ in clone.named_predictors()] == ["ask", "parts[0]", "named['pair'][0]"]


def test_nothing_else_is_shared():
    program = Shop()
    clone = program.deepcopy()
    for (_, ours), (_, theirs) in zip(program.named_predictors(), clone.named_predictors(), strict=True):
        assert ours is not theirs
    clone.notes["seen"].append(3)
    clone.ask.demos = [{"question": "q", "answer": "a"}]
    clone.parts.pop()
    assert (program.notes, program.ask.demos, len(program.parts)) == ({"seen": [1, 2]}, (), 2)


def test_what_stands_in_two_places_does_so_in_the_copy():
    clone = Shop().deepcopy()
    assert clone.named["again"] is clone.ask


def test_a_half_made_copy_is_not_kept():
    class Half:
        def __init__(self, inner):
            self.inner = inner

        def __deepcopy__(self, memo):
            copy.deepcopy(self.inner, memo)
            raise TypeError("cannot be copied")

    class Holder(Module):
        def __init__(self):
            inner = {"a": [1]}
            self.half = Half(inner)
            self.whole = inner

    program = Holder()
    clone = program.deepcopy()
    assert clone.half is program.half
    assert clone.whole == program.whole
    assert clone.whole is not program.whole


def test_a_program_that_holds_itself_can_be_copied():
    program = Shop()
    program.parts.append(program)
    program.notes["me"] = program.parts
    clone = program.deepcopy()
    assert clone.parts[2] is clone
    assert clone.notes["me"] is clone.parts


def test_a_copy_has_made_no_calls_and_shares_the_lm():
    program = Shop()
    program.set_lm(ScriptedLM([{"answer": "a"}]))
    with context(lm=None):
        program.ask(question="q")
    clone = program.deepcopy()
    assert (len(program.ask.history), len(clone.ask.history)) == (1, 0)
    assert clone.get_lm() is program.get_lm()


def test_a_reset_copy_has_neither_demos_nor_lms():
    program = Shop()
    program.set_lm(ScriptedLM([]))
    program.ask.demos = [{"question": "q", "answer": "a"}]
    clone = program.reset_copy()
    assert (clone.get_lm(), clone.ask.demos) == (None, ())
    assert len(program.ask.demos) == 1


def test_every_predictor_can_be_replaced_wherever_it_stands():
    program = Shop()
    returned = program.map_named_predictors(lambda predictor: Predict(predictor.signature, temperature=0.5))
    assert returned is program
    assert [predictor.config for predictor in program.predictors()] == [{"temperature": 0.5}] * 3
    assert program.named["again"] is program.ask
    assert program.parts[1] is program.lock


def test_a_predictor_cannot_be_replaced_inside_itself():
    with pytest.raises(ValueError, match="inside itself"):
        Predict("question -> answer").map_named_predictors(lambda predictor: predictor)


def test_callbacks_are_told_of_what_copies_do():
    class Noting:
        def __init__(self):
            self.events = []

        def __call__(self, event):
            self.events.append(event.name)

    class Simple(Module):
        def forward(self):
            return 1

    noting = Noting()
    program = Simple(callbacks=[noting])
    program.part = Simple(callbacks=[noting])
    clone = program.deepcopy()
    clone(), clone.part()
    assert noting.events == ["dspex.module.start", "dspex.module.stop"] * 2


def _holding_themselves(part):
    items, named = [part], {"part": part}
    items.append(items)
    named["items"] = (items, named)
    return items, named


@pytest.mark.parametrize("which", [0, 1], ids=["list", "dict"])
def test_containers_that_hold_themselves_are_looked_into_once(which, tmp_path):
    class Own(Module):
        def __init__(self):
            self.kept = _holding_themselves(Predict("question -> answer"))[which]

        def forward(self, question):
            return self.predictors()[0](question=question)

    program = Own()
    assert len(program.named_predictors()) == len(list(program.named_sub_modules(Predict))) == 1
    clone = program.deepcopy()
    clone.set_lm(ScriptedLM([{"answer": "yes"}]))
    clone.save(tmp_path / "own.json")
    program.load(tmp_path / "own.json")
    assert (clone(question="?").answer, program.predictors()[0].lm) == ("yes", None)

    [(old_path, old)], new = program.named_predictors(), Predict("question -> reply")
    replace(program, old, new)
    assert program.named_predictors() == [(old_path, new)]


class Changing(dict):
    """Adds to its module while it is copied, as a call in another thread may."""

    def __init__(self, module):
        self.module = module

    def __deepcopy__(self, memo):
        self.module.added = self.module.notes["added"] = 1
        return self


def test_a_program_may_get_attributes_while_it_is_copied():
    program = Shop()
    vars(program).update({"changing": Changing(program), "last": 1})
    program.notes = {"changing": program.changing, "last": 1}
    clone = program.deepcopy()
    assert (clone.last, clone.notes["last"]) == (1, 1)


class Changer:
    """A key that adds to its module while it is written, as a call in another thread may."""

    def __init__(self, module):
        self.module = module

    def __str__(self):
        self.module.added = self.module.named["added"] = 1
        return "changer"

    __repr__ = __str__


@pytest.mark.parametrize("walked", ["named_predictors", "named_modules", "every_predictor"])
def test_a_program_may_get_attributes_while_its_parts_are_looked_at(walked):
    program = Shop()
    program.named[Changer(program)] = program.last = Predict("topic -> mood")
    program.more = "last"
    assert program.last in dict(getattr(program, walked)()).values()
    assert program.added
