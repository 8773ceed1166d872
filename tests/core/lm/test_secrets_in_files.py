"""Credentials of an LM, wherever they are given: no file, log or text of the library holds one."""

import asyncio
import logging

import pytest
from openai_server import OpenAIServer

from dspex_core import LM, BootstrapFewShot, Evaluate, Example, Predict, context, settings

SECRETS = {
    "api_key": "opaqueKey-111aaa",
    "header": "headerKey-222bbb",
    "extra header": "extraKey-333ccc",
    "default header": "defaultKey-444ddd",
    "body": "bodyKey-555eee",
    "deep in the body": "nestedKey-666fff",
    "user of the address": "userinfoPass-777ggg",
    "query of the address": "queryKey-888hhh",
    "of one call": "callKey-999iii",
}
ROWS = [Example(question=f"q{number}", answer="Paris").with_inputs("question") for number in range(3)]


def right(example, prediction, trace=None):
    return example.answer == prediction.answer


@pytest.fixture
def lm():
    with OpenAIServer(script=lambda _: "[[ ## answer ## ]]\nParis") as server:
        address = server.base_url.replace("://", f"://me:{SECRETS['user of the address']}@")
        yield LM(
            "openai/m",
            api_base=f"{address}?key={SECRETS['query of the address']}",
            api_key=SECRETS["api_key"],
            headers={"X-Api-Key": SECRETS["header"]},
            extra_headers={"X-Token": SECRETS["extra header"]},
            default_headers={"X-Secret": SECRETS["default header"]},
            extra_body={"api_key": SECRETS["body"], "deep": [{"client_secret": SECRETS["deep in the body"]}]},
            num_retries=0,
            engine="direct",
        )
        sent = "".join(f"{request.path} {dict(request.headers)} {request.body}" for request in server.requests)
        # Else nothing is proved by their absence elsewhere. The key takes the place of the address's user.
        assert {name for name, secret in SECRETS.items() if secret not in sent} == {"user of the address"}


def test_no_file_log_or_text_holds_a_credential(lm, tmp_path, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    program = Predict("question -> answer")
    with context(lm=lm):
        result = Evaluate(devset=ROWS, metric=right, journal=tmp_path / "run.jsonl")(program)
        asyncio.run(program.acall(question="async"))
        lm("Once", api_key=SECRETS["of one call"])
        for name in ("json", "jsonl", "csv"):
            result.save(tmp_path / f"result.{name}")
        program.set_lm(lm)
        compiled = BootstrapFewShot(metric=right).compile(program, trainset=ROWS, journal=tmp_path / "compile.jsonl")
        compiled.save(tmp_path / "state.json")
        compiled.save(tmp_path / "whole", save_program=True)
        lm.inspect_history(9)
        shown = repr((lm, lm.history[-1], lm.dump_state(), compiled, result, settings))
    texts = {path.name: path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()}
    assert {"run.jsonl", "compile.jsonl", "state.json", "program.json", "responses.sqlite"} <= texts.keys()
    texts |= {"log": caplog.text, "printed": capsys.readouterr().out, "shown": shown}
    assert all("Paris" in texts[name] for name in ("run.jsonl", "compile.jsonl", "printed", "shown"))
    assert "POST" in texts["log"]
    found = {where: [name for name, secret in SECRETS.items() if secret in text] for where, text in texts.items()}
    assert {where: names for where, names in found.items() if names} == {}
