import pytest

from dspex_core import exact_match


@pytest.mark.dspex_data("data/test.jsonl", inputs=["text"], metrics={"right": exact_match("stamp")})
@pytest.mark.dspex_gate("right", min=0.7)
def test_stamp(prediction):
    assert prediction.stamp


def test_the_examples_make_the_difference(archive_stamp, evaluate):
    without = archive_stamp.deepcopy()
    without.demos = []
    before = evaluate(without, "data/test.jsonl", inputs=["text"], metric=exact_match("stamp"))
    after = evaluate(archive_stamp, "data/test.jsonl", inputs=["text"], metric=exact_match("stamp"))
    comparison = before.compare(after)
    assert comparison.difference > 0.5, comparison
    assert comparison.p_value < 0.05, comparison
