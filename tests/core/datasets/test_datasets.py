import contextlib
import datetime as dt
import json
import os
import re
import unicodedata
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core.datasets.leaks import overlap
from dspex_core.datasets.load import load_dataset
from dspex_core.datasets.sampling import split
from dspex_core.errors import ConfigurationError, DatasetError
from dspex_core.example import Example

ROWS = [{"text": "hello", "label": "greeting"}, {"text": "bye", "label": "farewell"}]


@pytest.fixture
def dataset(tmp_path):
    """Write a dataset file and return its path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def jsonl(rows, newline="\n"):
    return "".join(json.dumps(row) + newline for row in rows)


CSV = "text,label\nhello,greeting\nbye,farewell\n"
FORMATS = [("rows.jsonl", jsonl(ROWS)), ("rows.json", json.dumps(ROWS, indent=1)), ("ROWS.CSV", CSV)]


names = st.text().map(partial(unicodedata.normalize, "NFC"))  # the form in which names are read


class TestFormats:
    @pytest.mark.parametrize(("name", "content"), FORMATS)
    def test_all_give_the_same_examples(self, dataset, name, content):
        examples = load_dataset(dataset(name, content), inputs=["text"])

        assert [example.toDict() for example in examples] == ROWS
        assert [example.id for example in examples] == ["row-c21c82518cab", "row-2cdbc7a57605"]
        assert all(example.input_keys == {"text"} for example in examples)

    @pytest.mark.parametrize(("name", "content"), FORMATS)
    def test_all_tolerate_a_byte_order_mark_windows_line_ends_and_blank_lines(self, dataset, name, content):
        windows = "\ufeff" + content.replace("\n", "\r\n") + "\r\n\r\n"

        assert load_dataset(dataset(name, windows)) == load_dataset(dataset(f"plain-{name}", content))

    @pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
    @pytest.mark.parametrize("content", ["", "\n\n"])
    def test_all_refuse_an_empty_file(self, dataset, name, content):
        with pytest.raises(DatasetError, match=f"{name}: has no rows"):
            load_dataset(dataset(name, content))

    def test_an_unknown_one_is_named_with_the_known_ones(self, dataset):
        with pytest.raises(DatasetError, match=r"rows\.txt: .*\.jsonl, \.json, \.csv"):
            load_dataset(dataset("rows.txt", "x"))

    def test_a_json_file_must_hold_a_list(self, dataset):
        with pytest.raises(DatasetError, match="needs a list of objects, not dict"):
            load_dataset(dataset("rows.json", '{"rows": []}'))

    def test_a_csv_header_alone_is_no_row(self, dataset):
        with pytest.raises(DatasetError, match="has no rows"):
            load_dataset(dataset("rows.csv", "text,label\n"))

    def test_a_line_separator_inside_a_jsonl_text_does_not_break_the_row(self, dataset):
        content = json.dumps({"text": "one\u2028two\x85three"}, ensure_ascii=False)

        assert load_dataset(dataset("rows.jsonl", content))[0].text == "one\u2028two\x85three"

    def test_csv_cells_may_hold_commas_quotes_and_line_breaks(self, dataset):
        content = 'text,label\n"a, ""b""\nc",x\n'

        assert load_dataset(dataset("rows.csv", content))[0].text == 'a, "b"\nc'

    @given(rows=st.lists(st.dictionaries(names, st.integers() | st.text() | st.none()), min_size=1))
    def test_jsonl_gives_back_what_json_wrote(self, tmp_path_factory, rows):
        rows = [{key: value for key, value in row.items() if not key.startswith(("id", "dspy_"))} for row in rows]
        path = tmp_path_factory.mktemp("data") / "rows.jsonl"
        path.write_text(jsonl(rows), encoding="utf-8")

        assert [dict(example.items()) for example in load_dataset(path)] == rows


class TestBrokenFiles:
    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(DatasetError, match=r"nowhere\.jsonl: cannot be read: No such file"):
            load_dataset(tmp_path / "nowhere.jsonl")

    def test_an_empty_folder_is_not_a_dataset(self, tmp_path):
        (tmp_path / "rows.json").mkdir()

        with pytest.raises(DatasetError, match="a folder without a dataset"):
            load_dataset(tmp_path / "rows.json")

    def test_another_encoding_is_told_with_its_line(self, dataset):
        path = dataset("rows.jsonl", b'{"text": "ok"}\n{"text": "caf\xe9"}\n')

        with pytest.raises(DatasetError, match="not UTF-8") as caught:
            load_dataset(path)

        assert (caught.value.path, caught.value.line) == (str(path), 2)
        assert "0xe9" in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "content", "line", "reason"),
        [
            ("rows.jsonl", '{"a": 1}\n\n{"a": \n', 3, "is not JSON: Expecting value"),
            ("rows.json", '[{"a": 1},\n{"a" 2}]', 2, "is not JSON"),
            ("rows.jsonl", '{"a": 1}\n[1]\n', 2, r"row 2 is not an object of named fields but \[1\]"),
            ("rows.json", '[{"a": 1}, "b"]', 1, "row 2 is not an object of named fields but 'b'"),
            ("rows.csv", 'a,b\n"x\ny",2\n3\n', 4, "has 1 cells where the header has 2"),
            ("rows.csv", "a,b\n1,2,3\n", 2, "has 3 cells where the header has 2"),
            ("rows.csv", 'a,b\n1,"2\n3,4\n', 2, "is not CSV"),
            ("rows.csv", "a,a\n1,2\n", 1, "a header of different names"),
            ("rows.csv", "a,,b\n1,2,3\n", 1, "a header of different names"),
            ("rows.csv", "a,\n1,2\n", 2, "has 2 cells where the header has 1"),
        ],
    )
    def test_a_broken_row_is_told_with_its_line(self, dataset, name, content, line, reason):
        path = dataset(name, content)

        with pytest.raises(DatasetError, match=reason) as caught:
            load_dataset(path)

        assert (caught.value.path, caught.value.line) == (str(path), line)

    @pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
    @given(content=st.binary(max_size=60))
    def test_any_bytes_give_examples_or_a_dataset_error(self, tmp_path_factory, name, content):
        path = tmp_path_factory.mktemp("data") / name
        path.write_bytes(content)

        with contextlib.suppress(DatasetError):
            assert load_dataset(path)


class TestIds:
    @pytest.mark.parametrize(
        ("name", "content"),
        [("rows.jsonl", '{"id": "a"}\n{"id": 7}\n{"x": 1}'), ("rows.json", '[{"id": "a"}, {"id": 7}, {"x": 1}]')],
    )
    def test_come_from_the_field_id_else_from_the_content(self, dataset, name, content):
        assert [example.id for example in load_dataset(dataset(name, content))] == ["a", "7", "row-0375032b3de7"]

    def test_do_not_depend_on_the_place_or_on_how_a_row_is_written(self, dataset):
        one, two = load_dataset([{"x": 1, "y": {"b": 1, "a": None}}, {"x": 2}])
        again = load_dataset(dataset("rows.jsonl", '{"x":3}\n{"x": 2}\n\n{"y": {"a":null, "b":1},"x":1}\n'))

        assert [example.id for example in again][1:] == [two.id, one.id]

    def test_of_equal_rows_are_numbered(self):
        first, second, other, third = load_dataset([{"x": 1}, {"x": 1}, {"x": 2}, {"x": 1}])

        assert (second.id, third.id) == (f"{first.id}-2", f"{first.id}-3")
        assert other.id != first.id

    def test_of_many_equal_rows_do_not_take_quadratic_time(self):
        assert len({example.id for example in load_dataset([{"x": 1}] * 20_000)}) == 20_000

    def test_of_objects_are_the_same_in_each_process(self):
        (example,) = load_dataset([{"when": dt.date(2024, 3, 1), "tags": {"a", "b"}, "what": re.compile("x")}])

        assert example.id == "row-2778f84786df"

    def test_do_not_depend_on_the_random_ids_of_dspys_datasets(self):
        assert len({load_dataset([Example(x=1, dspy_uuid=str(n))])[0].id for n in range(2)}) == 1

    @pytest.mark.parametrize("own", ["[1]", "true", '{"a": 1}'])
    def test_must_be_texts_or_numbers(self, dataset, own):
        with pytest.raises(DatasetError, match="neither a text nor a number"):
            load_dataset(dataset("rows.jsonl", f'{{"id": {own}}}'))

    def test_are_no_inputs(self, dataset):
        (example,) = load_dataset(dataset("rows.csv", "id,text\na,hello\n"), inputs=["text"])

        assert example.inputs().toDict() == {"text": "hello"}

    def test_must_differ_and_both_lines_are_named(self, dataset):
        path = dataset("rows.jsonl", '{"id": 7}\n\n{"id": "8"}\n{"id": "7"}\n')

        with pytest.raises(DatasetError, match="line 4 has the id '7' of line 1") as caught:
            load_dataset(path)

        assert caught.value.line == 4

    def test_must_differ_from_those_made_of_content(self, dataset):
        with pytest.raises(DatasetError, match="line 1 has the id 'row-0375032b3de7' of line 1"):
            load_dataset(dataset("rows.json", '[{"x": 1}, {"id": "row-0375032b3de7"}]'))

    @pytest.mark.parametrize(("name", "content"), [("rows.jsonl", '{"id": null}'), ("rows.csv", "id,x\n,1\n")])
    def test_must_not_be_empty(self, dataset, name, content):
        with pytest.raises(DatasetError, match="row 1 has an empty id"):
            load_dataset(dataset(name, content))


class TestInputs:
    def test_are_unknown_unless_named(self, dataset):
        (example,) = load_dataset(dataset("rows.jsonl", '{"x": 1}'))

        with pytest.raises(ValueError, match="are not known"):
            example.inputs()

    def test_may_be_one_name(self, dataset):
        (example,) = load_dataset(dataset("rows.jsonl", '{"text": "a", "label": "b"}'), inputs="text")

        assert example.input_keys == {"text"}

    def test_must_be_in_every_row(self, dataset):
        path = dataset("rows.jsonl", '{"text": "a", "label": "b"}\n{"txt": "c", "label": "d"}\n')

        with pytest.raises(DatasetError, match="row 2 lacks the input 'text'; it has: 'txt', 'label'") as caught:
            load_dataset(path, inputs=["text"])

        assert (caught.value.path, caught.value.line) == (str(path), 2)


class TestOverlap:
    def test_finds_rows_with_the_same_inputs_whatever_their_labels(self):
        train = [Example(text="Hello", label="a").with_inputs("text"), Example(text="Bye").with_inputs("text")]
        test = [Example(text="hello ", label="b").with_inputs("text"), Example(text="No").with_inputs("text")]

        assert overlap(train, test) == [(train[0], test[0])]

    def test_pairs_each_row_with_the_first_that_is_like_it(self):
        one, two = (Example(text="a").with_id(row_id).with_inputs("text") for row_id in ("1", "2"))

        assert [(left.id, right.id) for left, right in overlap([one, two], [two, one])] == [("1", "2"), ("2", "2")]

    def test_looks_into_structured_inputs(self):
        one = Example(turns=[{"text": "Hi  there"}], n=1).with_inputs("turns", "n")

        assert overlap([one], [Example(turns=[{"text": "hi there"}], n=1).with_inputs("turns", "n")])
        assert not overlap([one], [Example(turns=[{"text": "hi there"}], n=2).with_inputs("turns", "n")])

    def test_needs_to_know_the_inputs(self):
        with pytest.raises(ValueError, match="with_inputs"):
            overlap([Example(text="a")], [])

    @given(st.lists(st.text(max_size=3), max_size=8), st.lists(st.text(max_size=3), max_size=8))
    def test_is_the_same_seen_from_either_side(self, left, right):
        a = [Example(text=text).with_inputs("text") for text in left]
        b = [Example(text=unicodedata.normalize("NFD", text)).with_inputs("text") for text in right]

        assert {id(one) for one, _ in overlap(a, b)} >= {id(other) for _, other in overlap(b, a)}
        assert len(overlap(a, a)) == len(a)


class TestSplit:
    EXAMPLES = [Example(n=n) for n in range(10)]  # noqa: RUF012  never changed

    @pytest.mark.parametrize(
        ("sizes", "lengths"),
        [((6, 3), [6, 3]), ((0.7, 0.2, 0.1), [7, 2, 1]), ((0.5, 0.25, 0.25), [5, 3, 2]), ((2, 0.5), [2, 5])],
    )
    def test_gives_parts_of_the_sizes_asked_for(self, sizes, lengths):
        parts = split(self.EXAMPLES, sizes)

        assert sorted(map(len, parts)) == sorted(lengths)
        assert len({example.n for part in parts for example in part}) == sum(lengths)

    def test_depends_on_the_seed_alone(self):
        assert split(self.EXAMPLES, (5, 5), seed=3) == split(self.EXAMPLES, (5, 5), seed=3)
        assert split(self.EXAMPLES, (5, 5), seed=0) != split(self.EXAMPLES, (5, 5), seed=1)

    def test_leaves_the_examples_in_their_order(self):
        before = list(self.EXAMPLES)

        split(self.EXAMPLES, (5, 5))

        assert before == self.EXAMPLES

    @pytest.mark.parametrize("sizes", [(8, 3), (0.9, 0.2), (10, 0), (0.99, 0.01), (-1, 5)])
    def test_refuses_parts_that_are_empty_or_too_many(self, sizes):
        with pytest.raises(ConfigurationError, match="10 examples cannot be split"):
            split(self.EXAMPLES, sizes)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_told(dataset):
    path = dataset("rows.jsonl", "{}")
    path.chmod(0)

    with pytest.raises(DatasetError, match="cannot be read: Permission denied"):
        load_dataset(path)
