"""Functions that a model may call, and its calls of them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from dspex_core.errors.shown import value_text
from dspex_core.messages.canonical import Json, canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function that a model may ask to have called.

    Args:
        name: What the model calls it.
        description: What it does, for the model.
        parameters: The JSON schema of its arguments, an object.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return the OpenAI form, which is also the stored form."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}

    @classmethod
    def from_json(cls, stored: Any) -> Self:
        """Rebuild it from its OpenAI form.

        Raises:
            ValueError: It has another form.
        """
        match stored:
            case {"type": "function", "function": {"name": str(name)}}:
                function = stored["function"]
                return cls(name, function.get("description") or "", function.get("parameters") or {})
        form = '{"type": "function", "function": {"name": ..., "description": ..., "parameters": {...}}}'
        raise ValueError(f"a tool is written as {form}, not {value_text(stored, 200)}")


@dataclass(frozen=True, slots=True)
class GivenTool:
    """A tool that is passed on as it was given: one of the provider's own, such as `{"type": "web_search"}`."""

    form: Mapping[str, Any]

    def to_json(self) -> Json:
        """Return the form."""
        return dict(self.form)


_OF_FUNCTIONS = frozenset({"name", "description", "parameters"})


def tool_from_json(stored: Any) -> FunctionSpec | GivenTool:
    """Return a tool as a caller of an LM writes it: a function, or anything else that has a type.

    Raises:
        ValueError: It is neither.
    """
    match stored:
        case {"type": "function", "function": {"name": str()} as function} if function.keys() <= _OF_FUNCTIONS:
            return FunctionSpec.from_json(stored)
        case {"type": "function", "function": {"name": str()}} | {"type": "function", "name": str()}:
            return GivenTool(stored)
        case {"type": str(kind)} if kind != "function":
            return GivenTool(stored)
    return FunctionSpec.from_json(stored)  # says what is wrong


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A model's wish to have a function called; `arguments` is the text that it wrote, which should be JSON."""

    name: str
    arguments: str
    id: str | None = None

    @property
    def args(self) -> Json:
        """The arguments by name; none where the model wrote something else than a JSON object."""
        try:
            read = json.loads(self.arguments)
        except (ValueError, RecursionError):
            return {}
        return read if isinstance(read, dict) else {}

    def to_json(self) -> Json:
        """Return the OpenAI form, which is also the stored form."""
        call: Json = {"type": "function", "function": {"name": self.name, "arguments": self.arguments}}
        return call if self.id is None else {"id": self.id, **call}

    @classmethod
    def from_json(cls, stored: Any) -> Self:
        """Rebuild it from its OpenAI form.

        Raises:
            ValueError: It has another form.
        """
        match stored:
            case {"function": {"name": str(name)}}:
                given = stored["function"].get("arguments") or "{}"
                return cls(name, given if isinstance(given, str) else canonical_json(given), stored.get("id"))
        form = '{"id": ..., "type": "function", "function": {"name": ..., "arguments": "{...}"}}'
        raise ValueError(f"a tool call is written as {form}, not {value_text(stored, 200)}")
