"""The example suites replay: no LM, no network, in seconds."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dspex_core import load_dataset
from dspex_core.datasets.leaks import overlap

SUITES = Path(__file__).parent.parent / "example_suites"
NAMES = sorted(path.parent.name for path in SUITES.glob("*/conftest.py"))
INPUTS = {
    "extract_contact": "text",
    "handbook_rag": "question",
    "review_sentiment": "review",
    "support_agent": "question",
    "support_intents": "text",
}

NO_NETWORK = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo"):
        raise SystemExit(f"the replay used the network: {event} {arguments}")

sys.addaudithook(refuse)
"""


def test_all_suites_replay_without_a_network(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    command = [sys.executable, "-m", "pytest", str(SUITES), "-q", "-p", "no:cacheprovider"]
    command += ["-p", "no:langsmith_plugin"]  # which comes with langchain-core, and opens a socket
    done = subprocess.run(
        command,
        env={"PYTHONPATH": str(tmp_path), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"(\d+) replayed", done.stdout)
    assert "failed" not in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_files_of_a_suite_do_not_overlap(name):
    parts = {
        part: load_dataset(SUITES / name / "data" / f"{part}.jsonl", inputs=[INPUTS[name]])
        for part in ("train", "val", "test")
    }
    for left, right in [("train", "val"), ("train", "test"), ("val", "test")]:
        assert overlap(parts[left], parts[right]) == []
    if name in ("review_sentiment", "support_intents"):
        assert sum(map(len, parts.values())) >= 120


def test_what_the_handbook_is_asked_stands_in_the_passage_that_a_row_names():
    folder = SUITES / "handbook_rag" / "data"
    passages = {entry.topic: entry.text.casefold() for entry in load_dataset(folder / "handbook.jsonl")}
    assert len(passages) == 40
    for part in ("train", "val", "test"):
        for row in load_dataset(folder / f"{part}.jsonl"):
            assert row.answer.casefold() in passages[row.topic], row.id


def test_the_artifact_says_how_good_it_was_on_the_held_out_rows():
    artifact = json.loads((SUITES / "support_intents" / "artifacts" / "support_intent.json").read_text())
    test_ids = {example.id for example in load_dataset(SUITES / "support_intents" / "data" / "test.jsonl")}
    assert set(artifact["metadata"]["scores"]) == test_ids
    assert artifact["metadata"]["n"] == len(test_ids)
