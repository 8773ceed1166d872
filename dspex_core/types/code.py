"""Code in some language. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, ClassVar

import pydantic

from dspex_core.types.base import Type
from dspex_core.types.media import only_one

_OPENING = re.compile(r"^[ \t]*(`{3,})[^\n`]*\n", re.MULTILINE)
_INLINE = re.compile(r"\s*```([^\n`]+)```\s*")
_BACKTICKS = re.compile(r"`{3,}")


class Code(Type):
    """Code in a language: `Code["python"]`; alone it is Python.

    In a prompt it is a fenced block. A text read as code may also have fenced blocks with prose around: the first one
    counts. `Code(code=...)` takes the code unchanged.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    is_text: ClassVar[bool] = True
    language: ClassVar[str] = "python"

    code: str

    def __init__(self, source: str | None = None, /, **data: Any) -> None:
        only_one(type(self), source, data, "code")
        super().__init__(**(data if source is None else {"code": _unwrapped(source), **data}))

    def __class_getitem__(cls, language: str) -> type[Code]:  # type: ignore[override]  # pydantic's is for generic models
        return _code_in(language)

    @classmethod
    def description(cls) -> str:
        """Describe the form of code for a model."""
        return f"Write it in one fenced block that starts with ```{cls.language}."

    def format(self) -> str:
        """Return the code as a fenced block."""
        fence = "`" * max((len(run) + 1 for run in _BACKTICKS.findall(self.code)), default=3)
        return f"{fence}{self.language}\n{self.code}\n{fence}"

    def __str__(self) -> str:
        return self.code

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, Code):
            return {"code": value.code}
        return {"code": _unwrapped(value)} if isinstance(value, str) else value

    def _stored(self, handler: pydantic.SerializerFunctionWrapHandler) -> Any:
        """Write the code alone, or fenced if reading it would otherwise unwrap an inner block."""
        return self.format() if "```" in self.code else self.code

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: pydantic.GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": f"{cls.language} code"}


@lru_cache(maxsize=128)
def _code_in(language: str) -> type[Code]:
    if not isinstance(language, str) or not re.fullmatch(r"[\w.+#-]+", language):
        raise TypeError(f'write the language as a text, such as Code["python"], not {language!r}')
    return type(f"Code_{language}", (Code,), {"__module__": __name__, "language": language})


def _unwrapped(text: str) -> str:
    """Return the first fenced block of a text, else the text."""
    inline = _INLINE.fullmatch(text)
    if inline:
        return inline[1].strip()
    opening = _OPENING.search(text)
    if opening is None:
        return text
    closing = re.compile(rf"^[ \t]*{opening[1]}`*[ \t\r]*$", re.MULTILINE).search(text, opening.end())
    return text if closing is None else text[opening.end() : closing.start()].removesuffix("\n")
