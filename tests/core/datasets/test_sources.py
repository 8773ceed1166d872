"""Datasets that are no file of rows: in memory, in folders, of other libraries; and YAML."""

import dataclasses
import gzip
import sys
import types

import pydantic
import pytest

from dspex_core import DatasetError, Example, load_dataset

ROWS = [{"q": "a", "n": 1}, {"q": "b", "n": 2}]


@dataclasses.dataclass
class Line:
    q: str
    n: int


class Model(pydantic.BaseModel):
    q: str
    n: int


class Foreign:
    """An example as DSPy has it."""

    _input_keys = frozenset({"q"})

    def __init__(self, row):
        self.row = row

    def toDict(self):  # noqa: N802  DSPy's name
        return self.row


class Frame:
    """A table as pandas has it, whose missing values are NaN and whose numbers are NumPy's."""

    columns = ("q", "n")

    def __init__(self, rows):
        self.rows = rows

    def to_dict(self, orient="dict"):
        assert orient == "records"
        return self.rows


def plain(examples):
    return [example.toDict() for example in examples]


@pytest.mark.parametrize(
    "source",
    [
        ROWS,
        tuple(ROWS),
        (row for row in ROWS),
        lambda: ROWS,
        lambda: (row for row in ROWS),
        [Example(row) for row in ROWS],
        [Line(**row) for row in ROWS],
        [Model(**row) for row in ROWS],
        [Foreign(row) for row in ROWS],
        Frame(ROWS),
        lambda: Frame(ROWS),
        {"test": ROWS},
    ],
)
def test_the_same_rows_in_many_forms(source):
    examples = load_dataset(source, inputs=["q"])

    assert plain(examples) == ROWS
    assert [example.id for example in examples] == ["row-1ecaad69af29", "row-8fe0d3ac2056"]
    assert {example.input_keys for example in examples} == {frozenset({"q"})}


def test_examples_keep_their_inputs_and_their_id():
    given = Example(q="a", n=1).with_inputs("n").with_id("mine")

    (found,) = load_dataset([given])

    assert (found.id, found.input_keys) == ("mine", {"n"})
    assert load_dataset([Foreign(ROWS[0])])[0].input_keys == {"q"}


def test_missing_cells_of_a_table_are_none_and_numbers_are_pythons():
    numpy = pytest.importorskip("numpy")
    rows = [{"q": float("nan"), "n": numpy.int64(3), "v": numpy.array([1, 2])}]

    (found,) = load_dataset(Frame(rows))

    assert found.toDict() == {"q": None, "n": 3, "v": [1, 2]}
    assert type(found.n) is int


def test_frames_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"q": ["a", None], "n": [1.5, float("nan")], "t": pandas.to_datetime(["2024-03-01", None])}
    )

    first, second = load_dataset(frame)

    assert (first.q, first.n, str(first.t)) == ("a", 1.5, "2024-03-01 00:00:00")
    assert second.toDict() == {"q": None, "n": None, "t": None}


def test_datasets_of_hugging_face(tmp_path):
    datasets = pytest.importorskip("datasets")
    if datasets.__file__ is None:
        pytest.skip("the library is not installed; a folder has its name")
    made = datasets.DatasetDict(test=datasets.Dataset.from_list(ROWS), train=datasets.Dataset.from_list(ROWS[:1]))
    made.save_to_disk(str(tmp_path / "saved"))

    assert plain(load_dataset(made, split="test")) == plain(load_dataset(tmp_path / "saved", split="test")) == ROWS
    assert plain(load_dataset(made["train"])) == ROWS[:1]


@pytest.fixture
def hub(monkeypatch):
    """Stand in for the library `datasets`, so that no test goes to the network; return what it was asked for."""
    asked = []

    def load(name, *, split=None):
        asked.append((name, split))
        if name == "org/missing":
            raise FileNotFoundError("no such dataset")
        sets = {"train": ROWS[:1], "test": ROWS}
        return sets if split is None else sets[split]

    library = types.ModuleType("datasets")
    library.load_dataset = load
    monkeypatch.setitem(sys.modules, "datasets", library)
    return asked


@pytest.mark.parametrize(("name", "asked"), [("org/name", "org/name"), ("hf:name", "name"), ("hf://org/n", "org/n")])
def test_names_on_the_hub(hub, name, asked):
    assert plain(load_dataset(name, split="test")) == ROWS
    assert hub == [(asked, "test")]


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("org/name", {}, "has several splits, 'train', 'test'; choose one"),
        ("org/missing", {"split": "test"}, "`datasets` cannot read 'org/missing': FileNotFoundError: no such dataset"),
    ],
)
def test_a_dataset_on_the_hub_that_cannot_be_read(hub, name, options, reason):
    with pytest.raises(DatasetError, match=reason):
        load_dataset(name, **options)


@pytest.mark.parametrize("name", ["a.jsonl", "org/a.csv", "one", "org/team/name", "/tmp/name", "./name"])
def test_what_looks_like_a_path_is_never_looked_up_on_the_hub(hub, name):
    with pytest.raises(DatasetError, match=r"no known format|cannot be read"):
        load_dataset(name)
    assert hub == []


def test_a_hub_name_without_the_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)

    with pytest.raises(DatasetError, match=r"'org/name' is not a file here.*pip install 'pytest-dspex\[datasets\]'"):
        load_dataset("org/name")


def test_the_split_of_a_folder_is_the_file_of_that_name(tmp_path):
    (tmp_path / "test.jsonl").write_text('{"q": "a", "n": 1}\n{"q": "b", "n": 2}\n')
    assert plain(load_dataset(tmp_path)) == ROWS

    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(b"q;n\na;1\n"))
    (tmp_path / "README.md").write_text("data")
    assert plain(load_dataset(tmp_path, split="test")) == ROWS
    assert plain(load_dataset(tmp_path, split="train")) == [{"q": "a", "n": "1"}]
    with pytest.raises(DatasetError, match="has several splits, 'test', 'train'"):
        load_dataset(tmp_path)
    with pytest.raises(DatasetError, match="has no split 'dev'; it has: 'test', 'train'"):
        load_dataset(tmp_path, split="dev")


def test_a_folder_without_datasets_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="is a folder without a dataset"):
        load_dataset(tmp_path)


def test_the_split_of_rows_is_their_column(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("q,split\na,train\nb,test\n")

    (found,) = load_dataset(path, split="test")

    assert (found.q, found.id) == ("b", "row-28be89efb1f3")  # the id does not depend on the split that is read
    with pytest.raises(DatasetError, match=r"no rows of the split 'dev': its column 'split' has: 'test', 'train'"):
        load_dataset(path, split="dev")
    with pytest.raises(DatasetError, match="it has no column 'split'"):
        load_dataset(ROWS, split="dev")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (5, "a dataset is a path, a list of rows"),
        (None, "a dataset is a path, a list of rows"),
        (b"rows", "a dataset is a path, a list of rows"),
        ({"q": "a"}, r"a list of rows, not one row: write \[\{'q': 'a'\}\]"),
        (lambda: None, r"must return its rows; <lambda> returned None"),
        (lambda: {"q": "a"}, "a dataset is a path, a list of rows"),
        (lambda: print, "must return its rows"),
        ([1], "row 1 is not an object of named fields but 1"),
        (["text"], "row 1 is not an object of named fields but 'text'"),
        ([ROWS[0], {"n": 2}], "row 2 lacks the input 'q'; it has: 'n'"),
        ([{"q": "a", "id": None}], "row 1 has an empty id"),
        ([{"q": "a", "id": "1"}, {"q": "b", "id": 1}], "row 2 has the id '1' of row 1"),
        ([], "the dataset has no rows"),
        (iter(()), "the dataset has no rows"),
    ],
)
def test_what_is_not_a_dataset_is_one_message(source, reason):
    with pytest.raises(DatasetError, match=reason):
        load_dataset(source, inputs=["q"])


@pytest.mark.parametrize("delimiter", ["^", ";", "\t", " "])
def test_tables_with_a_given_delimiter(tmp_path, delimiter):
    path = tmp_path / "rows.txt"
    path.write_text(f'q{delimiter}n\n"a, {delimiter}b"{delimiter}1\n')

    assert plain(load_dataset(path, delimiter=delimiter)) == [{"q": f"a, {delimiter}b", "n": "1"}]


@pytest.mark.parametrize(
    ("source", "delimiter", "reason"),
    [
        ("rows.csv", "", "one character"),
        ("rows.csv", "||", "one character"),
        ("rows.csv", '"', "one character"),
        ("rows.jsonl", ";", "a .jsonl file has no delimiter"),
        (ROWS, ";", "is for tables in files"),
    ],
)
def test_a_wrong_delimiter_is_one_message(source, delimiter, reason):
    with pytest.raises(DatasetError, match=reason):
        load_dataset(source, delimiter=delimiter)


@pytest.mark.parametrize(
    "content",
    ["- q: a\n  n: 1\n- {q: b, n: 2}\n", "data:\n- q: a\n  n: 1\n- q: b\n  n: 2\n", "q: a\nn: 1\n---\nq: b\nn: 2\n"],
)
@pytest.mark.parametrize("name", ["rows.yaml", "rows.YML", "rows.yaml.gz"])
def test_rows_in_yaml(tmp_path, name, content):
    (tmp_path / name).write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())

    assert plain(load_dataset(tmp_path / name)) == ROWS


def test_yaml_has_the_values_that_json_has(tmp_path):
    path = tmp_path / "rows.yaml"
    path.write_text("- &base {answer: no, on: 2024-03-01, x: .5, y: true, 1: 2}\n- <<: *base\n  answer: off\n")

    assert plain(load_dataset(path)) == [
        {"answer": answer, "on": "2024-03-01", "x": 0.5, "y": True, "1": 2} for answer in ("no", "off")
    ]


BOMB = "a: &b [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n" for before, name in zip("bcdefgh", "cdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("- q: a\n- {q: .inf}\n", "yaml:2: .*the number .inf is not finite"),
        ("- q: a\n- {q: [.nan]}\n", "yaml:2: .*the number .nan is not finite"),
        ("- q: a\n  q: b\n", "yaml:1: .*the key 'q' more than once"),
        ("- q: a\n- [1\n", "yaml:3: is not YAML"),
        ("- {[a]: 1}\n", "a key that is not a text"),
        ("- !!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
        ("- q: a\n- &a [*a]\n", "yaml:2: row 2 has aliases"),
        (BOMB, "yaml:1: row 1 has aliases"),
        ("[" * 100_000, "nested too deeply"),
        (f"- q: {'9' * 5000}\n", "is not YAML: "),
        ("- q: a\n- b\n", "yaml:2: row 2 is not an object"),
    ],
)
def test_yaml_that_is_no_dataset_is_refused_with_its_line(tmp_path, content, reason):
    path = tmp_path / "rows.yaml"
    path.write_text(content)

    with pytest.raises(DatasetError, match=reason):
        load_dataset(path)
