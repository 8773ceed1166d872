"""The reasoning of a model. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from dspex_core.plain.prompt_values import ModelReasoning, PromptValue

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema


class Reasoning(ModelReasoning, PromptValue, str):  # noqa: SLOT000  DSPy's has attributes
    """The reasoning of a model before its answer: a text.

    An output of this type holds the reasoning that a reasoning model returns separately; other models are asked to
    write it, like every output.
    """

    is_text = True

    def __new__(cls, content: str = "") -> Self:
        """Make a reasoning of a text; `content` is DSPy's name for it."""
        return super().__new__(cls, content)

    @classmethod
    def is_streamable(cls) -> bool:
        """Return `True`: reasoning is streamed."""
        return True

    def __add__(self, other: str) -> Reasoning:
        return Reasoning(super().__add__(other))

    def __radd__(self, other: str) -> Reasoning:
        return Reasoning(other + self.content)

    @property
    def content(self) -> str:
        """The text as a plain `str`."""
        return str(self)

    def format(self, *args: Any, **values: Any) -> str:
        """Return the text; with arguments, the result of `str.format`."""
        return super(PromptValue, self).format(*args, **values) if args or values else self.content

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # pydantic, which calls this, is loaded

        made = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        return core_schema.no_info_before_validator_function(_from_state, made)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string"}


def _from_state(value: Any) -> Any:
    """Accept DSPy's dict form, too."""
    return value["content"] if isinstance(value, dict) and value.keys() == {"content"} else value
