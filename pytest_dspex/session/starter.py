"""`pytest --dspex-init`: a small suite that passes at once, to be changed into one's own. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dspex_core.plugin_api import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

_CONFTEST = '''"""The program under test, and the LM that answers it."""

from typing import Literal

import pytest

from dspex_core import InputField, OutputField, Predict, ScriptedLM, Signature
from pytest_dspex import program


class Intent(Signature):
    """Decide what the customer's message is about."""

    text: str = InputField()
    intent: Literal["cancel", "delivery", "refund"] = OutputField()


@program
def intent():  # becomes the fixture `intent`
    return Predict(Intent)


@pytest.fixture(scope="session")
def lm():
    """A script in the place of an LM. Delete this fixture to ask a real one: README.md says how."""
    return ScriptedLM({"money": {"intent": "refund"}, "stop": {"intent": "cancel"}, "": {"intent": "delivery"}})
'''

_TEST = '''"""One test for each row of data/intents.jsonl."""

import pytest


@pytest.mark.dspex_data("data/intents.jsonl", inputs=["text"])
@pytest.mark.dspex_gate("accuracy", min=0.8)  # decided after the last row
def test_intent(example, prediction, score):
    score("accuracy", prediction.intent == example.intent)  # a low score does not fail the row
    assert prediction.intent in {"cancel", "delivery", "refund"}  # a hard rule does
'''

_ROWS = """{"id": "late", "text": "Where is my parcel?", "intent": "delivery"}
{"id": "broken", "text": "It came in pieces. I want my money back.", "intent": "refund"}
{"id": "over", "text": "Please stop my subscription.", "intent": "cancel"}
{"id": "twice", "text": "You took the money twice!", "intent": "refund"}
{"id": "address", "text": "Can you send it to my new address?", "intent": "delivery"}
"""

_README = """# Tests of the program `intent`

```console
pytest
```

runs one test for each row of `data/intents.jsonl`, and a gate over all of them. At first, a script in `conftest.py`
answers in the place of a language model.

To ask a real one:

1. Delete the fixture `lm` in `conftest.py`.
2. Name the model in your pytest configuration, such as `dspex_lm = openai/gpt-4o-mini`, and set its key in the
   environment. Without a name it is a small model that runs inside the test process
   (`pip install "pytest-dspex[local]"`).
3. `pytest --dspex-record=new` asks the model and records its replies beside the tests. Commit them: from then on,
   `pytest` replays them, without a network and a key.

Then put your own program into `conftest.py` and your own rows into `data/`.
"""

FILES = {"conftest.py": _CONFTEST, "test_intent.py": _TEST, "data/intents.jsonl": _ROWS, "README.md": _README}


def write_starter(config: pytest.Config) -> pytest.ExitCode:
    """Write a suite into the current directory, and say what to run next.

    Raises:
        pytest.UsageError: A file of the suite is there already, or cannot be written; then nothing is written.
    """
    folder = config.invocation_params.dir
    taken = [name for name in FILES if (folder / name).exists() or (folder / name).is_symlink()]
    if taken:
        raise pytest.UsageError(
            f"--dspex-init overwrites nothing, and {folder} has {', '.join(taken)} already: run it in an empty "
            "directory, such as evals/"
        )
    _write(folder)
    reporter = pytest.TerminalReporter(config)
    for name in FILES:
        reporter.write_line(f"wrote {folder / name}")
    reporter.write_line("run `pytest`; README.md says how to ask a real LM")
    return pytest.ExitCode.OK


def _write(folder: Path) -> None:
    written = []
    try:
        for name, text in FILES.items():
            write_atomically(folder / name, text)
            written.append(folder / name)
    except OSError as error:
        for path in written:
            path.unlink()
        raise pytest.UsageError(f"--dspex-init cannot write into {folder} ({error}); nothing is written") from error
