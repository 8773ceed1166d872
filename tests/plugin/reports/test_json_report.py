"""The JSON report follows its published schema, and can be read again."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pytest_dspex.reports import json_report
from pytest_dspex.reports.document import CaseRow, Document, SuiteRow

SCHEMA = json.loads((files("pytest_dspex.reports") / "report.schema.json").read_text(encoding="utf-8"))


def test_the_schema_in_the_package_is_that_of_the_code():
    assert json_report.schema() == SCHEMA, "run docs/build_report_schema.py"


def test_a_report_follows_the_schema_and_is_read_again_as_it_was(document, tmp_path):
    Draft202012Validator.check_schema(SCHEMA)
    text = json_report.text_of(document)
    Draft202012Validator(SCHEMA).validate(json.loads(text))
    path = tmp_path / "report.json"
    path.write_text(text)
    assert json_report.read(path) == document
    assert json_report.text_of(document) == text


def test_a_report_that_lacks_something_does_not_follow_the_schema(document):
    stored = json.loads(json_report.text_of(document))
    del stored["suites"][0]["cases"][0]["outcome"]
    assert not Draft202012Validator(SCHEMA).is_valid(stored)


def test_the_text_is_ascii_and_keeps_control_characters_as_escapes(tmp_path):
    case = CaseRow(id="t[1]", outcome="pass", inputs={"text": "\x1b[2J é \u202e"})
    written = Document(
        suites=(SuiteRow(test="t", file="t", n=1, passed=1, missed=0, errors=0, skipped=0, cases=(case,)),)
    )
    path = tmp_path / "report.json"
    path.write_text(json_report.text_of(written))
    assert path.read_text().isascii()
    assert json_report.read(path).suites[0].cases[0].inputs == {"text": "\x1b[2J é \u202e"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": "dspex-report", "version": 2}', '{"format": "other"}', "null"]
)
def test_what_is_not_a_report_is_said_to_be_none(tmp_path, text):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ValueError):
        json_report.read(path)


def test_a_later_field_does_not_keep_a_report_from_being_read(document, tmp_path):
    stored = json.loads(json_report.text_of(document))
    stored["suites"][0]["cases"][0]["later"] = 1
    path = tmp_path / "report.json"
    path.write_text(json.dumps(stored))
    assert json_report.read(path) == document


def test_the_sample_in_the_docs_follows_the_schema_and_shows_each_field():
    page = (Path(__file__).parents[3] / "docs" / "reports.md").read_text(encoding="utf-8")
    [sample] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    Draft202012Validator(SCHEMA).validate(json.loads(sample))
    assert Document.model_validate_json(sample).model_dump(mode="json") == json.loads(sample)
