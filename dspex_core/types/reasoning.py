"""The reasoning of a model. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from dspex_core.plain.prompt_values import ModelReasoning, PromptValue

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema


class Reasoning(ModelReasoning, PromptValue, str):  # noqa: SLOT000  it needs no slots, and DSPy's has attributes
    """What a model thought before it answered: a text.

    An output of this type is what a reasoning model returns apart from its answer; any other
    model is asked to write it, like every output.
    """

    is_text = True

    def __new__(cls, content: str = "") -> Self:
        """Make one of a text; `content` is DSPy's name."""
        return super().__new__(cls, content)

    @classmethod
    def is_streamable(cls) -> bool:
        """Say that reasoning is streamed as the model returns it."""
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
        """Return the text, or with arguments what `str.format` does."""
        return super(PromptValue, self).format(*args, **values) if args or values else self.content

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # loaded by pydantic, which asks for this

        made = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        return core_schema.no_info_before_validator_function(_from_state, made)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string"}


def _from_state(value: Any) -> Any:
    """Take the form that DSPy gives a dict too."""
    return value["content"] if isinstance(value, dict) and value.keys() == {"content"} else value
