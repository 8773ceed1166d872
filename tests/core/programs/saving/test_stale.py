"""A stored program whose source has changed since it was compiled says so when it is loaded."""

import enum
import json
import warnings
from typing import Literal

import pydantic
import pytest

import dspex_core
from dspex_core import (
    ChainOfThought,
    Example,
    InputField,
    KNNFewShot,
    LabeledFewShot,
    Module,
    OutputField,
    Predict,
    Signature,
    StaleArtifactError,
    StaleArtifactWarning,
)

ROWS = [Example(text=f"row {number}", label="good").with_inputs("text") for number in range(4)]


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Person(pydantic.BaseModel):
    name: str
    age: int = pydantic.Field(default=0, ge=0, description="in years")


def signature(doc="Judge the text.", *, text=None, label=None, types=(str, str), more=None):
    fields = {
        "text": (types[0], text or InputField(desc="what was written")),
        "label": (types[1], label or OutputField()),
        **(more or {}),
    }
    return Signature(fields, doc)


class Judge(Module):
    def __init__(self, asked=None, kind=Predict, **config):
        super().__init__()
        self.judge = kind(asked or signature(), **config)

    def forward(self, text):
        return self.judge(text=text)


@pytest.fixture
def stored(tmp_path):
    """Compile a program and store it; return the file."""

    def store(program=None, optimizer=None):
        path = tmp_path / "judge.json"
        (optimizer or LabeledFewShot(2)).compile(program or Judge(), trainset=ROWS).save(path)
        return path

    return store


EDITS = {
    "instructions": Judge(signature("Judge the text with care.")),
    "description of an input": Judge(signature(text=InputField(desc="what was said"))),
    "description of an output": Judge(signature(label=OutputField(desc="one word"))),
    "prefix": Judge(signature(text=InputField(desc="what was written", prefix="Written:"))),
    "type": Judge(signature(types=(str, Literal["good", "bad"]))),
    "constraint": Judge(signature(label=OutputField(max_length=5))),
    "default": Judge(signature(text=InputField(desc="what was written", default="nothing"))),
    "sampling parameter": Judge(temperature=0.5),
    "class of a predictor": Judge(kind=type("Own", (Predict,), {})),
}


@pytest.mark.parametrize("edited", EDITS.values(), ids=EDITS.keys())
def test_every_edit_that_the_stored_words_hide_is_a_warning_and_strictly_an_error(stored, edited):
    path = stored()
    before = edited.dump_state()
    with pytest.raises(StaleArtifactError, match="was compiled from another source") as caught:
        edited.load(path, strict=True)
    assert {line[0] for line in caught.value.problems} <= {"-", "+"}
    assert edited.dump_state() == before
    with pytest.warns(StaleArtifactWarning, match=r"judge\.json was compiled from another source"):
        edited.load(path)
    assert len(edited.judge.demos) == 2


def test_demos_of_the_source_count_as_source(stored):
    path, program = stored(), Judge()
    program.judge.demos = [Example(text="own", label="good")]
    with pytest.warns(StaleArtifactWarning, match=r"demos: 1"):
        program.load(path)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (Mood, enum.Enum("Mood", {"GOOD": "good", "BAD": "bad", "MIXED": "mixed"})),
        (Person, pydantic.create_model("Person", name=(str, ...), age=(int, pydantic.Field(default=0, ge=0)))),
        (list[Person], list[pydantic.create_model("Person", name=(str, ...))]),
        (int, int | None),
    ],
)
def test_edits_inside_the_classes_of_a_type_count(stored, then, now):
    path = stored(Judge(signature(types=(str, then))))
    with pytest.raises(StaleArtifactError):
        Judge(signature(types=(str, now))).load(path, strict=True)


def test_the_diff_shows_the_source_then_and_now(stored):
    with pytest.raises(StaleArtifactError) as caught:
        Judge(signature("Judge it.")).load(stored(), strict=True)
    assert caught.value.problems == ("- judge: instructions: Judge the text.", "+ judge: instructions: Judge it.")


@pytest.mark.parametrize("optimizer", [LabeledFewShot(2), KNNFewShot(2)], ids=repr)
def test_an_unchanged_program_loads_without_a_word_as_often_as_it_likes(stored, optimizer):
    path, program = stored(optimizer=optimizer), Judge(kind=ChainOfThought)
    path = stored(program, optimizer)
    program = Judge(kind=ChainOfThought)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program.load(path, strict=True)
        program.load(path, strict=True)
        program.deepcopy().load(path, strict=True)


def test_a_program_that_rewrites_its_prompt_is_compared_by_what_it_was_before(stored, tmp_path):
    class Rewriting(LabeledFewShot):
        def compile(self, student, **options):
            made = super().compile(student, **options)
            made.judge.signature = made.judge.signature.with_instructions("Rewritten.")
            return made

    path, again = stored(optimizer=Rewriting(2)), tmp_path / "again.json"
    program = Judge()
    program.load(path, strict=True)
    assert program.judge.signature.instructions == "Rewritten."
    program.save(again)
    Judge().load(again, strict=True)
    with pytest.raises(StaleArtifactError):
        Judge(signature("Other.")).load(again, strict=True)


def test_files_that_no_optimizer_made_are_never_reported(tmp_path):
    made = Judge(signature("Changed by hand."))
    for form in ("dspex", "dspy"):
        path = tmp_path / f"{form}.json"
        made.save(path, format=form)
        assert "provenance" not in json.loads(path.read_text())
        Judge().load(path, strict=True)


def test_a_fingerprint_of_a_later_version_is_not_read(stored):
    path = stored()
    content = json.loads(path.read_text())
    content["provenance"]["fingerprint"] = {"version": 2, "source": "of another kind"}
    path.write_text(json.dumps(content))
    Judge(signature("Other.")).load(path, strict=True)


class Whole(Module):
    words = "Judge the text."

    def __init__(self):
        super().__init__()
        self.judge = Predict(signature(self.words))


def test_a_whole_program_is_compared_with_what_its_class_says_now(tmp_path, monkeypatch):
    Whole().save(tmp_path, save_program=True)
    dspex_core.load(tmp_path, strict=True)
    monkeypatch.setattr(Whole, "words", "Judge it.")
    with pytest.raises(StaleArtifactError, match="Judge it"):
        dspex_core.load(tmp_path, strict=True)
    with pytest.warns(StaleArtifactWarning, match="Judge it"):
        dspex_core.load(tmp_path)


def test_a_whole_program_whose_signature_is_in_the_file_is_never_stale(tmp_path):
    LabeledFewShot(2).compile(Predict(signature()), trainset=ROWS).save(tmp_path, save_program=True)
    assert len(dspex_core.load(tmp_path, strict=True).demos) == 2
