"""The cache is set, read and filled as in DSPy."""

import asyncio
import importlib

import pytest
from both import chat
from openai_server import OpenAIServer

pytestmark = [
    pytest.mark.usefixtures("live"),
    # LiteLLM imports some of its modules at DSPy's first call, and pydantic warns of them then.
    pytest.mark.filterwarnings("ignore:Items? .* on TypedDict class:UserWarning"),
]


@pytest.fixture(params=["real", "ours"])
def dspy(request, tmp_path):
    library = request.getfixturevalue(request.param)
    before = library.cache
    library.configure_cache(disk_cache_dir=str(tmp_path / "cache"))
    yield library
    close(library)
    if request.param == "real":
        library.cache = before
    else:
        library.configure(cache=None)


def close(library):
    """DSPy leaves its database open, which warns."""
    disk = getattr(library.cache, "disk_cache", None)
    if hasattr(disk, "close"):
        disk.close()


def of(dspy, module):
    return importlib.import_module(f"{dspy.__name__}.clients.{module}")


REQUEST = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi."}], "temperature": 0.5}


def test_values_by_request(dspy):
    cache = dspy.cache
    cache.put(REQUEST, {"answer": 42})

    assert cache.get(dict(reversed(REQUEST.items()))) == {"answer": 42}
    assert cache.get({**REQUEST, "temperature": 1.0}) is None
    assert cache.cache_key(REQUEST) in cache
    assert cache.cache_key(REQUEST) != cache.cache_key({**REQUEST, "temperature": 1.0})


def test_arguments_that_tell_nothing_apart(dspy):
    dspy.cache.put({**REQUEST, "api_key": "a"}, ["x"], ignored_args_for_cache_key=["api_key"])

    assert dspy.cache.get({**REQUEST, "api_key": "b"}, ignored_args_for_cache_key=["api_key"]) == ["x"]


def test_the_disk_outlives_the_memory(dspy):
    dspy.cache.put(REQUEST, "kept")
    dspy.cache.reset_memory_cache()

    assert dspy.cache.get(REQUEST) == "kept"


def test_nothing_is_kept_where_both_are_off(dspy):
    close(dspy)
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    dspy.cache.put(REQUEST, "lost")

    assert dspy.cache.get(REQUEST) is None


def test_memory_alone(dspy):
    close(dspy)
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    dspy.cache.put(REQUEST, "kept")
    found = dspy.cache.get(REQUEST)
    dspy.cache.reset_memory_cache()

    assert (found, dspy.cache.get(REQUEST)) == ("kept", None)


def test_a_file_of_the_memory(dspy, tmp_path):
    close(dspy)
    dspy.configure_cache(enable_disk_cache=False)
    dspy.cache.put(REQUEST, {"answer": 42})
    dspy.cache.save_memory_cache(str(tmp_path / "memory"))
    dspy.cache.reset_memory_cache()
    dspy.cache.load_memory_cache(str(tmp_path / "memory"), allow_pickle=True)

    assert dspy.cache.get(REQUEST) == {"answer": 42}


@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_whose_results_are_kept(dspy, is_async):
    calls = []

    @of(dspy, "cache").request_cache(cache_arg_name="request", ignored_args_for_cache_key=["api_key"])
    def ask(request, note=None):
        calls.append(request)
        return {"answer": request["question"].upper()}

    @of(dspy, "cache").request_cache(cache_arg_name="request", ignored_args_for_cache_key=["api_key"])
    async def aask(request, note=None):
        calls.append(request)
        return {"answer": request["question"].upper()}

    def call(**request):
        return asyncio.run(aask(request=request)) if is_async else ask(request=request)

    assert call(question="a", api_key="1") == call(question="a", api_key="2") == {"answer": "A"}
    assert call(question="b")["answer"] == "B"
    assert [request["question"] for request in calls] == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ([{}, {}], 1),
        ([{"rollout_id": 1, "temperature": 1.0}, {"rollout_id": 2, "temperature": 1.0}], 2),
        ([{"rollout_id": 1, "temperature": 1.0}] * 2, 1),
        ([{"cache": False}] * 2, 2),
    ],
)
def test_calls_of_an_lm(dspy, options, calls):
    with OpenAIServer(*[chat(answer="a")] * 2) as server:
        lm = dspy.LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="k")
        with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
            for each in options:
                dspy.Predict("question -> answer")(question="?", config=each)
        sent = [request.body for request in server.requests]

    assert len(sent) == calls
    assert all("rollout_id" not in body for body in sent)


def test_an_lm_without_any_cache(dspy):
    close(dspy)
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    with OpenAIServer("a") as server:
        lm = dspy.LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="k")
        for _ in range(2):
            lm("Hi.")

        assert len(server.requests) == 2


def test_the_memory_of_lms_can_be_reset(ours):
    ours.configure_cache(enable_disk_cache=False)
    try:
        with OpenAIServer("a") as server:
            lm = ours.LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="k")
            for _ in range(2):
                lm("Hi.")
            ours.cache.reset_memory_cache()
            lm("Hi.")

            assert len(server.requests) == 2
    finally:
        ours.configure(cache=None)
