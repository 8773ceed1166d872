import pytest

from dspex_core import History


def says(reply, answer):
    return answer.casefold() in reply.casefold()


@pytest.mark.dspex_data("data/test.jsonl", inputs=["turns"])
@pytest.mark.dspex_gate("remembers", min=0.6)
def test_what_was_said_is_known_later(example, prediction, score):
    score("remembers", says(prediction.turns[-1].prediction.reply, example.answer))


@pytest.mark.dspex_data("data/test.jsonl", inputs=["turns"])
@pytest.mark.dspex_gate("guesses", max=0.1)
def test_the_last_turn_alone_does_not_give_it_away(example, assistant, score):
    alone = assistant(message=example.turns[-1], history=History(messages=[]))
    score("guesses", says(alone.reply, example.answer))
