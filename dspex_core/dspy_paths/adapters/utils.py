"""DSPy's `dspy.adapters.utils`: values and fields as texts, and back. PYTEST_DONT_REWRITE"""

from dspex_core.adapters.dspy_forms import (
    find_enum_member,
    format_field_value,
    get_annotation_name,
    get_dspy_field_type,
    get_field_description_string,
    parse_value,
    serialize_for_json,
    translate_field_type,
)

__all__ = [
    "find_enum_member",
    "format_field_value",
    "get_annotation_name",
    "get_dspy_field_type",
    "get_field_description_string",
    "parse_value",
    "serialize_for_json",
    "translate_field_type",
]
