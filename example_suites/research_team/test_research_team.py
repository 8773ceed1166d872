import re

import pytest


def share(facts, text):
    return sum(fact in text for fact in facts) / len(facts)


@pytest.mark.dspex_data("data/test.jsonl", inputs=["topic"])
@pytest.mark.dspex_gate("found", min=0.9)
@pytest.mark.dspex_gate("noted", min=0.75)
@pytest.mark.dspex_gate("written", min=0.75)
@pytest.mark.dspex_gate("invented", max=0.1)
def test_team(example, prediction, score):
    sources = "\n".join(prediction.passages)
    score("found", share(example.facts, sources))
    score("noted", share(example.facts, prediction.notes), feedback=prediction.notes)
    score("written", share(example.facts, prediction.sentence), feedback=prediction.sentence)
    invented = set(re.findall(r"\d+", prediction.sentence)) - set(re.findall(r"\d+", sources))
    score("invented", bool(invented), feedback=f"numbers that no source has: {sorted(invented)}")
