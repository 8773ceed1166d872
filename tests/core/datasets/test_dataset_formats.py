"""Files as pandas, Excel, Numbers and exporters write them."""

import csv
import gzip
import json

import pytest

from dspex_core import DatasetError, load_dataset


def read(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [example.toDict() for example in load_dataset(path)]


ONE = [{"q": "a, b", "a": "x"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'q,a\n"a, b",x\n'),
        ("a.csv", 'q, a\n"a, b", x\n'),
        ("a.csv", 'a,q\nx, "a, b"\n'),
        ("a.csv", 'q;a\n"a, b";x\n'),
        ("a.csv", "q;a\na, b;x\n"),
        ("a.csv", "q\ta\na, b\tx\n"),
        ("a.csv", "q|a\na, b|x\n"),
        ("a.csv", ',q,a\n0,"a, b",x\n'),
        ("a.csv", 'q,a\n"a, b",x\n,\n,\n'),
        ("a.csv", 'q,a\n,\n"a, b",x\n,,,\n'),
        ("a.csv", '\ufeffq,a\r\n"a, b",x\r\n'),
        ("a.tsv", "q\ta\na, b\tx\n"),
        ("a.csv.gz", gzip.compress(b'q,a\n"a, b",x\n', mtime=0)),
        ("a.ndjson", json.dumps(ONE[0])),
        ("a.jsonl.gz", gzip.compress(json.dumps(ONE[0]).encode(), mtime=0)),
        ("A.JSON.GZ", gzip.compress(json.dumps(ONE).encode(), mtime=0)),
        ("a.json", json.dumps({"data": ONE, "version": 1})),
    ],
)
def test_the_same_row_in_many_forms(tmp_path, name, content):
    assert read(tmp_path, name, content) == ONE


def test_cells_may_be_long_and_the_limit_of_others_stays(tmp_path):
    before = csv.field_size_limit()

    assert read(tmp_path, "a.csv", f"q,a\n{'x' * 1_000_000},y\n")[0]["q"] == "x" * 1_000_000
    assert csv.field_size_limit() == before


def test_spaces_inside_a_plain_table_are_kept(tmp_path):
    assert read(tmp_path, "a.csv", "q,a\n x, y\n") == [{"q": " x", "a": " y"}]


def test_an_empty_cell_is_no_empty_row(tmp_path):
    assert read(tmp_path, "a.csv", "q,a\n1,\n,2\n") == [{"q": "1", "a": ""}, {"q": "", "a": "2"}]
    assert read(tmp_path, "a.csv", 'q\n""\nx\n') == [{"q": ""}, {"q": "x"}]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"a": NaN}', "the number NaN"),
        ('{"a": [{"b": NaN}]}', "the number NaN"),
        ('{"a": Infinity}', "the number Infinity"),
        ('{"a": -Infinity}', "the number -Infinity"),
        ('{"a": 1e999}', "too large"),
        (f'{{"a": {"9" * 5000}}}', "5000 digits"),
        ('{"a": 1, "a": 2}', "the key 'a' more than once"),
        ('{"a": {"b": 1, "b": 1}}', "the key 'b' more than once"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
)
def test_what_json_does_not_have_is_refused_with_its_line(tmp_path, content, reason):
    with pytest.raises(DatasetError, match=reason) as caught:
        read(tmp_path, "a.jsonl", f'{{"a": 0}}\n{content}\n')
    assert caught.value.line == 2
    with pytest.raises(DatasetError, match=reason):
        read(tmp_path, "a.json", f"[{content}]")


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(b"q,a\n1,2\n", mtime=0)[:-9]])
def test_a_damaged_gzip_file_is_named(tmp_path, content):
    with pytest.raises(DatasetError, match=r"a\.csv\.gz: (is not a whole gzip file|has no rows)"):
        read(tmp_path, "a.csv.gz", content)
