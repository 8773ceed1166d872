"""Datasets as strangers have them: other encodings, broken rows, folders, tables of other programs."""

import gzip
import json
import os
import warnings
from decimal import Decimal
from fractions import Fraction

import pytest

from dspex_core import DatasetError, Example, InputField, OutputField, Signature, load_dataset, stream_dataset


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def plain(examples):
    return [example.toDict() for example in examples]


ROW = '{"q": "a", "n": 1}\n'


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", ROW.encode("utf-16"), "is in UTF-16; save it as UTF-8"),
        ("a.csv", "q,n\né,1\n".encode("utf-16-le"), "is in UTF-16"),
        ("a.csv", b"\xfe\xff" + "q,n\n".encode("utf-16-be"), "is in UTF-16"),
        ("a.json", "[]".encode("utf-32"), "is in UTF-32"),
        ("a.yaml.gz", gzip.compress("q: a".encode("utf-16"), mtime=0), "is in UTF-16"),
        ("a.csv", gzip.compress(b"q,n\n", mtime=0), "add .gz to its name"),
        ("a.csv", b"PK\x03\x04....", "a zip archive or a spreadsheet"),
        ("a.csv", b"PAR1....", "name it .parquet"),
        ("a.jsonl", b"BZh9....", "bzip2"),
        ("a.jsonl", '[\n {"q": "a"}\n]\n', "name it .json"),
        ("a.jsonl", '{\n "q": "a"\n}\n', "name it .json"),
        ("a.jsonl", '[{"q": "a"},\n{"q": "b"}]\n', "name it .json"),
        ("a.json", '[{"q": 1}, {"q": NaN}]', "a.json:1: row 2 has the number NaN"),
        ("a.json", '[{"q": 1} {"q": 2}]', "',' or ']' is expected, not"),
        ("a.json", '[{"q": 1}] tail', "the end of the file is expected, not 'tail'"),
        ("a.json", '[{"q": 1}', "not the end of the file"),
        ("a.json", '[{"q": 1},]', "is not JSON"),
        ("a.json", '{"data": [{"q": 1}], "data": []}', "the key 'data' more than once"),
        ("a.json", '{"data": {"q": 1}}', "needs a list of objects, not dict"),
        ("a.json", '"text"', "needs a list of objects, not str"),
        ("a.yaml", "- q: \x01\n", "is not YAML"),
        ("a.parquet", b"no parquet at all", "is not a whole Parquet file"),
        ("a.parquet", b"", "has no rows"),
        ("a.parquet.gz", gzip.compress(b"", mtime=0), "has no rows"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_message(write, name, content, reason):
    path = write(name, content)

    with pytest.raises(DatasetError) as caught:
        load_dataset(path)

    assert reason in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.yaml", "a.parquet", "a.csv.gz"])
def test_an_empty_file_of_any_format_has_no_rows(write, name):
    with pytest.raises(DatasetError, match="has no rows"):
        load_dataset(write(name, b""))


def test_a_stream_of_a_gzip_file_that_is_cut_short_gives_its_rows_and_then_the_error(write):
    whole = gzip.compress("".join(json.dumps({"n": n, "text": "x" * n}) + "\n" for n in range(2000)).encode())
    rows = stream_dataset(write("a.jsonl.gz", whole[: len(whole) // 2]))

    assert next(rows).n == 0
    with pytest.raises(DatasetError, match="is not a whole gzip file"):
        list(rows)


# All rows at once


def test_all_bad_rows_are_reported_with_their_lines(write):
    path = write("a.jsonl", '{"q": 1}\n{"q": NaN}\n\n{"n": 1}\n{"q": 1, "q": 2}\n[1]\n{"q": 2\n{"q": 3}\n')

    with pytest.raises(DatasetError, match="has 5 rows that cannot be used") as caught:
        load_dataset(path, inputs=["q"])

    assert [problem.removeprefix(str(path))[:4] for problem in caught.value.problems] == [
        ":2: ", ":4: ", ":5: ", ":6: ", ":7: ",
    ]  # fmt: skip
    assert (caught.value.path, caught.value.line) == (str(path), 2)
    assert all(problem in str(caught.value) for problem in caught.value.problems)


def test_the_places_of_very_many_bad_rows_are_in_the_message(write):
    rows = ['{"q": 1}' if n % 10 == 0 else "{" for n in range(1, 301)]

    with pytest.raises(DatasetError) as caught:
        load_dataset(write("a.jsonl", "\n".join(['{"q": 0}', *rows])))

    assert len(caught.value.problems) == 270
    assert "and 220 more: lines 57-60, 62-70, " in str(caught.value)
    assert str(caught.value).endswith("292-300")


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        (
            "a.csv",
            'q,n\n"a\nb",1\nx\ny,1,2\nq,n\nz,3\n',
            ["4: row 2 has 1 cells", "5: row 3 has 3 cells", "6: row 4 repeats the header"],
        ),
        (
            "a.json",
            '[\n{"q": 1},\n{"q": 1e999},\n{"q": Infinity}, 5]',
            ["3: row 2 has the num", "4: row 3 has the num", "4: row 4 is not"],
        ),
        (
            "a.yaml",
            "- q: 1\n- q: .nan\n- [1]\n- {q: 1, q: 2}\n",
            ["2: row 2 is not YAML", "3: row 3", "4: row 4 is not YAML"],
        ),
    ],
)
def test_all_bad_rows_of_other_formats(write, name, content, places):
    with pytest.raises(DatasetError) as caught:
        load_dataset(write(name, content))

    assert len(caught.value.problems) == len(places)
    for problem, place in zip(caught.value.problems, places, strict=True):
        assert f"{name}:{place}" in problem


class Ticket(Signature):
    """Sort a ticket."""

    text: str = InputField()
    hours: int = InputField()
    note: str | None = InputField()
    urgent: bool = OutputField()
    score: float = OutputField(ge=0, le=1)


def test_rows_are_checked_against_a_signature(write):
    path = write(
        "a.csv",
        "text,hours,urgent,score\na,1,yes,0.5\nb,many,true,0.5\nc,2,maybe,0.5\nd,3,no,7\ne,,true,\n",
    )

    with pytest.raises(DatasetError) as caught:
        load_dataset(path, signature=Ticket)

    problems = "\n".join(caught.value.problems)
    assert [line in problems for line in ("a.csv:2:", "a.csv:3:", "a.csv:4:", "a.csv:5:")] == [False, True, True, True]
    assert "row 2 has a value of the input 'hours' that is not" in problems
    assert "row 3 has a value of the output 'urgent' that is not" in problems
    assert "'7'" in problems


def test_rows_that_fit_a_signature_keep_their_values_and_have_its_inputs():
    rows = [{"text": "a", "hours": "1", "urgent": None}, {"text": "b", "hours": 2, "note": "x", "score": 1}]

    first, second = load_dataset(rows, signature=Ticket)

    assert (first.toDict(), second.toDict()) == tuple(rows)
    assert (first.input_keys, second.input_keys) == ({"text", "hours"}, {"text", "hours", "note"})
    assert load_dataset([{"question": "a", "answer": 1}], signature="question -> answer: int")[0].input_keys == {
        "question"
    }


def test_a_row_with_several_faults_names_each():
    with pytest.raises(DatasetError, match=r"row 1 lacks the input 'text'.*; it has a value of the input 'hours'"):
        load_dataset([{"hours": []}], signature=Ticket)


def test_rows_of_mixed_types_are_read_as_they_are(write):
    content = '{"q": 1}\n{"q": "1"}\n{"q": [1, {"a": null}]}\n{"q": null}\n{"p": true}\n'

    assert plain(load_dataset(write("a.jsonl", content))) == [json.loads(line) for line in content.splitlines()]


# JSON in the form of another


@pytest.mark.parametrize(
    "content",
    [ROW * 2, f'{{"version": "1", "data": [{ROW}, {ROW}]}}', f"[{ROW},{ROW}]", ROW.replace("\n", "\r\n") * 2],
)
def test_json_in_each_form_gives_rows_with_their_lines(write, content):
    rows = [{"q": "a", "n": 1}] * 2

    assert plain(load_dataset(write("a.json", content))) == rows
    with pytest.raises(DatasetError, match=r"a\.json:\d: row 2 lacks the input 'x'"):
        load_dataset(write("a.json", content.replace("{", '{"x": 1, ', 1).replace('"data"', '"data" ')), inputs=["x"])


def test_files_that_were_put_together_may_have_several_byte_order_marks(write):
    assert plain(load_dataset(write("a.jsonl", f"\ufeff{ROW}\ufeff{ROW}"))) == [{"q": "a", "n": 1}] * 2


def test_a_lone_object_in_lines_is_not_a_dataset_but_a_list_of_one_is(write):
    with pytest.raises(DatasetError, match="needs a list of objects, not dict"):
        load_dataset(write("a.json", ROW))
    assert plain(load_dataset(write("a.json", f"[{ROW}]"))) == [{"q": "a", "n": 1}]


# Tables


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("sep=;\nq;n\na,b;1\n", {"q": "a,b", "n": "1"}),
        ("q;n, m\na;1\n", {"q": "a", "n, m": "1"}),
        ("first, last;n\nb, c;1\nd, e;2\n", {"first, last": "b, c", "n": "1"}),
        ("q,n,,\na,1,,\n", {"q": "a", "n": "1"}),
        ("q,n\na,1,,\n", {"q": "a", "n": "1"}),
        ("q,n\r\ra,1\r", {"q": "a", "n": "1"}),
        ("q\r\na\r\n", {"q": "a"}),
        ('q\tn\n"Hi" he said\t1\n', {"q": '"Hi" he said', "n": "1"}),
        ('q\tn\n"a\tb"\t1\n', {"q": "a\tb", "n": "1"}),
        ('q,n\n"a\r\nb",1\n', {"q": "a\r\nb", "n": "1"}),
    ],
)
def test_tables_of_spreadsheets(write, content, row):
    assert load_dataset(write("a.csv", content))[0].toDict() == row


def test_a_tsv_file_that_has_commas_is_not_one_column(write):
    assert plain(load_dataset(write("a.tsv", "q,n\na,1\n"))) == [{"q": "a", "n": "1"}]
    assert plain(load_dataset(write("a.tsv", "q,r\tn\na,b\t1\n"))) == [{"q,r": "a,b", "n": "1"}]


def test_a_quote_that_does_not_end_is_named_with_its_line(write):
    with pytest.raises(DatasetError, match=r"a\.csv:3: is not CSV: .*must end with one"):
        load_dataset(write("a.csv", 'q,n\na,1\n"b,2\nc,3\n'))


# Parquet


def test_parquet_gives_pythons_own_values(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    import datetime as dt

    rows = [
        {
            "id": 7,
            "q": "a",
            "who": {"name": "Ann", "tags": ["x", None]},
            "day": dt.date(2024, 3, 1),
            "at": dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC),
            "cost": Decimal("1.50"),
            "raw": b"\0",
            "x": 0.5,
            "none": None,
        },
        {"id": 8, "q": None, "who": None, "x": float("nan")},
    ]
    schema = pa.Table.from_pylist(rows).schema.append(pa.field("counts", pa.map_(pa.string(), pa.int64())))
    schema = schema.append(pa.field("__index_level_0__", pa.int64()))
    table = pa.Table.from_pylist([{**row, "counts": [("a", 1)], "__index_level_0__": 1} for row in rows], schema=schema)
    nano = pa.array([1709294400000000000, None], pa.timestamp("ns"))
    pq.write_table(table.append_column("nano", nano), tmp_path / "a.parquet")
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = load_dataset(tmp_path / "a.parquet", inputs=["q"])

    assert first.toDict() == {**rows[0], "counts": {"a": 1}, "nano": dt.datetime(2024, 3, 1, 12)}  # noqa: DTZ001  as it is in the file
    assert type(first.nano) is dt.datetime
    assert (second.id, second.q, second.who, second.x, second.day, second.nano) == ("8", None, None, None, None, None)
    assert load_dataset(tmp_path / "a.parquet.gz") == [first, second]
    assert list(stream_dataset(tmp_path / "a.parquet")) == [first, second]

    pq.write_table(pa.table({"q": [1.0, float("inf")]}), tmp_path / "b.parquet")
    with pytest.raises(DatasetError, match=r"b\.parquet: row 2 has the number inf"):
        load_dataset(tmp_path / "b.parquet")
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["q", "q"]), tmp_path / "c.parquet")
    with pytest.raises(DatasetError, match="two columns with the name 'q'"):
        load_dataset(tmp_path / "c.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "d.parquet").write_bytes(whole[:200] + whole[300:])
    with pytest.raises(DatasetError, match=r"d\.parquet: is not a whole Parquet file"):
        load_dataset(tmp_path / "d.parquet")


def test_parquet_without_its_library_says_what_to_install(write, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(DatasetError, match=r"pip install 'pytest-dspex\[parquet\]'"):
        load_dataset(write("a.parquet", b"PAR1"))


# Folders


def test_the_files_of_a_folder_are_read_in_the_order_of_their_numbers(write, tmp_path):
    for number in (10, 2, 1):
        write(f"part-{number}.jsonl", json.dumps({"n": number}))
    write("more/part-3.csv.gz", gzip.compress(b"n\n3\n", mtime=0))
    write("README.md", "data")
    write(".cache/x.jsonl", "{")
    write("_old/x.jsonl", "{")

    assert [str(example.n) for example in load_dataset(tmp_path)] == ["3", "1", "2", "10"]
    assert [str(example.n) for example in stream_dataset(tmp_path)] == ["3", "1", "2", "10"]


def test_the_splits_of_a_folder_may_be_in_parts_or_in_folders_of_their_own(write, tmp_path):
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        write(f"{name}.jsonl", json.dumps({"name": name}))
    assert [example.name for example in load_dataset(tmp_path, split="train")] == [
        "train-00000-of-00002",
        "train-00001-of-00002",
    ]
    with pytest.raises(DatasetError, match="has several splits, 'test', 'train'"):
        load_dataset(tmp_path)
    write("validation/a.csv", "name\nx\n")
    assert plain(load_dataset(tmp_path, split="validation")) == [{"name": "x"}]


def test_the_split_of_a_folder_without_splits_is_a_column(write, tmp_path):
    write("a.jsonl", '{"q": 1, "split": "test"}\n{"q": 2, "split": "train"}')
    write("b.jsonl", '{"q": 3, "split": "test"}')

    assert [example.q for example in load_dataset(tmp_path, split="test")] == [1, 3]


def test_two_files_of_one_name_are_refused(write, tmp_path):
    write("a.jsonl", ROW)
    write("a.csv", "q,n\na,1\n")

    with pytest.raises(DatasetError, match=r"has a\.csv and a\.jsonl, which may be the same rows twice"):
        load_dataset(tmp_path)


def test_faults_in_the_files_of_a_folder_name_the_file(write, tmp_path):
    write("a.jsonl", '{"id": 1}\n{')
    write("b.jsonl", '{"id": 2}\n{"id": "1"}')

    with pytest.raises(DatasetError) as caught:
        load_dataset(tmp_path)

    assert [str(tmp_path / name) in problem for name, problem in zip("ab", caught.value.problems, strict=True)]
    assert f"{tmp_path / 'b.jsonl'}:2: line 2 has the id '1' of line 1 of {tmp_path / 'a.jsonl'}" in str(caught.value)


# In memory


def raising():
    yield {"q": 1}
    raise OSError("the database is gone")


class WordlessError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(("error", "shown"), [(KeyError(), "KeyError"), (WordlessError(), "WordlessError (whose mess")])
def test_an_error_of_a_source_without_a_message_is_shown_by_its_kind(error, shown):
    def source():
        yield {"q": 1}
        raise error

    with pytest.raises(DatasetError) as caught:
        load_dataset(source, inputs=["q"])
    assert f"with an error: {shown}" in str(caught.value)
    assert not str(caught.value).endswith(": ")


@pytest.mark.parametrize("source", [raising, raising()])
def test_an_error_in_the_middle_of_a_generator_says_after_which_row(source):
    with pytest.raises(DatasetError, match="the rows end after row 1 with an error: OSError: the database is gone"):
        load_dataset(source)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"q": 1}, {"q": float("nan")}], "row 2 has the number nan, which JSON does not have"),
        ([{"q": {"x": [1.0, float("-inf")]}}], "row 1 has the number -inf"),
        ([{"id": 1}, {"id": "1"}], "row 2 has the id '1' of row 1"),
        ([{"q": 1}, {1: 2}], "row 2 has a field whose name is not a text: 1"),
        ([{"id": [1]}], r"row 1 has the id \[1\], which is neither a text nor a number"),
        ([{"id": True}], "row 1 has the id True, which is neither"),
    ],
)
def test_rows_in_memory_that_cannot_be_used(rows, reason):
    with pytest.raises(DatasetError, match=reason):
        load_dataset(rows)
    with pytest.raises(DatasetError):
        list(stream_dataset(rows))


def test_a_frame_keeps_an_index_with_a_name_and_refuses_what_would_be_lost():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": ["x", "y"], "n": [1, 2]}).set_index("id")

    assert [(example.id, example.n) for example in load_dataset(frame)] == [("x", 1), ("y", 2)]
    assert len(load_dataset(pandas.DataFrame({"n": range(2500)}))) == 2500
    with pytest.raises(DatasetError, match="two columns with the name 'n'"):
        load_dataset(pandas.DataFrame([[1, 2]], columns=["n", "n"]))
    with pytest.raises(DatasetError, match="row 2 has the number inf"):
        load_dataset(pandas.DataFrame({"n": [1.0, float("inf")]}))


# Streams


def test_a_stream_gives_what_the_list_has(write):
    path = write("a.jsonl", '{"q": 1}\n{"q": 1}\n{"id": "x", "q": 2}\n')

    for options in ({}, {"inputs": ["q"]}, {"signature": "q: int -> a"}):
        streamed, loaded = list(stream_dataset(path, **options)), load_dataset(path, **options)
        assert streamed == loaded
        assert [(each.id, each.input_keys) for each in streamed] == [(each.id, each.input_keys) for each in loaded]


def test_a_stream_reads_no_further_than_it_is_asked(write):
    rows = stream_dataset(write("a.jsonl", '{"q": 1}\n{"q": \n'))
    assert next(rows).q == 1
    with pytest.raises(DatasetError, match=r"a\.jsonl:2: row 2 is not JSON"):
        next(rows)

    endless = stream_dataset({"n": n} for n in iter(int, 1))
    assert isinstance(next(endless), Example)


def test_a_stream_finds_ids_that_repeat(write):
    with pytest.raises(DatasetError, match=r"a\.jsonl:2: line 2 has the id '1' of an earlier row"):
        list(stream_dataset(write("a.jsonl", '{"id": 1}\n{"id": "1"}\n')))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json.gz", "a.yaml", "a.parquet"])
@pytest.mark.parametrize("is_device", [True, False])
def test_a_pipe_or_a_device_is_refused_instead_of_waited_for(tmp_path, name, is_device):
    if is_device:
        (tmp_path / name).symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / name)
    with pytest.raises(DatasetError, match="it is a pipe or a device, not a file"):
        load_dataset(tmp_path / name)


def _nested(depth):
    found = []
    for _ in range(depth):
        found = [found]
    return found


class Unshown:
    def __repr__(self):
        raise ValueError("no text")


ITSELF = {}
ITSELF["q"] = ITSELF


@pytest.mark.parametrize("value", [ITSELF, _nested(5000)], ids=["itself", "deep"])
@pytest.mark.parametrize("made", [dict, Example], ids=["dict", "Example"])
@pytest.mark.parametrize("options", [{}, {"signature": "q -> a"}], ids=["plain", "signature"])
def test_values_that_hold_themselves_are_one_message(value, made, options):
    with pytest.raises(DatasetError, match="row 2 "):
        load_dataset([made(q="x"), made(q=value)], **options)


@pytest.mark.parametrize(
    "value", [ITSELF, _nested(5000), Unshown(), 10**5000], ids=["itself", "deep", "unshown", "big"]
)
@pytest.mark.parametrize(
    "rows", [lambda value: [5, value], lambda value: [5, {"id": value, "q": 1}]], ids=["row", "id"]
)
def test_a_message_about_a_value_whose_text_cannot_be_made(value, rows):
    with pytest.raises(DatasetError, match="2 rows that cannot be used"):
        load_dataset(rows(value), inputs=["q"])


def test_a_name_or_a_source_whose_text_cannot_be_made_is_one_message():
    with pytest.raises(DatasetError, match="whose name is not a text: <Unshown that cannot be shown>"):
        load_dataset([{Unshown(): 1}])
    with pytest.raises(DatasetError, match="not <Unshown that cannot be shown>"):
        load_dataset(Unshown())


NUMPY = pytest.importorskip("numpy")


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        NUMPY.float32("nan"),
        NUMPY.float64("inf"),
        NUMPY.float16("-inf"),
        Decimal("NaN"),
        Decimal("Infinity"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value], lambda value: {"a": (value,)}])
def test_a_number_that_json_lacks_is_refused_whatever_its_type(value, wrap):
    with pytest.raises(DatasetError, match="row 1 has the number"):
        load_dataset([{"q": wrap(value)}])


@pytest.mark.parametrize(
    "value", [NUMPY.float32(1.5), Decimal("1.10"), Decimal("1e999"), NUMPY.int8(3), Fraction(1, 3)]
)
def test_finite_numbers_of_any_type_stay_as_they_are(value):
    assert load_dataset([{"q": value}])[0].q == value


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.yaml"])
@pytest.mark.parametrize("inputs", ["caf\u00e9", "cafe\u0301"], ids=["composed", "apart"])
@pytest.mark.parametrize("column", ["caf\u00e9", "cafe\u0301"], ids=["composed", "apart"])
def test_a_column_is_found_in_either_form_of_its_accents(write, name, inputs, column):
    rows = {"a.csv": f"{column},n\nx,1\n", "a.yaml": f"- {column}: x\n"}
    path = write(name, rows.get(name) or json.dumps([{column: "x"}] if name == "a.json" else {column: "x"}))
    (example,) = load_dataset(path, inputs=[inputs])
    assert example.café == "x"
    assert load_dataset(path, signature=f"{inputs} -> answer")[0].inputs().toDict() == {"caf\u00e9": "x"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "\u00e9,e\u0301\n1,2\n"),
        ("a.jsonl", '{"\u00e9": 1, "e\u0301": 2}\n'),
        ("a.yaml", "- {\u00e9: 1, e\u0301: 2}\n"),
    ],
)
def test_two_columns_whose_names_look_alike_are_refused(write, name, content):
    with pytest.raises(DatasetError, match=r"different names|look alike"):
        load_dataset(write(name, content))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[
            (text, text)
            for text in ("12:30", "12:30:00", "1:30.5", "01234", "-010", "08", "00", "2024-01-01", "1e", "e5", ".")
        ],
        *[
            (text, json.loads(text))
            for text in ("0", "-7", "1.5", "-0.25", "1e5", "1E-3", "2.5e+3", "10000000000000000000")
        ],
        *[("0x1f", 31), ("1_000", 1000), (".5", 0.5), ("+3", 3), ("0b11", 3), ("1.", 1.0)],
    ],
)
def test_numbers_in_yaml_are_those_of_json_and_times_of_day_are_texts(write, text, value):
    (example,) = load_dataset(write("a.yaml", f"- q: {text}\n"))
    assert (example.q, type(example.q)) == (value, type(value))


def test_an_empty_dict_of_splits_has_no_rows():
    with pytest.raises(DatasetError, match="the dataset has no rows"):
        load_dataset({})
