"""Documents to answer from, and citations of them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import pydantic
from pydantic.json_schema import SkipJsonSchema

from dspex_core.messages import MediaPart
from dspex_core.plain.prompt_values import FieldType
from dspex_core.types.base import Type
from dspex_core.types.media import only_one

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PDF = "application/pdf"


class Document(Type):
    """A document to answer from: a text, or a PDF in base64.

    Args:
        data: The text, or the PDF's bytes in base64.
        title: Its title.
        media_type: `"text/plain"` or `"application/pdf"`.
        context: Background for the model.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    data: str
    title: str | None = None
    media_type: Literal["text/plain", "application/pdf"] = "text/plain"
    context: str | None = None

    def __init__(self, data: str | None = None, /, **values: Any) -> None:
        only_one(type(self), data, values, "data")
        super().__init__(**(values if data is None else {"data": data, **values}))

    def format(self) -> str | Sequence[MediaPart | dict[str, str]]:
        """Return the document as text under its title; a PDF as a file."""
        words = [f"Title: {self.title}"] if self.title else []
        words += [f"Context: {self.context}"] if self.context else []
        if self.media_type != _PDF:
            return "\n".join([*words, self.data])
        value = {"file_data": f"data:{_PDF};base64,{self.data}", "filename": self.title or "document.pdf"}
        return [*({"type": "text", "text": f"{line}\n"} for line in words), MediaPart("file", value)]

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"data": value} if isinstance(value, str) else value


class Citation(pydantic.BaseModel):
    """A passage of a document that supports an answer.

    Args:
        type: The unit of the place: characters.
        cited_text: The passage, word for word.
        document_index: Which document, counted from 0.
        document_title: Its title.
        start_char_index: Where the passage starts in the document.
        end_char_index: Where it ends.
        supported_text: The part of the answer that it supports.
    """

    model_config = pydantic.ConfigDict(frozen=True)

    type: SkipJsonSchema[str] = "char_location"
    cited_text: str
    document_index: int = pydantic.Field(ge=0)
    document_title: str | None = None
    start_char_index: int | None = None
    end_char_index: int | None = None
    supported_text: str | None = None

    def format(self) -> dict[str, Any]:
        """Return the citation as a dict, without unknown titles and texts."""
        optional = {name for name in ("document_title", "supported_text") if vars(self)[name] is None}
        return self.model_dump(exclude=optional)


_Citation = Citation  # the class below has an attribute of this name


class Citations(pydantic.BaseModel, FieldType):
    """The citations of an answer, as the model writes them."""

    model_config = pydantic.ConfigDict(frozen=True)

    Citation: ClassVar[type[_Citation]] = Citation

    citations: list[_Citation]

    @classmethod
    def from_dict_list(cls, citations_dicts: Sequence[Mapping[str, Any]]) -> Self:
        """Make citations of dicts."""
        return cls.model_validate({"citations": list(citations_dicts)})

    @classmethod
    def description(cls) -> str:
        """Describe citations for a model."""
        return "Passages of the documents, word for word, with the place of each."

    @classmethod
    def is_streamable(cls) -> bool:
        """Return `True`: citations are streamed."""
        return True

    def format(self) -> list[dict[str, Any]]:
        """Return the citations as dicts."""
        return [citation.format() for citation in self.citations]

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return {"citations": value} if isinstance(value, list) else value

    def __iter__(self) -> Iterator[_Citation]:  # type: ignore[override]  # DSPy's iterates over citations, pydantic's over fields
        return iter(self.citations)

    def __len__(self) -> int:
        return len(self.citations)

    def __getitem__(self, index: int) -> _Citation:
        return self.citations[index]
