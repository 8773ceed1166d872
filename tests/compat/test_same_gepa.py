"""What a user of GEPA gets from the same feedback and the same reflections, with either library."""

import contextlib
import io
import re

import pytest
from both import chat, in_real

RULE = re.compile(r"rule \d")


def reply(text, last):
    """Follow the rules of the prompt; asked to reflect, in either library's words, write down those that it has."""
    if "[[ ## label ## ]]" not in text:
        written = f"Follow {', '.join(sorted(set(RULE.findall(last))))}."
        return chat(new_instruction=written) if "new_instruction" in text else f"```\n{written}\n```"
    number = int(re.findall(r"text (\d+)", last)[0]) % 6
    return chat(label=f"label {number}" if f"rule {number}" in text else "wrong")


def lm_of(dspy):
    if hasattr(dspy, "ScriptedLM"):
        return dspy.ScriptedLM(
            lambda asked: reply("\n".join(each.text for each in asked.messages), asked.messages[-1].text)
        )

    class Scripted(dspy.BaseLM):
        def __init__(self):
            super().__init__("scripted", "chat", 0.0, 1000, cache=False)

        def __call__(self, prompt=None, messages=None, **kwargs):
            texts = [each["content"] for each in messages or [{"content": prompt}]]
            return [reply("\n".join(texts), texts[-1])]

    return Scripted()


def compiled(dspy):
    rows = [dspy.Example(text=f"text {each}", label=f"label {each % 6}").with_inputs("text") for each in range(24)]

    def metric(gold, pred, trace=None, pred_name=None, pred_trace=None):
        is_right = gold.label == pred.label
        return dspy.Prediction(score=float(is_right), feedback="fine" if is_right else f"rule {gold.label[-1]}")

    lm = lm_of(dspy)
    with contextlib.redirect_stderr(io.StringIO()), dspy.context(lm=lm, adapter=dspy.ChatAdapter(), num_threads=1):
        optimizer = dspy.GEPA(metric=metric, max_metric_calls=120, reflection_lm=lm, track_stats=True, num_threads=1)
        program = optimizer.compile(dspy.Predict("text -> label"), trainset=rows[:12], valset=rows[12:])
    found = program.detailed_results
    return {
        "instructions": program.signature.instructions,
        "first and best": (found.val_aggregate_scores[0], max(found.val_aggregate_scores)),
        "rows": sorted(found.val_subscores[found.best_idx]),
        "best": found.best_candidate.signature.instructions,
        "fields": sorted(
            found.to_dict().keys() & {"candidates", "parents", "val_aggregate_scores", "best_idx", "seed"}
        ),
    }


def test_the_same_instruction_is_found(ours, real):
    mine, theirs = compiled(ours), in_real(compiled, real)

    assert mine == theirs


@pytest.mark.parametrize("options", [{}, {"auto": "light", "max_full_evals": 3}])
def test_exactly_one_limit_is_asked_for_by_both(ours, real, options):
    for dspy, error in ((ours, ours.ConfigurationError), (real, AssertionError)):
        with pytest.raises(error, match=r"(?i)exactly one of"):
            dspy.GEPA(metric=lambda gold, pred, trace, name, part: 1, **options)
