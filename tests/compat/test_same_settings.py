"""Settings are read and set as in DSPy."""

import asyncio
import time

import pytest
from both import chat, scripted

CHANGED = ["lm", "adapter", "rm", "max_history_size", "disable_history", "max_trace_size", "async_max_workers"]
CHANGED += ["warn_on_type_mismatch", "provide_traceback", "max_errors", "num_threads", "track_usage"]
CHANGED += ["allow_tool_async_sync_conversion"]


pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture(params=["real", "ours"])
def dspy(request):
    library = request.getfixturevalue(request.param)
    before = {name: library.settings[name] for name in CHANGED}
    yield library
    library.configure(**before)


def test_an_lm_that_is_assigned(dspy):
    lm = scripted(dspy, [chat(answer="a"), chat(answer="b")])

    dspy.settings.lm = lm
    dspy.settings["adapter"] = dspy.ChatAdapter()

    assert dspy.settings["lm"] is dspy.settings.get("lm") is lm
    assert dspy.Predict("question -> answer")(question="?").answer == "a"


def test_which_settings_there_are(dspy):
    assert "lm" in dspy.settings
    assert "nothing_like_this" not in dspy.settings
    assert dspy.settings.get("nothing_like_this") is None
    assert dspy.settings.get("nothing_like_this", 3) == 3
    with pytest.raises(AttributeError):
        _ = dspy.settings.nothing_like_this


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rm", len),
        ("max_history_size", 5),
        ("disable_history", True),
        ("max_trace_size", 5),
        ("async_max_workers", 5),
        ("warn_on_type_mismatch", False),
        ("provide_traceback", True),
        ("allow_tool_async_sync_conversion", True),
        ("max_errors", 3),
        ("num_threads", 2),
        ("track_usage", True),
    ],
)
def test_a_setting_of_dspy(dspy, name, value):
    with dspy.settings.context(**{name: value}):
        assert getattr(dspy.settings, name) == value
    with dspy.context(**{name: value}):
        assert dspy.settings[name] == value
    dspy.settings.configure(**{name: value})
    assert dspy.settings.config[name] == value


def test_counting_usage_by_hand(dspy):
    with dspy.track_usage() as tracker:
        assert dspy.settings.usage_tracker is tracker
    with dspy.context(usage_tracker=tracker):
        assert dspy.settings["usage_tracker"] is tracker


def test_defaults(dspy):
    assert dspy.settings.rm is None
    assert dspy.settings.usage_tracker is None
    assert isinstance(dspy.settings.trace, list)


def test_a_copy(dspy):
    with dspy.context(max_errors=3):
        copy = dspy.settings.copy()
        copy["max_errors"] = 4
        assert (copy.max_errors, dspy.settings.max_errors) == (4, 3)
        with dspy.context(**dspy.settings.config):
            assert dspy.settings.max_errors == 3


def test_a_trace_that_a_user_asks_for(dspy):
    lm = scripted(dspy, [chat(answer=text) for text in "abc"])
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter(), trace=[], max_trace_size=2):
        predict = dspy.Predict("question -> answer")
        for _ in range(3):
            predict(question="?")
        trace = dspy.settings.trace

    assert [(predictor is predict, inputs, found.answer) for predictor, inputs, found in trace] == [
        (True, {"question": "?"}, "b"),
        (True, {"question": "?"}, "c"),
    ]


@pytest.mark.parametrize(("settings", "left"), [({"max_history_size": 2}, 2), ({"disable_history": True}, 0), ({}, 3)])
def test_how_much_a_history_keeps(dspy, settings, left):
    class Echo(dspy.BaseLM):
        def __init__(self):
            super().__init__("echo")

        def forward(self, prompt=None, messages=None, **kwargs):
            return answer("a")

    with dspy.context(adapter=dspy.ChatAdapter(), **settings):
        lm = Echo()
        for _ in range(3):
            lm("Hi.")

    assert len(lm.history) == left


def test_how_many_asyncified_calls_run_at_once(dspy):
    running, most = 0, 0

    def work():
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1

    async def main():
        call = dspy.asyncify(work)
        await asyncio.gather(*[call() for _ in range(6)])

    with dspy.context(async_max_workers=2):
        asyncio.run(main())

    assert most == 2


def test_files(dspy, tmp_path, caplog):
    with dspy.context(lm=dspy.LM("openai/gpt-4o-mini", temperature=0.5, api_key="secret"), max_errors=3):
        dspy.settings.save(str(tmp_path / "settings"), exclude_keys=["callbacks", "num_threads"])

    loaded = dspy.load_settings(str(tmp_path / "settings"), allow_pickle=True)

    assert loaded["max_errors"] == 3
    assert "num_threads" not in loaded
    with dspy.context(**loaded):
        assert dspy.settings.lm.model == "openai/gpt-4o-mini"
        assert dspy.settings.lm.kwargs["temperature"] == 0.5


def test_a_file_of_ours_holds_no_secret_and_a_pickle_is_refused(ours, real, tmp_path):
    with ours.context(
        lm=ours.LM("openai/gpt-4o-mini", api_key="secret", api_base="http://here", headers={"k": "secret"})
    ):
        ours.settings.save(tmp_path / "ours")
    real.settings.save(str(tmp_path / "theirs"))

    assert "secret" not in (tmp_path / "ours").read_text()
    assert "http://here" not in (tmp_path / "ours").read_text()
    with pytest.raises(ours.ArtifactError, match="pickle, which is never loaded"):
        ours.load_settings(tmp_path / "theirs", allow_pickle=True)


def answer(text):
    """What OpenAI's client returns."""
    import litellm

    return litellm.ModelResponse(
        model="echo", choices=[{"message": {"content": text}, "finish_reason": "stop"}], usage={"total_tokens": 3}
    )
