"""The calls in a cassette or a shard, each as a dictionary with its whole request."""

import json

from pytest_dspex.cassettes.entry import Entry
from pytest_dspex.cassettes.layout import read_cassette


def calls_in(path):
    """The calls in the order of the lines."""
    if path.suffix == ".shard":
        entries = [Entry.from_json(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    else:
        entries = read_cassette(path).entries.values()
    return [{name: value for name, value in entry.to_json().items() if name != "recorded"} for entry in entries]


def in_the_first_format(path):
    """Write a cassette as the first versions did: each line is a call with its whole request."""
    lines = [json.dumps(call, sort_keys=True) for call in calls_in(path)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def edit_calls(path, **changes):
    """Change what stands in the lines of the calls of a cassette."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    edited = [{**line, **changes} if "reply" in line else line for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in edited), encoding="utf-8")
