"""Values that hold themselves or have no JSON text, and what is not a path: one clear message each."""

from pathlib import Path

import pytest

import dspex_core
from dspex_core import (
    ArtifactError,
    Example,
    History,
    InputField,
    OutputField,
    Predict,
    ScriptedLM,
    Signature,
    SignatureError,
    context,
)


class Unshown:
    def __repr__(self):
        raise ValueError("no text")

    __str__ = __repr__


def itself(made):
    made = made()
    if isinstance(made, list):
        made.append(made)
    else:
        made["inner"] = made
    return made


def deep():
    found = []
    for _ in range(5000):
        found = [found]
    return found


VALUES = {"dict": itself(dict), "list": itself(list), "example": itself(Example), "deep": deep()}
TEXTLESS = {
    "dict": VALUES["dict"],
    "list": VALUES["list"],
    "deep": VALUES["deep"],
    "unshown": Unshown(),
    "bytes": b"\xff",
    "big": 10**5000,
}
WITH_HISTORY = Signature(
    {"q": (str, InputField()), "history": (History, InputField()), "a": (str, OutputField())}, "Answer."
)


@pytest.mark.parametrize("value", TEXTLESS.values(), ids=TEXTLESS)
@pytest.mark.parametrize("signature", ["q -> a", "q: dict -> a"])
def test_what_cannot_be_written_in_a_prompt_is_named(value, signature):
    program = Predict(signature)
    with context(lm=ScriptedLM({})):
        with pytest.raises(SignatureError, match="cannot be written in a prompt"):
            program(q=value)
        program.demos = [Example(q=value, a="x")]
        with pytest.raises(SignatureError, match="cannot be written in a prompt"):
            program(q="x")
        with pytest.raises(SignatureError):
            Predict(WITH_HISTORY)(q="x", history=History(messages=[{"q": value, "a": "y"}]))


def test_an_example_that_holds_itself_is_shown_and_has_no_plain_form():
    assert repr(VALUES["example"]) == "Example(inner=...)"
    for value in VALUES.values():
        with pytest.raises(ValueError, match="holds itself or is nested too deeply"):
            Example(q=value).toDict()


@pytest.mark.parametrize("path", [3, None, b"p.json", ["p.json"], True, "p\0.json", Path("p\0.json")], ids=repr)
@pytest.mark.parametrize("whole", [False, True])
def test_what_is_not_a_path_is_one_message(path, whole):
    program = Predict("q -> a")
    with pytest.raises(ArtifactError, match=r"a file is given as its path|has a NUL"):
        program.save(path, save_program=whole)
    with pytest.raises(ArtifactError, match=r"a file is given as its path|has a NUL"):
        dspex_core.load(path) if whole else program.load(path)
