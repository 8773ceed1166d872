"""Values that say themselves how they appear in a message. PYTEST_DONT_REWRITE

The types of `dspex_core.types` are such values. This module is what the rest needs to know
of them, without loading pydantic.
"""

from __future__ import annotations

import re
import secrets
import typing
from typing import TYPE_CHECKING, Any, ClassVar

from dspex_core.messages import MediaPart, Part, TextPart, part_from_json
from dspex_core.plain.sets import with_ordered_sets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.messages import FunctionSpec, Message

Content = str | tuple[Part, ...]


class FieldType:
    """Base of the types made for the fields of signatures."""

    __slots__ = ()

    @classmethod
    def description(cls) -> str:
        """Return a description of the type for prompts, added to that of the field; empty by default."""
        return ""

    @classmethod
    def is_streamable(cls) -> bool:
        """Whether an output of this type can be streamed in a form of its own."""
        return False

    @classmethod
    def extract_custom_type_from_annotation(cls, annotation: Any) -> list[type[FieldType]]:
        """Return the types of this kind in an annotation such as `list[Image] | None`."""
        return [kind for kind in classes_in(annotation) if issubclass(kind, FieldType)]


class PromptValue(FieldType):
    """Base of types whose values have their own form in messages, defined by `format`.

    Models write a type with `is_text` as plain text, not as JSON.
    """

    __slots__ = ()
    is_text: ClassVar[bool] = False

    def format(self) -> str | Sequence[Part | Mapping[str, Any]]:
        """Return a text, or the parts of a message: `TextPart`, `MediaPart` or their OpenAI form."""
        raise NotImplementedError(f"{type(self).__name__} must define format(self)")


class EarlierTurns:
    """Base of `History`: its turns are shown as messages of their own."""

    __slots__ = ()

    def turns(self) -> Sequence[Mapping[str, Any]]:
        """Return the values of each turn by the fields' names."""
        raise NotImplementedError(f"{type(self).__name__} must define turns(self)")


class ModelReasoning:
    """Base of `Reasoning`: the text that a reasoning model returns besides its answer."""

    __slots__ = ()


class FunctionTool(FieldType):
    """Base of `Tool`: a function that a model may ask to call."""

    __slots__ = ()

    def spec(self) -> FunctionSpec:
        """Return its description for a request."""
        raise NotImplementedError(f"{type(self).__name__} must define spec(self)")


class FunctionCalls(FieldType):
    """Base of `ToolCalls`: tool calls that a model asks for, maybe with their results."""

    __slots__ = ()

    def format(self) -> dict[str, Any]:
        """Return the calls in the form that models write."""
        raise NotImplementedError(f"{type(self).__name__} must define format(self)")

    def results(self) -> dict[str, Any]:
        """Return the calls' `tool_call_results`; empty if they are not known."""
        raise NotImplementedError(f"{type(self).__name__} must define results(self)")

    def turn(self, text: str, number: int) -> tuple[Message, ...]:
        """Return the messages of the turn `number` in which the model wrote `text` and asked for these calls."""
        raise NotImplementedError(f"{type(self).__name__} must define turn(self, text, number)")


class Placement:
    """Puts parts into a text in the places where it has their marks.

    A mark is a random name, good for one message, so no text from outside can hold one.
    """

    def __init__(self) -> None:
        self._name = secrets.token_hex(16)
        self._parts: list[list[Part]] = []
        self._placed = 0

    def marked(self, value: Any) -> Any:
        """Return a value with marks for the parts that have their own form."""
        if isinstance(value, PromptValue):
            return self.place(value)
        if isinstance(value, str | int | float | None):
            return value
        from pydantic_core import to_jsonable_python  # loaded by signatures that are checked

        before = self._placed
        plain = to_jsonable_python(with_ordered_sets(value), context=self, fallback=str)
        return value if self._placed == before else plain

    def place(self, value: PromptValue) -> str:
        """Return a value's form in the text: its own text, or the mark of its parts."""
        shown = value.format()
        self._placed += 1
        if isinstance(shown, str):
            return shown
        parts = [part if isinstance(part, TextPart | MediaPart) else part_from_json(part) for part in shown]
        self._parts.append(parts)
        return f"{self._name}x{len(self._parts) - 1}x"

    def content(self, text: str) -> Content:
        """Return the text with the parts in the places of their marks."""
        if not self._parts:
            return text
        # Inside lists and objects, which are written as JSON, a mark is a quoted string.
        pieces = re.split(rf'"{self._name}x(\d+)x"|{self._name}x(\d+)x', text)
        parts: list[Part] = [TextPart(pieces[0])]
        for quoted, bare, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            parts += [*self._parts[int(quoted or bare)], TextPart(rest)]
        return tuple(_joined(parts))


def classes_in(annotation: Any) -> list[type]:
    """Return the classes in a type: of `list[Image] | None`, `Image` and that of None."""
    inside = typing.get_args(annotation)
    if inside:
        return [kind for part in inside for kind in classes_in(part)]
    return [annotation] if isinstance(annotation, type) else []


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Join texts that follow each other, and leave out empty ones."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, TextPart) and isinstance(last, TextPart):
            joined[-1] = TextPart(last.text + part.text)
        elif not isinstance(part, TextPart) or part.text:
            joined.append(part)
    return joined
