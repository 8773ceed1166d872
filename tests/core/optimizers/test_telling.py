"""Instructions that are counted out of the training data, without an LM."""

from enum import Enum

import pytest

from dspex_core import Predict, Signature, context
from dspex_core.example import Example
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.metrics.fields import exact_match
from dspex_core.optimizers import BootstrapFewShotWithRandomSearch
from dspex_core.optimizers.proposers.telling import Telling
from dspex_core.optimizers.run import Limits, Run

TEXTS = {
    "refund": ["please return my money", "I want my money back", "money back for the broken lamp", "give me my money"],
    "delivery": ["where does my parcel wait", "the parcel is late", "parcel never arrived", "when comes the parcel"],
    "praise": ["lovely lamp", "a lovely shop", "what a lovely colour", "lovely people there"],
}
ROWS = [Example(text=text, topic=topic).with_inputs("text") for topic, texts in TEXTS.items() for text in texts]


def proposed(signature, rows, *, count=6, by=None):
    run = Run(
        optimizer="Search", metric=None, student=Predict(signature), trainset=rows, valset=None, teacher=None, seed=0,
        limits=Limits(),
    )  # fmt: skip
    return (by or Telling()).instructions(run, "self", count)


def rows_of(name, values):
    return [
        Example(**{"text": f"text {number}", name: value}).with_inputs("text") for number, value in enumerate(values)
    ]


class TestLabels:
    def test_come_with_the_terms_that_tell_them_apart(self):
        first = proposed("text -> topic", ROWS)[0]

        assert "- refund: money" in first
        assert "- delivery: parcel" in first
        assert "- praise: lovely" in first

    def test_get_rules_that_set_similar_ones_apart(self):
        rules = proposed("text -> topic", ROWS)[1]

        assert 'If it says "money' in rules or 'it says "money' in rules
        assert "the topic is" in rules

    def test_are_listed_as_choices(self):
        assert any("The topic is one of: delivery, praise, refund." in text for text in proposed("text -> topic", ROWS))

    def test_of_other_types_are_counted_too(self):
        class Mood(Enum):
            GOOD = "good"
            BAD = "bad"

        rows = [Example(text=f"{word} day", mood=mood).with_inputs("text") for word, mood in
                [("sunny", Mood.GOOD), ("rainy", Mood.BAD)] * 4]  # fmt: skip

        assert "- bad: rainy" in proposed(Signature("text -> mood: Literal['good', 'bad']"), rows)[0]

    @pytest.mark.parametrize("text", ["", "!!!", "the of and", "7"])
    def test_of_texts_without_a_word_are_only_listed(self, text):
        rows = [Example(text=text, topic=topic).with_inputs("text") for topic in ("a", "b") * 4]

        texts = proposed("text -> topic", rows)

        assert texts
        assert all('says "' not in each for each in texts)


class TestTheFormOfAnswers:
    @pytest.mark.parametrize(
        ("answers", "hint"),
        [
            (["12", "7", "1,200"], "is a number without any other words"),
            (["12", "7", "1200"], "is a whole number"),
            (["Yes sir", "No never ever", "Maybe"], "is at most 3 words"),
            (["red", "green", "blue"], "is one word, in lower case"),
            (["ABC", "DE", "F"], "in capitals"),
            (["It is so.", "It is not!", "Never ever."], "ending with a full stop"),
        ],
    )
    def test_is_said_where_all_have_it(self, answers, hint):
        assert hint in proposed("text -> answer", rows_of("answer", answers))[-1]

    @pytest.mark.parametrize("answers", [["a b", 1, None], [[1], [2]], ["word " * 40 + "Z", "1 a"], [{"a": 1}] * 3])
    def test_is_not_said_where_they_have_none_in_common(self, answers):
        assert proposed("text -> answer", rows_of("answer", answers)) == []


class TestWhatIsProposed:
    def test_starts_with_the_instructions_that_there_are_and_never_repeats_them(self):
        signature = Signature("text -> topic", "Sort the mail.")

        texts = proposed(signature, ROWS)

        assert all(text.startswith("Sort the mail.\n") for text in texts)
        assert len(set(texts)) == len(texts)

    def test_is_at_most_as_many_as_asked_for_and_the_same_again(self):
        assert len(proposed("text -> topic", ROWS, count=2)) == 2
        assert proposed("text -> topic", ROWS) == proposed("text -> topic", list(ROWS))

    def test_is_nothing_for_outputs_that_the_trainset_does_not_have(self):
        assert proposed("text -> summary", ROWS) == []

    def test_takes_no_call(self):
        assert Telling().calls(Predict("text -> topic"), ROWS, 5) == 0


class TestInRandomSearch:
    def compiled(self, journal=None, **options):
        def reply(request):
            """Right only with the words of the labels in the instructions."""
            is_said = "Typical words" in request.messages[0].text
            topics = [
                topic for topic, texts in TEXTS.items() if any(each in request.messages[-1].text for each in texts)
            ]
            return {"topic": topics[-1] if is_said else "?"}

        search = BootstrapFewShotWithRandomSearch(
            exact_match("topic"), num_candidate_programs=6, max_bootstrapped_demos=0, max_labeled_demos=2, **options
        )
        with context(lm=ScriptedLM(reply)):
            return search.compile(Predict("text -> topic"), trainset=ROWS[::2], valset=ROWS[1::2], journal=journal)

    def test_the_instructions_that_help_win_and_are_saved(self, tmp_path):
        program = self.compiled(proposers=(Telling(),))
        program.save(tmp_path / "p.json")
        loaded = Predict("text -> topic")
        loaded.load(tmp_path / "p.json")

        assert program.trials.best.score == 1.0
        assert "instruction 1" in program.trials.best.name
        assert "- refund: money" in loaded.signature.instructions

    def test_a_journal_goes_on_with_the_same_instructions(self, tmp_path):
        first, second = (self.compiled(proposers=(Telling(),), journal=tmp_path / "j.jsonl") for _ in range(2))

        assert first.dump_state() == second.dump_state()

    def test_the_plan_counts_the_calls_of_proposers(self):
        class Asks(Telling):
            def calls(self, student, trainset, count):
                return 3 * count

        search = BootstrapFewShotWithRandomSearch(exact_match("topic"), proposers=(Telling(), Asks()))
        with context(lm=ScriptedLM([])):
            plan = search.plan(Predict("text -> topic"), ROWS[::2], ROWS[1::2])

        assert plan.proposals == 12
        assert plan.calls == plan.runs + 12

    def test_without_a_proposer_instructions_stay_as_they_are(self):
        assert self.compiled().signature.instructions == Predict("text -> topic").signature.instructions
