"""What users make of DSPy's optimizers of instructions, run with either library and the same replies."""

import re

import pytest
from both import chat, in_real, uses

use, USES = uses()


def rows(dspy, count=8):
    labels = ("no", "yes")
    return [dspy.Example(text=f"text {n}", label=labels[n % 2]).with_inputs("text") for n in range(count)]


def right(row, found, trace=None):
    return float(found is not None and row.label == getattr(found, "label", None))


def model(dspy, written):
    """Make an LM that is right on as many texts as the level in its instructions, or does what `written` says."""

    def reply(messages):
        text = "\n".join(message["content"] for message in messages)
        for name, outputs in written.items():
            if f"[[ ## {name} ## ]]" in text:
                lm.asked += 1
                return chat(**outputs(lm.asked))
        number = int(re.findall(r"text (\d+)", messages[-1]["content"])[-1])
        level = max(map(int, re.findall(r"level (\d+)", messages[0]["content"])), default=2)
        return chat(label=("yes" if number % 2 else "no") if number < level else "?")

    if hasattr(dspy, "ScriptedLM"):
        lm = dspy.ScriptedLM(lambda request: reply([message.to_json() for message in request.messages]))
    else:

        class Model(dspy.BaseLM):
            def __init__(self):
                super().__init__("scripted", "chat", 0.0, 1000, cache=False)

            def __call__(self, prompt=None, messages=None, **kwargs):
                return [reply(messages) for _ in range(kwargs.get("n") or 1)]

            def copy(self, **kwargs):
                return self

        lm = Model()
    lm.asked = 0
    return lm


def compiled(dspy, optimizer, written, **given):
    lm = model(dspy, written)
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        return optimizer.compile(dspy.Predict("text -> label"), trainset=rows(dspy), **given)


def proposals(number):
    return {"proposed_instruction": f"level {number + 2}", "proposed_prefix_for_output_field": "Label it:"}


@use
def instructions_by_coordinate_ascent(dspy):
    optimizer = dspy.COPRO(metric=right, breadth=3, depth=2, init_temperature=1.0, track_stats=True)
    written = {"proposed_instruction": proposals}
    kwargs = {"num_threads": 1, "display_progress": False, "display_table": 0}
    program = compiled(dspy, optimizer, written, eval_kwargs=kwargs)
    best = next(iter(program.results_best.values()))
    return program.signature.instructions, program.total_calls > 0, best["depth"], best["max"]


@use
def instructions_of_a_prompt_model(dspy):
    writer = model(dspy, {"proposed_instruction": proposals})
    optimizer = dspy.COPRO(prompt_model=writer, metric=right, breadth=2, depth=1)
    program = compiled(dspy, optimizer, {}, eval_kwargs={})
    return program.signature.instructions, list(program.signature.output_fields), writer.asked


@use
def rules_from_examples(dspy):
    optimizer = dspy.InferRules(num_candidates=2, num_rules=3, metric=right, num_threads=1, max_labeled_demos=0)
    rule = {
        "natural_language_rules": lambda number: {"reasoning": "so", "natural_language_rules": f"level {number + 5}"}
    }
    program = compiled(dspy, optimizer, rule, valset=rows(dspy))
    return program.signature.instructions.endswith("level 7")


@use
def programs_from_mini_batches(dspy):
    optimizer = dspy.SIMBA(metric=right, bsize=4, num_candidates=2, max_steps=2, max_demos=2, num_threads=1)
    program = compiled(dspy, optimizer, {"module_advice": lambda number: {"discussion": "", "module_advice": "{}"}})
    return type(program).__name__, len(program.predictors()), len(program.candidate_programs) > 0


@pytest.mark.parametrize("use", USES)
def test_dspy_code_that_works_unchanged(real, ours, use):
    assert use(ours) == in_real(use, real)
