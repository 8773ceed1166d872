"""Credentials of thirty kinds, in prompts, parameters, replies, errors and failures: no file or output holds one."""

import json
import textwrap

import pytest
from openai_server import OpenAIServer, Reply

from pytest_dspex.cassettes.masking import Mask

HELD_BY_THE_ENVIRONMENT = {
    "OPENAI_API_KEY": "oaiQ7x/Kp+92=Zs",
    "ANTHROPIC_API_KEY": "antK3y-0001-zzzz",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtn/K7MDENG+bPxRfiCYEXAMPLE",
    "GITHUB_TOKEN": "githubTok3nOpaque",
    "DATABASE_PASSWORD": 'pa"ss\\w0rd-9',
    "SLACK_TOKEN": "slackT0ken1234",
    "STRIPE_SECRET_KEY": "stripeS3cret5678",
    "AZURE_OPENAI_API_KEY": "0123456789abcdef0123456789abcdef",
    "MY_CLIENT_SECRET": "clientS3cr3t.value",
    "SESSION_COOKIE": "c00kieValue-4711",
    "SERVICE_JWT_TOKEN": "opaqueJwt-77-88-99",
    "SSH_PASSPHRASE": "correct horse battery 9",
    "HF_TOKEN": "huggingOpaque-31337",
    "LANGFUSE_PRIVATE_KEY": "lfPriv-778899",
}
HELD_BY_CLIENTS = {"api_key": "clientKey-987654", "of_one_call": "callKey-1122334", "in_a_header": "headerKey-556677"}
OF_A_FORM = {
    "openai": "sk-proj-Abcdef0123456789",
    "github": "ghp_ABCDEFGHIJKLMNOP0123456789",
    "fine_grained": "github_pat_11ABCDEFG0123456789_abc",
    "hugging_face": "hf_ABCDEFGHIJKLMNOPqrst",
    "groq": "gsk_ABCDEFGHIJKLMNOPqrst",
    "aws": "AKIAABCDEFGHIJKLMNOP",
    "google": "AIzaSyA0123456789abcdefghijklmnopqrstu",
    "slack": "xoxb-1234567890-abcdef",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "url": "https://user:urlPassw0rd@db.example.com",
    "bearer": "Bearer tokenOfABearer123",
    "basic": "Basic dXNlcjpodW50ZXIyaHVudGVyMg==",
    "private_key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\n-----END RSA PRIVATE KEY-----",
}
BY_A_PATTERN = {"employee": "EMP-004711"}
# What must not be found of those whose form has a harmless part.
TELLING = {
    "url": "urlPassw0rd",
    "bearer": "tokenOfABearer123",
    "basic": "dXNlcjpodW50ZXIyaHVudGVyMg==",
    "private_key": "MIIEpAIBAAKCAQEA7",
}
ALL = {**HELD_BY_THE_ENVIRONMENT, **HELD_BY_CLIENTS, **OF_A_FORM, **BY_A_PATTERN}

TESTS = """
    import json, os
    import pytest
    from dspex_core import LM

    PLANTED = json.loads(os.environ["PLANTED"])
    HELD = json.loads(os.environ["HELD_BY_CLIENTS"])
    TEXT = "We found: " + " | ".join([*PLANTED.values(), *HELD.values()])

    @pytest.fixture
    def model():
        return LM(
            "openai/gpt-x", api_base=os.environ["SERVER"], api_key=HELD["api_key"], num_retries=0,
            headers={"X-Api-Key": HELD["in_a_header"]},
        )

    def test_reply(model):
        [said] = model(TEXT, api_key=HELD["of_one_call"], stop=[TEXT], user=PLANTED["employee"])
        assert said.startswith("We found: ")

    def test_json_in_a_prompt(model):
        assert model("As JSON: " + json.dumps({"text": TEXT}))

    def test_follow_up(model):
        [said] = model(TEXT)
        assert model("You said: " + said)

    def test_scored(model, score, check):
        score("length", len(model("Score this: " + TEXT)[0]), feedback=TEXT)
        check(True, TEXT)

    @pytest.mark.xfail(strict=True)
    def test_failure(model):
        print(model(TEXT))
        assert model(TEXT) == [], TEXT

    @pytest.mark.xfail(strict=True)
    def test_error(model):
        model("refuse " + TEXT)
"""


def answer(body):
    said = body["messages"][-1]["content"]
    if said.startswith("refuse"):
        return Reply(status=400, body={"error": {"message": f"wrong: {said}"}})
    return said


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("DSPEX_CACHE_DIR", str(tmp_path / "cache-of-the-laptop"))
    with OpenAIServer(script=answer) as server:
        monkeypatch.setenv("SERVER", server.base_url)
        yield server


@pytest.fixture
def plant(monkeypatch):
    def plant(change=str):
        for name, value in HELD_BY_THE_ENVIRONMENT.items():
            monkeypatch.setenv(name, change(value))
        held = {name: change(value) for name, value in HELD_BY_CLIENTS.items()}
        monkeypatch.setenv("HELD_BY_CLIENTS", json.dumps(held))
        environment = {name: change(value) for name, value in HELD_BY_THE_ENVIRONMENT.items()}
        first = {"private_key": OF_A_FORM["private_key"]}  # pytest may cut off what comes later, its first line too
        monkeypatch.setenv("PLANTED", json.dumps({**first, **environment, **OF_A_FORM, **BY_A_PATTERN}))

    return plant


def found_in(text):
    forms = {name: TELLING.get(name, secret) for name, secret in ALL.items()}
    return {name for name, secret in forms.items() if secret in text or json.dumps(secret)[1:-1] in text}


def test_there_are_thirty_kinds():
    assert len(ALL) > 30
    assert len(found_in(" ".join(ALL.values()))) == len(ALL)


def test_no_credential_is_in_a_cassette_a_report_or_the_output(pytester, server, plant, monkeypatch):
    pytester.makeini("[pytest]\ndspex_redact = EMP-\\d{6}\njunit_logging = all")
    pytester.makepyfile(textwrap.dedent(TESTS))
    plant()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    reports = "--dspex-report=html:report.html,json:report.json,md:report.md"
    files = ("--junitxml=junit.xml", reports, "--dspex-partial=part.json", "--log-file=run.log", "--log-level=DEBUG")
    recorded = pytester.runpytest_subprocess("--dspex-record=new", *files, "-rA", "--runxfail", "-vv", "--dspex-show")
    outputs = [recorded.stdout.str(), recorded.stderr.str()]
    assert found_in("".join(outputs)) == set()
    written = [path for path in pytester.path.rglob("*") if path.is_file() and path.suffix not in {".py", ".ini"}]
    assert {".jsonl", ".xml", ".html", ".json", ".md", ".log"} <= {path.suffix for path in written}
    for name in ("report.html", "report.json", "junit.xml"):
        assert "[secret]" in (pytester.path / name).read_text()  # it shows prompts and replies
    found = {path.name: found_in(path.read_text(errors="replace")) for path in written}
    assert {name: kinds for name, kinds in found.items() if kinds} == {}


def test_a_recording_replays_whatever_the_keys_of_the_machine_are(pytester, server, plant):
    pytester.makeini("[pytest]\ndspex_redact = EMP-\\d{6}")
    pytester.makepyfile(textwrap.dedent(TESTS).replace('    model("refuse " + TEXT)', "    assert False"))
    plant()
    pytester.runpytest_subprocess("--dspex-record=new").assert_outcomes(passed=4, xfailed=2)
    before = {path: path.read_bytes() for path in pytester.path.rglob("*.jsonl")}
    server.requests.clear()
    plant(lambda value: f"other-{value[::-1]}")
    pytester.runpytest_subprocess().assert_outcomes(passed=4, xfailed=2)
    pytester.runpytest_subprocess("--dspex-record=new").assert_outcomes(passed=4, xfailed=2)
    assert server.requests == []
    assert {path: path.read_bytes() for path in pytester.path.rglob("*.jsonl")} == before


def test_plain_words_and_paths_in_the_environment_hide_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_PASSWORD", "postgres")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path))
    monkeypatch.setenv("SHORT_TOKEN", "abc1")
    text = f"postgres keeps its files in {tmp_path} on abc1"
    assert Mask().text(text) == text


def test_a_key_that_is_set_while_tests_run_is_hidden(monkeypatch):
    mask = Mask()
    assert not mask.add_environment()
    monkeypatch.setenv("LATE_API_KEY", "set/later-123")
    assert mask.add_environment()
    assert mask.value({"a": ["x set/later-123", {"set/later-123": "set%2Flater-123"}]}) == {
        "a": ["x [secret]", {"[secret]": "[secret]"}]
    }


def test_vectors_and_images_stay_as_they_are():
    mask = Mask(lambda text: text.replace("A", "[secret]"))
    data = {"embedding": "AAAA", "url": "data:image/png;base64,AAAA", "text": "A"}
    assert mask.value(data) == {**data, "text": "[secret]"}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", "not a regular expression"), ("a*", "matches the empty text")],
    ids=["broken", "empty"],
)
def test_a_pattern_that_is_of_no_use_is_refused(pytester, pattern, message):
    pytester.makeini(f"[pytest]\ndspex_redact = {pattern}")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*the ini key dspex_redact has *{message}*"])
