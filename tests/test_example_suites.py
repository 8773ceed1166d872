"""The example suites replay: no LM, no network, in seconds."""

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

from dspex_core import load_dataset
from dspex_core.datasets.leaks import overlap

SUITES = Path(__file__).parent.parent / "example_suites"
INPUTS = {
    "arithmetic_program": "question",
    "extract_contact": "text",
    "handbook_rag": "question",
    "multi_hop_qa": "question",
    "optimization_tutorial": "text",
    "research_team": "topic",
    "review_sentiment": "review",
    "support_agent": "question",
    "support_intents": "text",
}

NO_NETWORK = """
import sys

def refuse(event, arguments):
    if event == "socket.bind" and arguments[1] == ("::1", 0):
        return  # urllib3, which DSPy and the HTTP recorder load, looks at its import whether there is IPv6
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
    assert not re.search(r"\b(failed|errors?)\b", done.stdout.splitlines()[-1])  # unlike `xfailed`


def test_each_suite_that_learns_from_rows_has_its_files_compared():
    assert {path.parent.parent.name for path in SUITES.glob("*/data/train.jsonl")} == set(INPUTS)


@pytest.mark.parametrize("name", INPUTS)
def test_the_files_of_a_suite_do_not_overlap(name):
    files = [path for part in ("train", "val", "test") if (path := SUITES / name / "data" / f"{part}.jsonl").is_file()]
    assert len(files) > 1
    parts = {path.stem: load_dataset(path, inputs=[INPUTS[name]]) for path in files}
    for left, right in combinations(parts, 2):
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
