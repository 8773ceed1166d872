"""Options of a wrong kind, of each optimizer: one clear error that names the option, before anybody is asked."""

import numpy as np
import pytest

from dspex_core import (
    COPRO,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    Compiler,
    ConfigurationError,
    Ensemble,
    Example,
    KNNFewShot,
    LabeledFewShot,
    MIPROv2,
    Module,
    OptimizationError,
    Predict,
    ScriptedLM,
    context,
    exact_match,
)
from dspex_core.dspy_paths.teleprompt import (
    GEPA,
    SIMBA,
    BetterTogether,
    BootstrapFewShotWithOptuna,
    BootstrapFinetune,
    InferRules,
)
from dspex_core.optimizers import PromptDimensions, Telling

METRIC = exact_match("label")
ROWS = [Example(text=f"text {number}", label="a").with_inputs("text") for number in range(4)]


def knn(**options):
    return KNNFewShot(**{"k": 2, "metric": METRIC, **options})


MADE = {
    "LabeledFewShot": (LabeledFewShot, ["k", "seed"]),
    "BootstrapFewShot": (
        lambda **options: BootstrapFewShot(METRIC, **options),
        ["max_bootstrapped_demos", "max_labeled_demos", "max_rounds", "metric_threshold", "teacher_settings"],
    ),
    "random search": (
        lambda **options: BootstrapFewShotWithRandomSearch(METRIC, **options),
        ["max_labeled_demos", "num_candidate_programs", "stop_at_score", "proposers", "racing", "dimensions"],
    ),
    "Optuna": (lambda **options: BootstrapFewShotWithOptuna(METRIC, **options), ["max_bootstrapped_demos"]),
    "KNNFewShot": (knn, ["k", "max_rounds", "max_labeled_demos"]),
    "MIPROv2": (
        lambda **options: MIPROv2(METRIC, **options),
        [
            "num_candidates",
            "max_labeled_demos",
            "init_temperature",
            "racing",
            "proposers",
            "seed",
            "dimensions",
            "task_model",
        ],
    ),
    "COPRO": (
        lambda **options: COPRO(metric=METRIC, **options),
        ["breadth", "depth", "init_temperature", "prompt_model"],
    ),
    "SIMBA": (
        lambda **options: SIMBA(metric=METRIC, **options),
        ["bsize", "max_steps", "temperature_for_sampling", "prompt_model"],
    ),
    "InferRules": (lambda **options: InferRules(metric=METRIC, **options), ["num_candidates", "num_rules"]),
    "GEPA": (
        lambda **options: GEPA(METRIC, **{"auto": "light", **options}),
        ["failure_score", "gepa_kwargs", "reflection_lm"],
    ),
    "BootstrapFinetune": (lambda **options: BootstrapFinetune(METRIC, **options), ["poll", "folder", "train_kwargs"]),
    "Ensemble": (Ensemble, ["size", "seed", "reduce_fn", "deterministic"]),
}


class Odd:
    """A value that no option takes."""


@pytest.mark.parametrize(
    ("make", "option"),
    [(make, option) for make, options in MADE.values() for option in options],
    ids=[f"{name} {option}" for name, (_, options) in MADE.items() for option in options],
)
def test_an_option_of_a_wrong_kind_is_refused_where_it_is_given(make, option):
    with pytest.raises(ConfigurationError, match=rf"\b{option} must be .*, not <.*Odd"):
        make(**{option: Odd()})


@pytest.mark.parametrize("make", [LabeledFewShot, knn], ids=["LabeledFewShot", "KNNFewShot"])
@pytest.mark.parametrize("value", ["x", 2.5, True, None, [2]], ids=repr)
def test_a_count_is_a_whole_number(make, value):
    with pytest.raises(ConfigurationError, match=r"k must be a whole number"):
        make(k=value)


def test_numbers_of_numpy_are_numbers():
    assert MIPROv2(METRIC, auto=None, num_candidates=np.int64(3), init_temperature=np.float32(0.5))


SHARED = {name: make for name, (make, _) in MADE.items() if name not in ("LabeledFewShot", "Ensemble")}
NO_SUCH_LIMIT = {("BootstrapFewShot", "num_threads"), ("KNNFewShot", "num_threads")}
NO_SUCH_LIMIT |= {("SIMBA", "max_errors"), ("GEPA", "max_errors")}


@pytest.mark.parametrize(
    ("name", "option"),
    sorted({(name, limit) for name in SHARED for limit in ("max_errors", "num_threads")} - NO_SUCH_LIMIT),
)
def test_limits_of_a_wrong_kind_are_refused_before_a_call(name, option):
    lm = ScriptedLM(lambda _: {"label": "a"})
    with context(lm=lm), pytest.raises((OptimizationError, ConfigurationError), match=f"{option} must be"):
        SHARED[name](**{option: "x"}).compile(Predict("text -> label"), trainset=ROWS)
    assert not lm.history


@pytest.mark.parametrize(
    ("optimizer", "option"),
    [
        (MIPROv2(METRIC), "num_trials"),
        (MIPROv2(METRIC), "minibatch_size"),
        (MIPROv2(METRIC), "view_data_batch_size"),
        (LabeledFewShot(2), "sample"),
        (BootstrapFewShotWithRandomSearch(METRIC), "labeled_sample"),
        (BetterTogether(METRIC), "strategy"),
        (BetterTogether(METRIC), "valset_ratio"),
        (BetterTogether(METRIC), "max_errors"),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_an_option_of_compile_of_a_wrong_kind_is_refused_before_a_call(optimizer, option):
    lm = ScriptedLM(lambda _: {"label": "a"})
    with context(lm=lm), pytest.raises(ConfigurationError, match=f"compile: {option} must be"):
        optimizer.compile(Predict("text -> label"), trainset=ROWS, valset=ROWS, **{option: Odd()})
    assert not lm.history


@pytest.mark.parametrize("value", [[1], [Telling], [None], "telling", Telling()], ids=repr)
@pytest.mark.parametrize("kind", [BootstrapFewShotWithRandomSearch, MIPROv2])
def test_proposers_are_a_list_of_those(kind, value):
    with pytest.raises(ConfigurationError, match=r"proposers must be a list of proposers, such as \[Telling\(\)\]"):
        kind(METRIC, proposers=value)


@pytest.mark.parametrize("value", [PromptDimensions, {}, [1], "adapters"], ids=repr)
@pytest.mark.parametrize("kind", [BootstrapFewShotWithRandomSearch, MIPROv2])
def test_dimensions_are_a_value_of_that_class(kind, value):
    with pytest.raises(ConfigurationError, match="dimensions must be a PromptDimensions or None, not"):
        kind(METRIC, dimensions=value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": [1]}, r"compile: seed must be a whole number or None, not \[1\]"),
        ({"restrict": 5}, "compile: restrict must be a list or None, not 5"),
        ({"restrict": "5"}, "compile: restrict must be a list or None, not '5'"),
        ({"journal": "a\0b"}, r"the journal 'a\\x00b' cannot be opened: embedded null byte"),
    ],
    ids=["seed", "restrict, a number", "restrict, a text", "journal"],
)
def test_what_compile_cannot_use_is_named(options, message):
    with context(lm=ScriptedLM([])), pytest.raises(ConfigurationError, match=message):
        BootstrapFewShotWithRandomSearch(METRIC).compile(
            Predict("text -> label"), trainset=ROWS, valset=ROWS, **options
        )


def test_no_batch_of_examples_is_smaller_than_one():
    with pytest.raises(ConfigurationError, match="view_data_batch_size must be at least 1, not 0"):
        MIPROv2(METRIC).plan(Predict("text -> label"), ROWS, ROWS, view_data_batch_size=0)


@pytest.mark.parametrize("name", ["LabeledFewShot", "random search", "MIPROv2", "COPRO", "InferRules"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("text -> label", ROWS), "the student must be a program, not 'text -> label'"),
        ((Predict("text -> label"), None), "the trainset must be a list of examples, .*, not None"),
        ((Predict("text -> label"), ROWS, [1]), "row 1 of the valset is not an Example but 1"),
    ],
    ids=["student", "trainset", "valset"],
)
def test_a_plan_names_what_it_cannot_use(name, given, message):
    with pytest.raises(OptimizationError, match=message):
        MADE[name][0]().plan(*given)


@pytest.mark.parametrize("programs", [None, ["a"], 5, {Predict("a -> b")}], ids=["None", "texts", "a number", "a set"])
def test_an_ensemble_is_made_of_programs(programs):
    with pytest.raises(ConfigurationError, match="an ensemble is made of a list of programs or functions, not"):
        Ensemble().compile(programs)


def test_a_compiler_takes_optimizers():
    with pytest.raises(ConfigurationError, match=r"the optimizer must be one, .*, not .MIPROv2"):
        Compiler(METRIC).compile(Predict("text -> label"), "MIPROv2", trainset=ROWS)


def test_training_examples_need_a_folder(tmp_path):
    (tmp_path / "file").write_text("no folder")
    optimizer = BootstrapFinetune(METRIC, folder=tmp_path / "file")

    with context(lm=ScriptedLM(lambda _: {"label": "a"})), pytest.raises(ConfigurationError, match="cannot be written"):
        optimizer.compile(Predict("text -> label"), trainset=ROWS)


@pytest.mark.parametrize("value", ["4", -1, 2.5, None, True], ids=repr)
def test_telling_counts_whole_numbers(value):
    with pytest.raises(ConfigurationError, match="rules must be a whole number from 0 on, not"):
        Telling(rules=value)


COUNTS = {
    "BootstrapFewShot": {"max_bootstrapped_demos": -1, "max_labeled_demos": -1, "max_rounds": 0},
    "random search": {
        "max_bootstrapped_demos": -1,
        "max_rounds": 0,
        "num_candidate_programs": -1,
        "instructions_per_proposer": 0,
        "stop_at_score": -1,
    },
    "Optuna": {"max_labeled_demos": -1, "max_rounds": 0, "num_candidate_programs": 0},
    "KNNFewShot": {"k": 0, "max_rounds": 0},
    "MIPROv2": {"max_bootstrapped_demos": -1, "num_candidates": 0, "init_temperature": -1},
    "COPRO": {"breadth": 1, "depth": 0, "init_temperature": -0.5},
    "SIMBA": {"bsize": 0, "max_demos": -1, "demo_input_field_maxlen": -1},
    "InferRules": {"num_candidates": 0, "max_rounds": 0, "max_labeled_demos": -1},
    "GEPA": {"max_metric_calls": 0, "reflection_minibatch_size": 0, "max_merge_invocations": -1},
}


@pytest.mark.parametrize(
    ("name", "option", "value"), [(name, *each) for name, options in COUNTS.items() for each in options.items()]
)
def test_a_number_below_the_least_that_makes_sense_is_an_error_before_any_call(name, option, value):
    refused_before_any_call(name, {option: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=repr)
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("BootstrapFewShot", "metric_threshold"),
        ("random search", "stop_at_score"),
        ("MIPROv2", "init_temperature"),
        ("SIMBA", "temperature_for_sampling"),
        ("GEPA", "failure_score"),
        ("COPRO", "num_threads"),
        ("MIPROv2", "num_threads"),
    ],
)
def test_a_number_that_is_not_finite_is_an_error_before_any_call(name, option, value):
    refused_before_any_call(name, {option: value})


def refused_before_any_call(name, options):
    def asked(_):
        raise AssertionError("an LM was asked")

    [option] = options
    with context(lm=ScriptedLM(asked)), pytest.raises((ConfigurationError, OptimizationError), match=rf"\b{option}\b"):
        MADE[name][0](**options).compile(Predict("text -> label"), trainset=ROWS, valset=ROWS)


class Twice(Module):
    """A program whose `forward` names what it needs."""

    def __init__(self):
        super().__init__()
        self.ask = Predict("text -> label")

    def forward(self, text, hint=""):
        return self.ask(text=text + hint)


@pytest.mark.parametrize("student", [Predict("text -> label"), Twice()], ids=["a predictor", "a module"])
@pytest.mark.parametrize("role", ["trainset", "valset"])
@pytest.mark.parametrize("make", [lambda: COPRO(metric=METRIC), lambda: BootstrapFewShotWithRandomSearch(METRIC)])
def test_rows_that_lack_an_input_of_the_program_are_refused_before_any_call(student, role, make):
    strange = [Example(texts="x", label="a").with_inputs("texts")] * 4
    sets = {"trainset": ROWS, "valset": ROWS, role: strange}
    with context(lm=ScriptedLM([])), pytest.raises(OptimizationError, match=f"no row of the {role} .* lacks 'text'"):
        make().compile(student, **sets)


def test_a_program_that_takes_any_inputs_is_refused_when_each_of_its_runs_failed():
    class Any(Module):
        def forward(self, **inputs):
            return self.missing(**inputs)

    with context(lm=ScriptedLM([])), pytest.raises(OptimizationError, match="the program failed on each of 4 examples"):
        BootstrapFewShotWithRandomSearch(METRIC).compile(Any(), trainset=ROWS, valset=ROWS)


@pytest.mark.parametrize("make", [LabeledFewShot, lambda: KNNFewShot(k=1)], ids=["labels", "nearest"])
def test_labels_that_give_no_demo_are_warned_of(make, caplog):
    program = make().compile(Predict("text -> label"), trainset=[Example(text="x", class_="a").with_inputs("text")])
    assert list(program.demos) == []
    assert "none of the 1 examples gives any predictor of Predict a demo" in caplog.text
