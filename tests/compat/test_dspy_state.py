"""State saved by DSPy loads in ours, and the other way round."""

import json

import pytest
import user_code
from user_code import Address, Person

from dspex_core.errors import ArtifactError, ConfigurationError
from dspex_core.programs.saving.dspy_format import is_dspy_state

MAKERS = [user_code.classifier, user_code.careful_classifier, user_code.extractor, user_code.pipeline]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.json"


def words(program):
    """What a program would say: instructions, descriptions and demos of each predictor."""
    return {
        name: (
            predictor.signature.instructions,
            [described(field) for field in predictor.signature.fields.items()],
            [dict(demo) for demo in predictor.demos],
        )
        for name, predictor in program.named_predictors()
    }


def described(item):
    name, field = item
    desc = field.json_schema_extra["desc"] if hasattr(field, "json_schema_extra") else field.desc
    return name, "" if desc == f"${{{name}}}" else desc


class TestBothWays:
    @pytest.mark.parametrize("make", MAKERS)
    def test_of_programs_as_written(self, ours, real, path, make):
        make(real).save(path)
        program = make(ours)
        program.load(path)

        program.save(path, format="dspy")
        again = make(real)
        again.load(path)

        assert words(again).keys() == words(make(real)).keys()
        assert [text for text, _, _ in words(again).values()] == [text for text, _, _ in words(make(real)).values()]

    def test_of_an_optimized_program_from_dspy(self, ours, real, path):
        user_code.with_demos(real).save(path)
        program = user_code.pipeline(ours)

        program.load(path)

        assert is_dspy_state(json.loads(path.read_text()))
        assert program.classify.signature.instructions == "Name the intent."
        assert program.classify.signature.fields["intent"].desc == "one of three"
        assert program.classify.signature.fields["message"].desc == "what the customer wrote"
        assert dict(program.classify.demos[0]) == {"message": "Where is it?", "intent": "delivery", "confidence": 0.75}
        anna = Person(name="Anna", age=30, addresses=[Address(street="Ring 1", city="Graz")])
        assert program.steps[1].demos[0]["people"] == [anna]
        assert program.steps[1].demos[1]["augmented"] is True

    def test_of_an_optimized_program_to_dspy(self, ours, real, path):
        user_code.with_demos(ours).save(path, format="dspy")
        program = user_code.pipeline(real)

        program.load(path)

        user_code.with_demos(real).save(path)
        expected = user_code.pipeline(real)
        expected.load(path)
        assert words(program)["classify"] == words(expected)["classify"]
        assert words(program)["steps[1]"] == words(expected)["steps[1]"]

    def test_the_loaded_programs_answer_alike(self, ours, real, path):
        user_code.with_demos(ours).save(path, format="dspy")
        answers = [
            {"intent": "delivery", "confidence": 1},
            {"reasoning": "Late.", "reply": "Tomorrow."},
            {"people": [], "by_city": {}},
        ]
        found = []
        for dspy, dummy in ((ours, ours.DummyLM), (real, real.utils.DummyLM)):
            program = user_code.pipeline(dspy)
            program.load(path)
            with dspy.context(lm=dummy(answers)):
                found.append(dict(program(message="Where?").items()))

        assert found[0] == found[1] == {"intent": "delivery", "reply": "Tomorrow.", "people": []}

    def test_a_config_reaches_dspy(self, ours, real, path):
        ours.Predict("question -> answer", temperature=0.7).save(path, format="dspy")
        predict = real.Predict("question -> answer")

        predict.load(path)

        assert predict.config == {"temperature": 0.7}


class TestLMs:
    def test_of_a_dspy_file_are_not_loaded(self, ours, real, path):
        predict = real.Predict("question -> answer")
        predict.lm = real.LM("openai/gpt-4o-mini", api_key="secret", api_base="http://127.0.0.1:9")
        predict.save(path)
        mine = ours.Predict("question -> answer")
        mine.lm = lm = ours.DummyLM([])

        mine.load(path)

        assert "127.0.0.1" in path.read_text()
        assert mine.lm is lm

    @pytest.mark.parametrize("kind", ["dspex", "dspy"])
    def test_keys_and_endpoints_are_not_written(self, ours, path, kind):
        predict = ours.Predict("question -> answer", api_key="secret", api_base="http://127.0.0.1:9", top_p=0.5)
        predict.lm = ours.LM("openai/gpt-4o-mini", api_key="secret", api_base="http://127.0.0.1:9")

        predict.save(path, format=kind)

        assert "secret" not in path.read_text()
        assert "127.0.0.1" not in path.read_text()
        predict.load(path)
        assert predict.config == {"api_key": "secret", "api_base": "http://127.0.0.1:9", "top_p": 0.5}


class TestMismatches:
    def test_are_all_named_and_nothing_changes(self, ours, real, path):
        class Other(real.Module):
            def __init__(self):
                super().__init__()
                self.classify = real.Predict("message, intent -> confidence")
                self.steps = [real.ChainOfThought("message, purpose -> reply"), real.Predict("text -> people")]
                self.extra = real.Predict("a -> b")

        other = Other()
        other.steps[1].demos = [real.Example(text="x", people="nobody")]
        other.save(path)
        program = user_code.with_demos(ours)
        before = program.dump_state()

        with pytest.raises(ArtifactError) as caught:
            program.load(path)

        assert program.dump_state() == before
        assert caught.value.path == str(path)
        text = "\n".join(caught.value.problems)
        assert "the program has no predictor 'extra'" in text
        assert "steps[0].predict: the state does not fit" in text
        assert "field 2 is 'intent', but the state has 'Purpose:' ('${purpose}') there" in text
        assert "steps[1]: the state has 2 fields" in text
        assert "steps[1]: demo 0: " in text

    def test_reordered_fields_are_not_swapped(self, ours, real, path):
        real.Predict("context, question -> answer").save(path)

        with pytest.raises(ArtifactError, match="field 1 is 'question', but the state has 'Context:'"):
            ours.Predict("question, context -> answer").load(path)

    def test_but_an_optimizer_may_have_changed_the_last_prefix(self, ours, real, path):
        predict = real.Predict("question -> answer")
        predict.signature = predict.signature.with_updated_fields("answer", prefix="The short answer:", desc="short")
        predict.save(path)
        mine = ours.Predict("question -> answer")

        mine.load(path)

        assert mine.signature.fields["answer"].prefix == "The short answer:"
        assert mine.signature.fields["answer"].desc == "short"

    def test_damage_is_named(self, ours, real, path):
        real.Predict("question -> answer").save(path)
        state = json.loads(path.read_text())
        state["signature"]["fields"][0] = 3
        state["signature"]["fields"][1]["prefix"] = None
        path.write_text(json.dumps(state))

        with pytest.raises(ArtifactError, match="field 1 of the state is damaged: 3; field 2 of the state is damaged"):
            ours.Predict("question -> answer").load(path)

    def test_what_dspy_has_no_place_for_is_not_written(self, ours, path):
        predict = ours.Predict("question -> answer")
        predict.demo_selector = ours.NearestDemos(2)

        with pytest.raises(ArtifactError, match="self: DSPy cannot choose demos by NearestDemos"):
            predict.save(path, format="dspy")
        with pytest.raises(ConfigurationError, match="not as 'dspy'"):
            predict.save(path, format="dspy", metadata={"score": 1})
        assert not path.exists()
