"""The report as a JSON file of the published schema, the same for any number of workers. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dspex_core.plugin_api import read_file
from pytest_dspex.reports.document import FORMAT, VERSION, Document

if TYPE_CHECKING:
    from pathlib import Path

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def text_of(document: Document) -> str:
    """Return the file's text. All of its characters are ASCII: control characters stand there escaped."""
    return json.dumps(document.model_dump(mode="json"), indent=1) + "\n"


def schema() -> dict[str, Any]:
    """Return the JSON schema of the file."""
    made = Document.model_json_schema(mode="serialization")
    return {"$schema": _DIALECT, "$id": f"{FORMAT}-{VERSION}", **made}


def read(path: Path) -> Document:
    """Read a report.

    Raises:
        ValueError: The file does not hold a report of this version; the message says what is wrong with it.
        OSError: The file cannot be read.
    """
    stored = json.loads(read_file(path))
    known = (stored.get("format"), stored.get("version")) if isinstance(stored, dict) else None
    if known != (FORMAT, VERSION):
        raise ValueError(f"it is not a report of --dspex-report=json:PATH, version {VERSION}")
    return Document.model_validate(stored)
