"""A cache file that cannot be used never fails a call: it is reported once, and the call goes on without."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path

import pytest

from dspex_core import LM, context
from dspex_core.lm.cache import ResponseCache
from dspex_core.messages import LMOutput, LMResponse


def garbage(path):
    path.write_bytes(b"no database at all" * 400)


def truncated(path):
    cache = ResponseCache(path)

    for number in range(200):
        cache.put(str(number), LMResponse((LMOutput("x" * 500),)))
    cache._file.before_fork()
    cache._file.after_fork()
    path.write_bytes(path.read_bytes()[:5000])


def another_schema(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE responses (other INTEGER)")
    database.close()


def a_folder(path):
    path.mkdir(parents=True)


def below_a_file(path):
    path.parent.rmdir()
    path.parent.write_text("")


def odd_rows(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE responses (key TEXT PRIMARY KEY, response TEXT NOT NULL)")
        database.execute("CREATE TRIGGER t AFTER INSERT ON responses BEGIN UPDATE responses SET response = '[1]'; END")
        database.execute("INSERT INTO responses VALUES ('k', '[]')")
    database.close()


@pytest.mark.parametrize("waiting", ["sync", "async"])
@pytest.mark.parametrize("damage", [garbage, truncated, another_schema, a_folder, below_a_file, odd_rows])
def test_calls_are_answered_without_it(server, tmp_path, caplog, damage, waiting):
    path = tmp_path / "folder" / "responses.sqlite"
    path.parent.mkdir()
    damage(path)
    lm = LM("openai/m", api_base=server.base_url, api_key="k", num_retries=0)
    with context(cache=ResponseCache(path, memory_entries=0)), caplog.at_level(logging.WARNING, "dspex"):
        for _ in range(2):
            assert (lm("hi") if waiting == "sync" else asyncio.run(lm.acall("hi"))) == ["ok"]
    assert caplog.records
    assert "cache" in caplog.text


def test_a_path_that_cannot_be_one_does_not_fail_a_call(server, caplog):
    lm = LM("openai/m", api_base=server.base_url, api_key="k", num_retries=0)
    with context(cache=ResponseCache(Path("a\0b") / "c.sqlite")):
        assert lm("hi") == ["ok"]
    assert "cannot be used" in caplog.text
