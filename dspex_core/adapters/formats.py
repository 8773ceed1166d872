"""The formats of replies; what one adapter asks for, another one reads, too. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dspex_core.adapters.markers import marked_answers
from dspex_core.adapters.objects import object_answers
from dspex_core.adapters.parse import Format, parse_text, parse_value
from dspex_core.adapters.tags import read_content, tagged_answers

MARKED = Format(marked_answers, parse_text)
OBJECT = Format(object_answers, parse_value)
TAGGED = Format(tagged_answers, read_content)
