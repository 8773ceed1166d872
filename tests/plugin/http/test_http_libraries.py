"""Each client library, recorded and replayed with its server down: sync, async and streamed."""

import textwrap
from importlib import import_module

import pytest
from http_projects import LIBRARIES, PROJECT, outcomes

TESTS = """
    @pytest.mark.parametrize("way", [way for way in ("ask", "stream", "aask", "astream") if way in globals()])
    def test_{name}(way):
        for question in ("Say red", "Say blue", "Say red"):
            answer = globals()[way](question)
            answer = asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
            assert answer == question.split()[-1]
"""


def source(name):
    return "\n".join(textwrap.dedent(part) for part in (PROJECT, LIBRARIES[name], TESTS.format(name=name)))


@pytest.mark.timeout(300)  # some take many seconds to import
@pytest.mark.filterwarnings("ignore:Item:UserWarning")  # pydantic's, about LiteLLM
@pytest.mark.parametrize(
    "name",
    [
        *sorted(LIBRARIES.keys() - {"litellm"}),
        # The event loop of its logging stays open.
        pytest.param("litellm", marks=pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")),
    ],
)
def test_a_recording_is_replayed_without_the_server(project, alone, server, name):
    if name == "dspy":
        pytest.importorskip("dspy")  # the lowest versions are tried without it
    import_module(name.replace("_", "."))  # as in conftest
    project.test(source(name))
    ways = sum(LIBRARIES[name].count(f"def {way}(") for way in ("ask", "stream", "aask", "astream"))
    assert outcomes(alone("--dspex-record=new")) == {"passed": ways}
    assert len(server.requests) == 3 * ways
    assert len(project.entries(f"test_{name}")) == 3 * ways  # the second "Say red" has its own reply
    before = project.cassette(f"test_{name}").read_bytes()
    assert outcomes(alone("--dspex-record=new")) == {"passed": ways}
    assert project.cassette(f"test_{name}").read_bytes() == before
    server.__exit__()
    assert outcomes(alone()) == {"passed": ways}
    assert len(server.requests) == 3 * ways
    assert "5ecret" not in project.cassette(f"test_{name}").read_text()


@pytest.mark.timeout(300)
def test_libraries_on_two_workers(project, on_two_workers, server):
    for name in LIBRARIES.keys() - {"litellm", "dspy"}:  # which each worker would import
        project.test(source(name), name=f"test_with_{name}")
    recorded = on_two_workers("--dspex-record=new")
    assert set(outcomes(recorded)) == {"passed"}
    asked = len(server.requests)
    assert asked == 3 * outcomes(recorded)["passed"]
    server.__exit__()
    assert outcomes(on_two_workers()) == outcomes(recorded)
    assert len(server.requests) == asked
