"""The formats of replies; what one adapter asks for, another one reads, too. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import Any

from dspex_core.adapters.markers import marked_answers, plain_answer
from dspex_core.adapters.objects import object_answers
from dspex_core.adapters.parse import Format, parse_text, parse_value
from dspex_core.adapters.tags import only_answer, plain, read_content, tagged_answers
from dspex_core.plain.reading.numbers import WrittenNumber


def _data_text(value: Any) -> str:
    return str(value) if isinstance(value, str | WrittenNumber) else json.dumps(value, ensure_ascii=False)


def _content_text(content: Any) -> str:
    return plain(content) if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


MARKED = Format(marked_answers, parse_text, str, plain_answer)
OBJECT = Format(object_answers, parse_value, _data_text)
TAGGED = Format(tagged_answers, read_content, _content_text, only_answer)
