"""`python -m dspex_core.migrate promptfoo|deepeval|langsmith`: other tools' cases as datasets."""

import csv
import io
import json

import pytest
import yaml

from dspex_core.migrate.command import main


@pytest.fixture
def convert(tmp_path, capsys):
    """Convert a text with a tool's command; return the exit status, the rows and what was said."""

    def run(tool, text, *, name="source.yaml", **files):
        for each, content in {name: text, **files}.items():
            (tmp_path / each.replace("__", ".")).write_text(content)
        status = main([tool, str(tmp_path / name)])
        captured = capsys.readouterr()
        return status, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return run


def config(*asserts, variables=None, **more):
    return yaml.safe_dump({"tests": [{"vars": variables or {"q": "Why?"}, "assert": list(asserts)}], **more})


@pytest.mark.parametrize(
    ("assertion", "columns"),
    [
        ({"type": "equals", "value": "Paris"}, {"expected": "Paris"}),
        ({"type": "equals", "value": True}, {"expected": "true"}),
        ({"type": "equals", "value": {"a": [1]}}, {"expected_json": {"a": [1]}}),
        ({"type": "contains", "value": 42}, {"contains": "42"}),
        ({"type": "icontains", "value": "about {{q}}"}, {"icontains": "about Why?"}),
        ({"type": "contains-any", "value": 'a, "b, c"'}, {"contains_any": ["a", "b, c"]}),
        ({"type": "icontains-all", "value": ["{{ q }}", 1]}, {"icontains_all": ["Why?", "1"]}),
        ({"type": "regex", "value": r"^\d+$"}, {"regex": r"^\d+$"}),
        ({"type": "starts-with", "value": "A"}, {"starts_with": "A"}),
        ({"type": "is-json"}, {"is_json": True}),
        ({"type": "llm-rubric", "value": "is kind"}, {"rubric": "is kind"}),
        ({"type": "similar", "value": "fine"}, {"similar": "fine"}),
        ({"type": "not-contains", "value": "sorry"}, {"not_contains": "sorry"}),
        ({"type": "not-equals", "value": "no"}, {"not_equals": "no"}),
        ({"type": "assert-set", "assert": [{"type": "contains", "value": "a"}]}, {"contains": "a"}),
        ({"$ref": "#/assertionTemplates/kind"}, {"rubric": "is kind"}),
    ],
)
def test_an_assertion_with_a_metric_becomes_a_column(convert, assertion, columns):
    text = config(assertion, assertionTemplates={"kind": {"type": "llm-rubric", "value": "is kind"}})
    assert convert("promptfoo", text) == (0, [{"q": "Why?", **columns}], "")


@pytest.mark.parametrize(
    ("assertion", "said"),
    [
        ({"type": "javascript", "value": "true"}, "javascript has no column"),
        ({"type": "latency", "threshold": 5}, 'dspex_gate("latency"'),
        ({"type": "trajectory:tool-used", "value": "x"}, "trajectory_match"),
        ({"type": "not-llm-rubric", "value": "x"}, "not-llm-rubric has no column"),
        ({"type": "invented", "value": "x"}, "invented has no column"),
        ({"type": "is-json", "value": {"type": "object"}}, "schema"),
        ({"type": "contains", "value": "x", "transform": "output.y"}, "'transform'"),
        ({"type": "contains", "value": "x", "weight": 0}, "weight 0"),
        ({"type": "contains", "value": "{{ q | upper }}"}, "needs promptfoo"),
        ({"type": "contains", "value": "{{ other }}"}, "'other', which is not a variable"),
        ({"type": "contains", "value": "file://check.js"}, "is not read"),
        ({"type": "regex", "value": "(?<n>a)"}, "is JavaScript's own"),
        ({"type": "llm-rubric", "value": "x", "threshold": 0.8}, "threshold 0.8"),
        ({"type": "similar", "value": "x", "threshold": [1]}, "threshold [1], which is not above 0 and at most 1"),
        ({"type": "similar", "value": "x", "threshold": 75}, "threshold 75"),
        ({"type": "assert-set", "threshold": 0.5, "assert": []}, "assert-set"),
        ({"value": "x"}, "it has no type"),
        ({"$ref": "#/gone"}, "is not an assertion"),
        ("contains: x", "is not an assertion"),
    ],
)
def test_an_assertion_without_a_column_is_named_with_its_place(convert, assertion, said):
    status, _, messages = convert("promptfoo", config(assertion))
    assert status == 1
    assert any("source.yaml: tests[0].assert[0]" in line and said in line for line in messages.splitlines())


def test_defaults_lists_of_variables_scenarios_and_files_make_rows(convert):
    text = yaml.safe_dump(
        {
            "providers": ["openai:gpt-4o"],
            "defaultTest": {"vars": {"lang": "en"}, "assert": [{"type": "not-contains", "value": "sorry"}]},
            "tests": [
                {"vars": {"q": ["a", "b"]}, "description": "twice"},
                {"vars": {"q": "c"}, "options": {"disableDefaultAsserts": True}},
                "file://more.csv",
                "gone.csv",
                "https://example.com/x.csv",
            ],
            "scenarios": [
                {"config": [{"vars": {"lang": "de"}}, {"vars": {"lang": "fr"}}], "tests": [{"vars": {"q": "s"}}]}
            ],
        }
    )
    table = "q,__expected,__metadata:team\nfrom csv,icontains: Yes,core\n,,\n"
    status, rows, said = convert("promptfoo", text, more__csv=table)
    found = [(row["q"], row["lang"], row["not_contains"]) for row in rows]
    assert found == [
        ("a", "en", "sorry"),
        ("b", "en", "sorry"),
        ("c", "en", None),
        ("from csv", "en", "sorry"),
        ("s", "de", "sorry"),
        ("s", "fr", "sorry"),
    ]
    assert (rows[3]["icontains"], rows[3]["metadata"]) == ("Yes", {"team": "core"})
    assert status == 1
    for place in ("tests[3]: 'gone.csv'", "tests[4]: 'https", "tests[1].options", "tests[1]: no assertion is left"):
        assert place in said
    assert "source.yaml: providers: is not part of a dataset" in said


def test_parts_of_the_wrong_kind_are_named(convert):
    tests = [
        {"vars": [1], "assert": 3},
        7,
        {"vars": {"q": 2}, "metadata": "x"},
        "more.json",
        "/none/*.csv",
        "**x/*.csv",
    ]
    config = {
        "tests": tests,
        "defaultTest": {"vars": 3},
        "scenarios": [{"config": 4, "tests": 5}, 6],
        "prompts": [None],
    }
    more = json.dumps([{"vars": 5, "assert": 3}, {"vars": {"q": 2}}])
    status, rows, said = convert("promptfoo", yaml.safe_dump(config), more__json=more)
    assert (status, rows[-1]) == (1, {"q": 2})
    places = ["tests[0].vars", "tests[0].assert", "tests[1]", "tests[2].metadata", "tests[4]", "tests[5]"]
    places += ["more.json:1.vars", "more.json:1.assert", "defaultTest.vars", "prompts[0]"]
    for place in (*places, "scenarios[0].config", "scenarios[1]"):
        assert f"source.yaml: {place}: " in said
    assert (
        "source.yaml: defaultTest: [1] is not a test"
        in convert("promptfoo", yaml.safe_dump({**config, "defaultTest": [1]}))[2]
    )


def test_assertions_of_one_kind_in_a_row_have_columns_of_their_own(convert):
    texts = [{"type": "contains", "value": "a"}, {"type": "contains", "value": "b"}]
    similar = [{"type": "similar", "value": "c", "threshold": 0.6}, {"type": "similar", "value": "d"}]
    _, [row], _ = convert("promptfoo", config(*texts, *similar))
    assert row == {"q": "Why?", "contains": "a", "contains_2": "b", "similar": "c", "similar_2": "d"}


def test_variables_are_fields_of_a_signature_and_no_check_takes_their_place(convert):
    status, rows, said = convert(
        "promptfoo", config({"type": "contains", "value": "x"}, variables={"user-name": "A", "contains": "B", "2": 3})
    )
    assert (status, rows) == (0, [{"user_name": "A", "contains": "B", "value_2": 3, "case_contains": "x"}])
    assert "the variable 'user-name' is the column 'user_name'" in said


@pytest.mark.parametrize(
    ("cell", "columns"),
    [
        ("Paris", {"expected": "Paris"}),
        ("contains:a", {"contains": "a"}),
        ("not-icontains: a", {"not_icontains": "a"}),
        ("similar(0.6):fine", {"similar": "fine"}),
        ("grade:is kind", {"rubric": "is kind"}),
        ("is-json", {"is_json": True}),
        ("Note: this is a text", {"expected": "Note: this is a text"}),
        ("contains-all: a, b", {"contains_all": ["a", "b"]}),
    ],
)
def test_a_cell_of_a_table_is_read_as_promptfoo_reads_it(convert, cell, columns):
    table = io.StringIO()
    csv.writer(table).writerows([["q", "__expected"], ["Why?", cell]])
    assert convert("promptfoo", table.getvalue(), name="tests.csv")[:2] == (0, [{"q": "Why?", **columns}])


GOLDENS = [  # as DeepEval 4.3 writes them
    {"input": "Where?", "actual_output": None, "expected_output": "delivery", "retrieval_context": ["d1", "d2"]},
    {
        "input": "Money",
        "expected_output": "refund",
        "context": ["c"],
        "name": None,
        "expected_tools": [{"name": "track", "type": "FUNCTION", "inputParameters": {"id": 4}}],
        "additional_metadata": {"n": 1},
    },
]
ROWS = [
    {"input": "Where?", "expected_output": "delivery", "retrieval_context": ["d1", "d2"], "context": None}
    | {"expected_tools": None, "additional_metadata": None},
    {"input": "Money", "expected_output": "refund", "retrieval_context": None, "context": ["c"]}
    | {"expected_tools": [{"name": "track", "args": {"id": 4}}], "additional_metadata": {"n": 1}},
]


def as_table(rows):
    """Write goldens as DeepEval writes them into CSV files."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    joined = {"retrieval_context": "|".join, "context": "|".join}
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(columns)
    for row in rows:
        cells = {
            name: joined.get(name, json.dumps)(value) for name, value in row.items() if isinstance(value, list | dict)
        }
        writer.writerow([{**row, **cells}.get(name) for name in columns])
    return table.getvalue()


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "camel"])
def test_goldens_are_the_same_rows_in_each_form(convert, kind):
    camel = {"expected_output": "expectedOutput", "retrieval_context": "retrievalContext"}
    texts = {
        "json": json.dumps(GOLDENS),
        "jsonl": "\n".join(map(json.dumps, GOLDENS)),
        "csv": as_table(GOLDENS),
        "camel": json.dumps([{camel.get(name, name): value for name, value in row.items()} for row in GOLDENS]),
    }
    status, rows, _ = convert("deepeval", texts[kind], name=f"g.{'json' if kind == 'camel' else kind}")
    assert (status, rows) == (0, ROWS)


def test_goldens_keep_their_names_as_ids_and_name_what_is_not_in_the_file(convert):
    rows = [
        {
            "input": f"see [DEEPEVAL:IMAGE:{n}]",
            "name": f"n{n}",
            "retrieval_context": ["deepeval_source=s,deepeval_context=t"],
        }
        for n in (1, 2)
    ]
    status, found, said = convert("deepeval", json.dumps(rows), name="g.json")
    assert [row["id"] for row in found] == ["n1", "n2"]
    assert found[0]["retrieval_context"] == [{"source": "s", "text": "t"}]
    assert (status, said.count("an image or a PDF is not in the file")) == (1, 2)


def test_conversations_keep_their_turns(convert):
    turns = [{"role": "user", "content": "hi"}]
    golden = {"scenario": "A refund", "turns": turns, "expected_outcome": "refunded", "user_description": "Ann"}
    for text, name in ((json.dumps([golden]), "c.json"), (as_table([golden]), "c.csv")):
        assert convert("deepeval", text, name=name)[:2] == (0, [golden])


def test_inputs_and_outputs_of_langsmith_become_columns(convert):
    example = {"id": "a", "inputs": {"question": "Q", "my key": [1]}, "outputs": {"answer": "A", "question": "R"}}
    row = {"id": "a", "question": "Q", "my_key": [1], "answer": "A", "expected_question": "R"}
    text = json.dumps({**example, "created_at": "2026", "metadata": {"m": 1}})
    status, rows, said = convert("langsmith", text, name="d.jsonl")
    assert (status, rows) == (0, [{**row, "metadata": {"m": 1}}])
    assert "'created_at' is LangSmith's own" in said
    assert convert("langsmith", as_table([example]), name="d.csv")[1] == [row]
    assert convert("langsmith", "inputs.q,outputs.a\n1,2\n", name="flat.csv")[1] == [{"q": "1", "a": "2"}]
    status, _, said = convert("langsmith", json.dumps({**example, "attachments": {"f": "x"}}), name="d.jsonl")
    assert (status, "d.jsonl:1: 'attachments' are files" in said) == (1, True)
    both = json.dumps({"inputs": {"q": None}, "outputs": {"q": 1, "expected_q": 2}})
    assert convert("langsmith", both, name="d.jsonl")[1] == [{"q": None, "expected_q": 1, "expected_q_2": 2}]


@pytest.mark.parametrize(
    ("tool", "name", "text", "said"),
    [
        ("promptfoo", "c.yaml", "tests: [", "is not YAML"),
        ("promptfoo", "c.yaml", "tests: []", "has no tests that can be converted"),
        ("promptfoo", "c.yaml", "tests: file://make.py", "has no tests"),
        ("promptfoo", "c.yaml", "tests: file://make.py", "tests: 'file://make.py' is not read"),
        ("promptfoo", "c.yaml", "tests: [{vars: {q: !!binary aGk=}}]", "has a value that JSON lacks"),
        (
            "promptfoo",
            "c.yaml",
            "x: {type: assert-set, assert: [{$ref: x}]}\ntests: [{assert: [{$ref: x}]}]",
            "to itself",
        ),
        ("promptfoo", "c.js", "", "needs to be a .json"),
        ("deepeval", "g.json", "{", "not JSON"),
        ("deepeval", "g.json", "[]", "has no goldens"),
        ("deepeval", "g.json", "[1]", "where an object should be"),
        ("deepeval", "g.json", '[{"question": "x"}]', "has no 'input'"),
        ("deepeval", "g.json", '[{"input": "x", "context": 5}]', "context is not a list: 5"),
        ("deepeval", "g.json", '[{"input": "x", "expected_tools": {"name": "t"}}]', "expected_tools is not a list"),
        ("deepeval", "g.csv", "input,additional_metadata\nx,{\n", "is not JSON"),
        ("langsmith", "d.jsonl", '{"question": "x"}', "name them `inputs.NAME`"),
        ("langsmith", "d.jsonl", "", "has no examples"),
    ],
)
def test_a_file_of_another_kind_is_one_message_and_nothing_written(convert, tmp_path, tool, name, text, said):
    status, rows, messages = convert(tool, text, name=name)
    assert (status, rows) == (2, [])
    assert said in messages.splitlines()[-1]
    assert main([tool, str(tmp_path / name), "--to", str(tmp_path / "rows.jsonl")]) == 2
    assert not (tmp_path / "rows.jsonl").exists()
