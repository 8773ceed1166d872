"""Our optimizers on programs of DSPy, and DSPy's on programs of both."""

import itertools

import pytest
from both import chat

import dspex_core
from dspex_core import (
    COPRO,
    BootstrapFewShotWithRandomSearch,
    Example,
    KNNFewShot,
    MIPROv2,
    Score,
    ScriptedLM,
    exact_match,
)
from dspex_core.errors import ArtifactError, ConfigurationError, OptimizationError
from dspex_core.interop import as_optimizer, as_program, from_dspy
from dspex_core.optimizers.search.dimensions import PromptDimensions

LABELS = ["red", "green", "blue"]
ROWS = [Example(text=f"text {n}", label=LABELS[n % 3]).with_inputs("text") for n in range(18)]
MATCH = exact_match("label")
DEMOS = {"max_bootstrapped_demos": 0, "max_labeled_demos": 3}
SEARCHES = {
    "MIPROv2": (lambda **given: MIPROv2(MATCH, auto=None, num_candidates=3, proposers=[], **DEMOS, **given)),
    "random search": (lambda **given: BootstrapFewShotWithRandomSearch(MATCH, **DEMOS, **given)),
}


def right_if(knows):
    """Make an LM that gives the right label where the request is as it needs it, and red elsewhere."""

    def answer(request):
        if "proposed_instruction" in request.messages[0].text:
            return chat(proposed_instruction="Look twice.", proposed_prefix_for_output_field="Label:")
        number = int(request.messages[-1].text.split("text ")[-1].split()[0])
        return chat(label=LABELS[number % 3] if knows(request) else "red")

    return ScriptedLM(answer)


def shows_blue(request):
    return any("blue" in message.text for message in request.messages if message.role == "assistant")


def is_asked_to_look_twice(request):
    return "Look twice." in request.messages[0].text


@pytest.fixture
def program(real):
    return lambda: real.Predict(real.Signature("text: str -> label: Literal['red', 'green', 'blue']"))


def compiled(optimizer, program, knows, **options):
    if isinstance(optimizer, MIPROv2):
        options = {"num_trials": 8, "minibatch": False, **options}
    with dspex_core.context(lm=right_if(knows)):
        return optimizer.compile(program, trainset=ROWS[:9], valset=ROWS[9:], **options)


def loaded(found, program, path):
    found.save(path)
    other = as_program(program)
    other.load(path)
    return other


@pytest.mark.parametrize("make", SEARCHES.values(), ids=SEARCHES)
@pytest.mark.parametrize("dimensions", [None, PromptDimensions()], ids=["plain", "dimensions"])
def test_a_search_leaves_out_what_a_program_of_dspy_cannot_keep(program, make, dimensions, tmp_path):
    found = compiled(make(dimensions=dimensions), program(), shows_blue)
    assert (found.trials.best.score, bool(found.module.demos)) == (1, True)
    assert loaded(found, program(), tmp_path / "found.json").dump_state() == found.dump_state()
    if dimensions is not None:
        names = {name for trial in found.trials for name in trial.choices}
        assert not any("adapter" in name or "choices of" in name for name in names)
        assert "self: choice of demos" in names
        assert not any("nearest" in trial.name for trial in found.trials)


def test_instructions_are_written_for_it(program, tmp_path):
    found = compiled(COPRO(metric=MATCH, breadth=2, depth=1), program(), is_asked_to_look_twice)
    assert found.module.signature.instructions == "Look twice."
    assert loaded(found, program(), tmp_path / "found.json").dump_state() == found.dump_state()


@pytest.fixture
def blue(real):
    return real.utils.DummyLM(itertools.repeat({"label": "blue"}))


@pytest.mark.parametrize("make", SEARCHES.values(), ids=SEARCHES)
def test_an_lm_of_dspys_that_a_program_has_itself_answers(program, blue, make):
    own = program()
    own.lm = blue
    found = compiled(make(), own, shows_blue)
    assert found.trials.best.score == pytest.approx(1 / 3)
    assert found.module.lm is blue


def test_an_lm_of_dspys_is_shared_and_named_and_asked_by_our_code(program, real, blue):
    class Two(real.Module):
        def __init__(self):
            super().__init__()
            self.parts = [program(), program()]

    two = as_program(Two())
    two.module.set_lm(blue)
    lm = two.deepcopy().get_lm()
    assert lm is two.get_lm()
    assert (lm.model, "api_key" in lm.config) == ("dummy", False)
    with dspex_core.context(lm=lm):
        assert dspex_core.Predict("text -> label")(text="a").label == "blue"
    two.set_lm(lm)
    assert two.module.get_lm() is blue


def test_nearest_demos_are_refused_before_any_lm_is_asked(program):
    lm = ScriptedLM([])
    with dspex_core.context(lm=lm), pytest.raises(ConfigurationError, match="cannot choose its demos in each call"):
        KNNFewShot(3, metric=MATCH).compile(program(), trainset=ROWS)
    assert len(lm.history) == 0


def test_a_state_that_it_cannot_keep_is_refused_whole(program):
    ours = dspex_core.Predict("text -> label: Literal['red', 'green', 'blue']")
    ours.adapter = dspex_core.JSONAdapter()
    ours.signature = ours.signature.with_updated_fields("label", choices=["blue", "green", "red"])
    predictor = as_program(program()).predictors()[0]
    with pytest.raises(ArtifactError, match="no order of choices") as raised:
        predictor.load_state(ours.dump_state())
    assert "no adapter of its own" in str(raised.value)


def with_feedback(example, prediction, trace=None, pred_name=None, pred_trace=None):
    """Score a label, with words that an optimizer may show its LM."""
    return Score(float(prediction.label == example.label), f"It is {example.label}.")


def reflecting(request):
    """Say red, or write an instruction where one is asked for."""
    return chat(label="red") if "Respond with the corresponding" in request.messages[-1].text else "```\nLook.\n```"


THEIRS = {
    "random search": lambda dspy, _: dspy.BootstrapFewShotWithRandomSearch(
        metric=MATCH, num_candidate_programs=1, max_bootstrapped_demos=1, max_labeled_demos=1
    ),
    "GEPA": lambda dspy, lm: dspy.GEPA(metric=with_feedback, max_metric_calls=12, reflection_lm=lm, track_stats=True),
}


@pytest.fixture
def labelling(real):
    class Labelling(real.Module):
        def __init__(self):
            super().__init__()
            self.steps = [real.Predict("text -> label")]

        def forward(self, text):
            return self.steps[0](text=text)

    return Labelling


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("whose", ["ours", "dspys"])
def test_what_an_optimizer_of_dspys_found_can_be_loaded(real, labelling, name, whose, tmp_path):
    lm, make = ScriptedLM(reflecting), labelling if whose == "dspys" else lambda: from_dspy(labelling())
    optimizer = as_optimizer(THEIRS[name](real, lm))
    with dspex_core.context(lm=lm):
        found = optimizer.compile(make(), trainset=ROWS[:6], valset=ROWS[6:9])
    assert optimizer.metric is not None
    assert optimizer.get_params()["metric"] is optimizer.metric
    assert [path for path, _ in found.every_predictor()] == ["steps[0]"]
    assert loaded(found, make(), tmp_path / "found.json").dump_state() == found.dump_state()
    if name == "GEPA":
        assert any("It is blue." in str(call.request.messages) for call in lm.history)


def test_calls_of_a_converted_program_are_traced_for_optimizers_of_dspys(real, labelling):
    optimizer = real.BootstrapFewShot(metric=MATCH, max_bootstrapped_demos=2, max_labeled_demos=0)
    with dspex_core.context(lm=ScriptedLM(reflecting)):
        found = as_optimizer(optimizer).compile(from_dspy(labelling()), trainset=ROWS[:6])
    assert [demo["text"] for demo in found.steps[0].demos] == ["text 0", "text 3"]


def test_optimizers_that_an_optimizer_holds_get_metrics_and_lms_of_dspys_and_stay_as_they_are(real):
    class Twice(real.teleprompt.Teleprompter):
        def __init__(self, **optimizers):
            self.optimizers = optimizers

        def compile(self, student, *, trainset):
            seen.extend(vars(each) for each in self.optimizers.values())
            return student

    seen = []
    inner = real.COPRO(metric=lambda *_: Score(0.5, "so so"), prompt_model=ScriptedLM([]))
    before = dict(vars(inner))
    as_optimizer(Twice(inner=inner)).compile(real.Predict("text -> label"), trainset=ROWS)
    assert seen[0]["metric"](ROWS[0], None) == 0.5
    assert isinstance(seen[0]["prompt_model"], real.BaseLM)
    assert vars(inner) == before


def test_an_optimizer_of_dspys_that_cannot_compile_says_why(real):
    base = real.teleprompt.Teleprompter

    def made(compile_):
        return as_optimizer(type("Own", (base,), {"compile": compile_} if compile_ else {})())

    student = real.Predict("text -> label")
    for optimizer, words in [
        (made(None), "takes no trainset"),
        (as_optimizer(real.Ensemble()), "takes no trainset"),
        (made(lambda self, student, *, trainset, more: student), "missing a required argument: 'more'"),
        (made(lambda self, student, *, trainset: None), "returned None"),
        (made(lambda self, student, *, trainset: real.ChainOfThought("a -> b")), "other predictors: predict"),
    ]:
        with pytest.raises(OptimizationError, match=words):
            optimizer.compile(student, trainset=ROWS)


def test_a_seed_reaches_an_optimizer_of_dspys_in_either_place(real):
    base, seen = real.teleprompt.Teleprompter, []

    class AtTheCall(base):
        def compile(self, student, *, trainset, seed=1):
            seen.append(seed)
            return student

    class WhenMade(base):
        seed = None

        def compile(self, student, *, trainset):
            seen.append(self.seed)
            return student

    when_made = WhenMade()
    when_made.seed = 7
    for optimizer in (AtTheCall(), when_made):
        for seed in (None, 5):
            as_optimizer(optimizer).compile(real.Predict("text -> label"), trainset=ROWS, seed=seed)
    assert (seen, when_made.seed) == ([1, 5, 7, 5], 7)
