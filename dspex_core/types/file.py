"""Files. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pydantic

from dspex_core.types.base import Type
from dspex_core.types.media import Media, only_one

if TYPE_CHECKING:
    from os import PathLike

_ANY = "application/octet-stream"


class File(Type):
    """A file, such as a PDF: its content, or the provider's id of it.

    Args:
        source: A data URI, or the file's bytes.
        file_data: A data URI, in place of a source.
        file_id: The provider's id of a file uploaded to it.
        filename: Its name.

    Only `from_path` reads a file.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None

    def __init__(self, source: str | bytes | Mapping[str, Any] | None = None, /, **data: Any) -> None:
        only_one(type(self), source, data, "file_data", "file_id")
        if isinstance(source, Mapping):
            data.update(source)
        elif source is not None:
            data["file_data"] = Media.of(source, _ANY).uri if isinstance(source, bytes) else source
        super().__init__(**data)

    @classmethod
    def from_path(
        cls, file_path: str | PathLike[str], filename: str | None = None, mime_type: str | None = None
    ) -> Self:
        """Read a file; `mime_type` defaults to the type in its name."""
        return cls(file_data=Media.read(file_path, mime_type).uri, filename=filename or Path(file_path).name)

    @classmethod
    def from_bytes(cls, file_bytes: bytes, filename: str | None = None, mime_type: str = _ANY) -> Self:
        """Make a file of its bytes."""
        return cls(file_data=Media.of(file_bytes, mime_type).uri, filename=filename)

    @classmethod
    def from_file_id(cls, file_id: str, filename: str | None = None) -> Self:
        """Make a file of a provider's id."""
        return cls(file_id=file_id, filename=filename)

    def format(self) -> list[dict[str, Any]]:
        """Return the file as a part of a message, in OpenAI's form."""
        return [{"type": "file", "file": self.model_dump(exclude_none=True)}]

    def __repr__(self) -> str:
        size = f"<{len(self.file_data)} characters>, " if self.file_data is not None else ""
        return f"File({size}file_id={self.file_id!r}, filename={self.filename!r})"

    __str__ = __repr__

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"file_data": value} if isinstance(value, str) else value

    @pydantic.field_validator("file_data")
    @classmethod
    def _checked(cls, file_data: str | None) -> str | None:
        return None if file_data is None else Media.from_uri(file_data.strip()).uri

    @pydantic.model_validator(mode="after")
    def _has_content(self) -> Self:
        if self.file_data is None and self.file_id is None:
            raise ValueError("a file needs file_data (a data URI) or file_id; a program reads one with File.from_path")
        return self
