"""`dspy.datasets`: loaders, samples and built-in datasets give either library's users the same examples."""

import importlib
import json
import random
import sys
import types

import pytest

ROWS = [{"id": n, "q": f"What is {n}?", "a": str(n), "x": n / 2, "ok": n % 2 == 0} for n in range(1, 9)]


def module(library, name):
    return importlib.import_module(f"{library.__name__}.datasets{name}")


def data(examples):
    return [(dict(each.items()), sorted(each.inputs().keys())) for each in examples]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The same rows in each format."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pytest.importorskip("datasets")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    (tmp_path / "rows.json").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "list.json").write_text(json.dumps([*ROWS, {"q": "without the rest"}]))
    (tmp_path / "gaps.csv").write_text("n,text,flag\n1,a,True\n,NA,\n3,c,False\n")
    return tmp_path, frame


def loaded(library, files):
    """Load each file as users of DSPy do."""
    folder, frame = files
    loader = module(library, "").DataLoader()
    keys = {"input_keys": ("q",)}
    return {
        "csv": data(loader.from_csv(str(folder / "rows.csv"), **keys)),
        "fields": data(loader.from_csv(str(folder / "rows.csv"), ["q", "a"], ("q",))),
        "gaps": data(loader.from_csv(str(folder / "gaps.csv"), input_keys=("n",))),
        "json": data(loader.from_json(str(folder / "rows.json"), **keys)),
        "list": data(loader.from_json(str(folder / "list.json"), fields=["q", "a"], input_keys=("q",))),
        "parquet": data(loader.from_parquet(str(folder / "rows.parquet"), **keys)),
        "pandas": data(loader.from_pandas(frame, **keys)),
        "hub": data(loader.from_huggingface("parquet", data_files=str(folder / "rows.parquet"), split="train", **keys)),
        "splits": {
            name: data(rows)
            for name, rows in loader.from_huggingface(
                "csv", data_files={"train": str(folder / "rows.csv")}, fields=("q", "a"), input_keys=("q",)
            ).items()
        },
    }


def test_a_loader_gives_the_same_examples_from_each_source(ours, real, files):
    mine, theirs = loaded(ours, files), loaded(real, files)

    assert mine == theirs
    assert mine["csv"][0] == (ROWS[0] | {"a": 1}, ["q"])


def chosen(library):
    loader = module(library, "").DataLoader()
    rows = [library.Example(n=n).with_inputs("n") for n in range(20)]
    random.seed(3)
    samples = [loader.sample(rows, 4), loader.sample(rows, 2, counts=[1] * 20)]
    splits = [
        loader.train_test_split(rows, random_state=7),
        loader.train_test_split(rows, train_size=5, test_size=0.5, random_state=0),
    ]
    random.seed(5)  # which DSPy's splits with a `random_state` have changed
    splits.append(loader.train_test_split(rows, 0.1, 3))
    faults = []
    for options in (
        {"train_size": 1.5},
        {"train_size": 15, "test_size": 6},
        {"test_size": "all"},
        {"train_size": None},
    ):
        with pytest.raises(ValueError, match=r".") as caught:
            loader.train_test_split(rows, **options)
        faults.append(isinstance(caught.value, ValueError))
    with pytest.raises(ValueError, match="list"):
        loader.sample(tuple(rows), 3)
    with pytest.raises(ValueError, match="tuple"):
        loader.from_huggingface("x", input_keys=["q"])
    return [data(each) for each in samples], [{k: data(v) for k, v in each.items()} for each in splits], faults


def test_a_loader_draws_and_splits_alike(ours, real):
    assert chosen(ours) == chosen(real)


def sets(library, dataset):
    found = [dataset.train, dataset.dev, dataset.test]
    return [[dict(each.items()) for each in part] for part in found]


def made(library):
    class Own(module(library, "").Dataset):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self._train = [{"n": n} for n in range(30)]
            self._dev = [{"n": n} for n in range(30, 60)]
            self._test = [{"n": n} for n in range(60, 70)]

    own = Own(train_seed=1, train_size=5, eval_seed=2, dev_size=4, input_keys=["n"])
    first = sets(library, own)
    inputs = sorted(own.train[0].inputs().keys())
    own.reset_seeds(train_seed=9, dev_size=2)
    seeded = Own.prepare_by_seed(train_seeds=[1, 2], train_size=4, dev_size=10)
    colors = module(library, "").Colors(train_seed=1, eval_seed=2, input_keys=["color"])
    unsorted = module(library, "").Colors(sort_by_suffix=False)
    return {
        "own": first,
        "inputs": inputs,
        "name": own.name,
        "again": sets(library, own),
        "seeded": [[[each.n for each in part] for part in parts] for parts in (seeded.train_sets, seeded.eval_sets)],
        "dspy": [own.train[0].dspy_split, len(own.train[0].dspy_uuid)],
        "colors": [[each.color for each in part] for part in (colors.train, colors.dev)],
        "unsorted": [[each.color for each in part] for part in (unsorted.train, unsorted.dev)],
    }


def test_datasets_draw_the_same_samples(ours, real):
    assert made(ours) == made(real)


FACTS = {"title": ["Red", "Blue"], "sent_id": [0, 1]}
HUB = {
    "hotpot_qa": {
        name: [
            {
                "id": f"{name}{n}",
                "question": f"q{n}",
                "answer": f"a{n}",
                "type": "bridge",
                "level": "hard" if name == "validation" or n % 2 else "easy",
                "supporting_facts": FACTS,
                "context": "c",
            }
            for n in range(20)
        ]
        for name in ("train", "validation")
    },
    "gsm8k": {
        name: [{"question": f"q{n}", "answer": f"First {n}.\nThen #### 1,{n:03}"} for n in range(count)]
        for name, count in (("train", 520), ("test", 9))
    },
    "DigitalLearningGmbH/MATH-lighteval": {
        "test": [
            {"problem": f"p{n}", "solution": solution}
            for n, solution in enumerate(
                [r"so \boxed{\frac{1}{2}\text{ cm}\!}", "no box", r"\boxed{x} \boxed{y}", "", "z"]
            )
        ]
    },
}


@pytest.fixture
def hub(monkeypatch):
    """Stand in for the library `datasets`, so that nothing is downloaded."""

    def load(name, *args, split=None):
        return HUB[name] if split is None else HUB[name][split]

    library = types.ModuleType("datasets")
    library.load_dataset = load
    monkeypatch.setitem(sys.modules, "datasets", library)


def built_in(library):
    hotpot = [
        module(library, "").HotPotQA(train_seed=1, train_size=4, eval_seed=2, dev_size=2, input_keys=["question"]),
        module(library, "").HotPotQA(keep_details=True),
        module(library, "").HotPotQA(keep_details=False),
    ]
    problems = [module(library, ".gsm8k").GSM8K(), module(library, "").MATH("algebra")]
    metric = module(library, ".gsm8k").gsm8k_metric
    answers = ["It is 1,200.50", "no number", "12\n13", "a1b 5.", ""]
    return (
        [sets(library, each) for each in (*hotpot, *problems)],
        [int(metric(library.Example(answer="5"), library.Prediction(answer=answer))) for answer in answers],
        [module(library, ".gsm8k").parse_integer_answer(answer, only_first_line=False) for answer in answers],
        sorted(problems[0].train[0].inputs().keys()),
    )


def test_built_in_datasets_have_the_same_examples_in_the_same_splits(ours, real, hub):
    assert built_in(ours) == built_in(real)


def test_built_in_datasets_without_their_library_say_what_to_install(ours, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)

    for make in (module(ours, "").HotPotQA, module(ours, ".gsm8k").GSM8K, lambda: module(ours, "").MATH("algebra")):
        with pytest.raises(ours.DatasetError, match=r"pip install 'pytest-dspex\[datasets\]'"):
            make()


def test_a_loader_names_what_it_cannot_read(ours, tmp_path):
    loader = module(ours, "").DataLoader()
    (tmp_path / "a.csv").write_text("q,a\n1\n2,3\n4,5,6\n")
    with pytest.raises(ours.DatasetError, match="has 2 rows that cannot be used"):
        loader.from_csv(tmp_path / "a.csv")
    (tmp_path / "a.json").write_text('[{"q": 1}]')
    with pytest.raises(ours.DatasetError, match="row 1 has no field 'z'; it has: 'q'"):
        loader.from_json(tmp_path / "a.json", fields=["z"])
    with pytest.raises(ours.ConfigurationError, match="there is no retriever"):
        loader.from_rm(1, ["q"], ["q"])
