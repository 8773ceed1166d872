"""Changes of inputs that should not change the answer: metamorphic relations. PYTEST_DONT_REWRITE

Chen, Cheung, Yiu: Metamorphic testing, a new approach for generating next test cases (1998). Ribeiro et al.: Beyond
accuracy, behavioral testing of NLP models with CheckList (ACL 2020), calls them invariance tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import hypothesis
from hypothesis import strategies as st

from dspex_core import ConfigurationError, Example, InputField, OutputField, Predict, Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hypothesis.strategies import SearchStrategy

    from dspex_core import BaseLM

_CASINGS = {"upper case": str.upper, "lower case": str.lower, "title case": str.title, "swapped case": str.swapcase}
_SPACINGS: dict[str, Callable[[str], str]] = {
    "doubled spaces": lambda text: text.replace(" ", "  "),
    "spaces around": lambda text: f"  {text} ",
    "a line break at the end": lambda text: f"{text}\n",
    "tabs for spaces": lambda text: text.replace(" ", "\t"),
    "line breaks for spaces": lambda text: re.sub(" +", "\n", text),
}
_STYLES = ("formal", "casual", "short", "detailed")
_OFF_TOPIC = (
    "It has been raining since this morning.",
    "My sister's cat is called Pixel.",
    "The train was on time today.",
    "We are having soup for lunch.",
)


@dataclass(frozen=True)
class Change:
    """One change of a program's inputs; call it with them.

    Args:
        name: What it does, as failure messages show it.
        fields: The inputs that it changes; all texts if empty.
    """

    name: str
    fields: tuple[str, ...] = ()
    _text: Callable[[str], str] = field(default=str, repr=False)

    def __call__(self, inputs: Mapping[str, Any] | Example) -> dict[str, Any]:
        """Return the changed inputs of a mapping, or of a dataset's row.

        Hypothesis tries other examples instead of one that the change leaves as it is.

        Raises:
            ConfigurationError: A named input is missing, or is not text.
        """
        before = dict(inputs.inputs().items() if isinstance(inputs, Example) else inputs)
        after = self._changed(before)
        if hypothesis.currently_in_test_context():
            hypothesis.assume(list(after.items()) != list(before.items()))
        return after

    def _changed(self, inputs: dict[str, Any]) -> dict[str, Any]:
        texts = [name for name, value in inputs.items() if type(value) is str]
        for name in self.fields:
            if name not in texts:
                known = ", ".join(texts) or "there are none"
                message = f"{self.name}: the input {name!r} is {inputs.get(name)!r}, not a text; text inputs: {known}"
                raise ConfigurationError(message)
        chosen = self.fields or texts
        return {name: self._text(value) if name in chosen else value for name, value in inputs.items()}


class _Reordered(Change):
    def _changed(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {name: _reversed(inputs[name]) for name in reversed(inputs)}


def casing(*fields: str) -> SearchStrategy[Change]:
    """Return changes of letters: upper, lower, title and swapped case.

    Args:
        fields: The inputs to change; all texts by default.
    """
    return _one_of(_CASINGS, fields)


def white_space(*fields: str) -> SearchStrategy[Change]:
    """Return changes of white space: doubled spaces, spaces around, line breaks, tabs.

    Args:
        fields: The inputs to change; all texts by default.
    """
    return _one_of(_SPACINGS, fields)


def irrelevant(*texts: str, fields: tuple[str, ...] = ()) -> SearchStrategy[Change]:
    """Return changes that put a sentence without meaning for the task before or behind a text.

    Args:
        texts: The sentences; a few about the weather and the like by default.
        fields: The inputs to change; all texts by default.
    """
    changes: dict[str, Callable[[str], str]] = {}
    for text in texts or _OFF_TOPIC:
        changes[f"{text!r} before"] = partial("{} {}".format, text)
        changes[f"{text!r} behind"] = partial("{1} {0}".format, text)
    return _one_of(changes, fields)


def field_order() -> SearchStrategy[Change]:
    """Return the change that reverses the order of the inputs, and of the keys of dicts inside of them."""
    return st.just(_Reordered("reversed order of fields"))


def paraphrase(*fields: str, lm: BaseLM | None = None, styles: tuple[str, ...] = _STYLES) -> SearchStrategy[Change]:
    """Return changes that have an LM say a text in other words; its calls are recorded as others are.

    Args:
        fields: The inputs to change; all texts by default.
        lm: The LM that writes; that of the settings by default.
        styles: The styles to write in.
    """
    write = Predict(_Paraphrase)
    if lm is not None:
        write.set_lm(lm)
    changes = {
        f"{style} paraphrase": lambda text, style=style: write(text=text, style=style).paraphrase for style in styles
    }
    return _one_of(changes, fields)


class _Paraphrase(Signature):
    """Say the text in other words. Keep its meaning, and each name, number and condition in it."""

    text: str = InputField()
    style: str = InputField()
    paraphrase: str = OutputField()


def _one_of(changes: Mapping[str, Callable[[str], str]], fields: tuple[str, ...]) -> SearchStrategy[Change]:
    return st.sampled_from([Change(name, fields, change) for name, change in changes.items()])


def _reversed(value: Any) -> Any:
    return {key: _reversed(value[key]) for key in reversed(value)} if isinstance(value, dict) else value
