"""The embedded LM, really running: the first run fetches its weights."""

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import urllib3

from dspex_core.adapters import JSONAdapter
from dspex_core.config import context
from dspex_core.errors import ConfigurationError, ContextWindowExceededError, LMNotConfiguredError
from dspex_core.lm.client import LM
from dspex_core.lm.embedded.server import BUILT_IN, SERVER_VARIABLE, SERVERS_VARIABLE, THREADS_VARIABLE, serve
from dspex_core.lm.embedded.weights import find_weights
from dspex_core.messages import LMRequest, Message, ResponseSchema
from dspex_core.programs.predict import Predict

ASK = """
import json, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

import urllib3

from dspex_core.lm.embedded.server import BUILT_IN, serve

def ask(address, **options):
    body = {"messages": [{"role": "user", "content": "Say hi."}], "temperature": 0, **options}
    return urllib3.request("POST", f"{address}/chat/completions", json=body, timeout=200, retries=False).json()
"""
ASK_FROM_MANY_THREADS = (
    ASK
    + """
with ThreadPoolExecutor(8) as threads:
    addresses = list(threads.map(lambda _: serve(BUILT_IN), range(8)))
reply = ask(addresses[0], max_tokens=3)
with open(sys.argv[1], "w") as file:
    json.dump({"addresses": addresses, "reply": reply}, file)
"""
)
ASK_AND_STAY = (
    ASK
    + """
address = serve(BUILT_IN)
ask(address, max_tokens=1)
print(address, flush=True)
time.sleep(600)
"""
)
COUNT_SERVERS = (
    ASK
    + """
from dspex_core.lm.embedded import server as local
prompts = [f"{'Banks write letters about lost and found cards. ' * (n % 3)}Letter {n}:" for n in range(6)]
with ThreadPoolExecutor(6) as threads:
    replies = list(threads.map(lambda p: ask(serve(BUILT_IN), messages=[{"role": "user", "content": p}], logprobs=True,
                                             max_tokens=6), prompts))
print(len(local._pools._pools[BUILT_IN].servers) > 1, json.dumps([reply["choices"][0] for reply in replies]))
"""
)
ASK_FROM_A_FORKED_CHILD = (
    ASK
    + """
import os
serve(BUILT_IN)
child = os.fork()
if child == 0:
    print(ask(serve(BUILT_IN), max_tokens=1)["usage"]["completion_tokens"], flush=True)
    sys.exit(5)  # at which everything of the interpreter is destroyed
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
print(ask(serve(BUILT_IN), max_tokens=2)["usage"]["completion_tokens"])
"""
)
LEAVE_A_LONG_CALL_BEHIND = (
    ASK
    + """
def wait_for_an_answer(address):
    ask(address, max_tokens=4000, ignore_eos=True)
    print("answered", flush=True)

waiting = threading.Thread(target=wait_for_an_answer, args=(serve(BUILT_IN),), daemon=True)
waiting.start()
time.sleep(1)
assert waiting.is_alive()
sys.exit(3)
"""
)


@pytest.fixture(autouse=True)
def own_server(monkeypatch):
    """Under xdist, a worker of this module starts the server itself."""
    monkeypatch.delenv(SERVER_VARIABLE, raising=False)
    monkeypatch.delenv(THREADS_VARIABLE, raising=False)
    monkeypatch.delenv(SERVERS_VARIABLE, raising=False)


@pytest.fixture(scope="module")
def quiet_run(tmp_path_factory):
    """A process that asks: what it printed, and what it got."""
    path = tmp_path_factory.mktemp("run") / "result.json"
    serve(BUILT_IN)  # fetches the weights if need be, whose progress is not silent
    environment = {name: value for name, value in os.environ.items() if name != SERVER_VARIABLE}
    run = subprocess.run(
        [sys.executable, "-c", ASK_FROM_MANY_THREADS, str(path)],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return run, json.loads(path.read_text())


def test_nothing_is_printed_by_start_call_and_end(quiet_run):
    run, _ = quiet_run
    assert (run.stdout, run.stderr) == ("", "")


def test_threads_that_ask_at_once_share_one_address(quiet_run):
    _, result = quiet_run
    assert len(result["addresses"]) == 8
    assert len(set(result["addresses"])) == 1
    assert result["reply"]["usage"]["completion_tokens"] == 3


def test_the_server_listens_on_the_loopback_address_only():
    url = urlsplit(serve(BUILT_IN))
    assert (url.hostname, url.path) == ("127.0.0.1", "/v1")
    with socket.create_connection((url.hostname, url.port), timeout=5):
        pass
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", url.port), timeout=5):
        pass  # a server on all addresses would answer here


def test_the_server_names_its_model():
    models = urllib3.request("GET", f"{serve(BUILT_IN)}/models").json()
    assert [model["id"] for model in models["data"]] == [BUILT_IN]


def test_any_file_of_weights_can_be_named_and_gets_a_server_of_its_own():
    path = str(find_weights())
    address = serve(path)
    assert address != serve(BUILT_IN)
    assert urllib3.request("GET", f"{address}/models").json()["data"][0]["id"] == path


def test_no_web_page_may_read_from_the_server():
    reply = urllib3.request("GET", f"{serve(BUILT_IN)}/models", headers={"Origin": "http://page.example"})
    assert reply.headers.get("Access-Control-Allow-Origin", "") == ""


def test_an_answer_keeps_to_the_schema():
    schema = {
        "type": "object",
        "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}},
        "required": ["mood"],
        "additionalProperties": False,
    }
    response_format = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}
    reply = _ask("I love this film. What is my mood?", max_tokens=30, response_format=response_format)
    assert json.loads(reply["message"]["content"])["mood"] in ("good", "bad")


def test_answers_do_not_depend_on_earlier_calls_or_on_calls_at_the_same_time():
    prompts = [f"{'Banks write letters about lost and found cards. ' * 9}Letter {n}:" for n in range(3)]
    alone = _ask(prompts[0], max_tokens=8, cache_prompt=False)
    with ThreadPoolExecutor(4) as threads:
        first, *_, last = threads.map(lambda prompt: _ask(prompt, max_tokens=8), [*prompts, prompts[0]])
    assert first == last == alone  # to the last bit of each token's log probability


def run_script(script, **environment):
    kept = {name: value for name, value in os.environ.items() if name != SERVER_VARIABLE}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, check=True, timeout=100, capture_output=True, text=True, env=kept | environment)


def test_answers_are_the_same_from_one_server_and_from_several():
    serve(BUILT_IN)  # fetches the weights
    one, several = (run_script(COUNT_SERVERS, **{SERVERS_VARIABLE: n}).stdout.split(" ", 1) for n in ("1", "3"))
    assert (one[0], several[0]) == ("False", "True")
    assert one[1] == several[1]  # to the last bit of each token's log probability


def test_a_forked_child_asks_the_parents_servers_and_ends_without_them():
    assert run_script(ASK_FROM_A_FORKED_CHILD).stdout == "1\n2\n"


def test_a_prompt_longer_than_the_context_is_an_error_of_its_own_kind():
    request = LMRequest((Message("user", "word " * 5000),))
    with pytest.raises(ContextWindowExceededError, match="4096"):
        LM(f"local/{BUILT_IN}", cache=False).complete(request)


def test_a_killed_process_leaves_no_server_and_no_process():
    process = subprocess.Popen([sys.executable, "-c", ASK_AND_STAY], stdout=subprocess.PIPE, start_new_session=True)
    with process:
        url = urlsplit(process.stdout.readline().decode().strip())
        with socket.create_connection((url.hostname, url.port), timeout=5):
            pass
        process.kill()
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((url.hostname, url.port), timeout=5)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nobody is left of its group


def test_a_process_ends_well_although_a_thread_still_waits_for_an_answer():
    run = subprocess.run(
        [sys.executable, "-c", LEAVE_A_LONG_CALL_BEHIND], check=False, timeout=100, capture_output=True
    )
    assert run.returncode == 3
    assert run.stdout == b""  # it has not waited for the answer


def test_a_server_named_in_the_environment_is_used_for_the_built_in_model(monkeypatch, tmp_path):
    monkeypatch.setenv(SERVER_VARIABLE, "http://127.0.0.1:9/v1")
    assert serve(BUILT_IN) == "http://127.0.0.1:9/v1"
    with pytest.raises(LMNotConfiguredError):  # it has no other model
        serve(str(tmp_path / "other.gguf"))


def test_an_unknown_model_is_an_error_that_says_what_there_is():
    with pytest.raises(LMNotConfiguredError) as raised:
        serve("gpt-4o")
    assert "'gpt-4o'" in raised.value.message
    assert "local/smollm2-135m-instruct" in raised.value.message
    assert "local//path/to/any.gguf" in raised.value.message


def test_a_path_to_no_file_is_an_error(tmp_path):
    with pytest.raises(LMNotConfiguredError, match=r"there is no file .*absent\.gguf"):
        serve(str(tmp_path / "absent.gguf"))


def test_a_file_that_holds_no_model_is_an_error_without_a_word_of_llama_cpp(tmp_path, capfd):
    path = tmp_path / "torn.gguf"
    path.write_bytes(b"GGUF, and no more")
    with pytest.raises(LMNotConfiguredError, match=r"could not load .*torn\.gguf"):
        serve(str(path))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("variable", [THREADS_VARIABLE, SERVERS_VARIABLE])
@pytest.mark.parametrize("number", ["0", "-1", "many", ""])
def test_a_number_of_threads_or_servers_that_is_not_positive_is_an_error(variable, number, tmp_path, monkeypatch):
    path = tmp_path / "any.gguf"
    path.touch()
    monkeypatch.setenv(variable, number)
    with pytest.raises(ConfigurationError, match=variable):
        serve(str(path))


def test_without_llama_cpp_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(LMNotConfiguredError) as raised:
        serve(str(tmp_path / "any.gguf"))
    assert 'pip install "pytest-dspex[local]"' in raised.value.message


def _ask(prompt, **options):
    body = {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "logprobs": True, **options}
    reply = urllib3.request("POST", f"{serve(BUILT_IN)}/chat/completions", json=body, timeout=100)
    assert reply.status == 200, reply.data
    return reply.json()["choices"][0]


def test_several_outputs_are_as_many_as_asked_for():
    lm = LM(f"local/{BUILT_IN}", cache=False, max_tokens=2)
    assert len(lm("Say hi.", n=2, temperature=0.0)) == 2


def test_a_text_ends_at_its_limit_and_the_outputs_after_it_come():
    lm = LM(f"local/{BUILT_IN}", cache=False, temperature=0, max_tokens=60)
    tell = Predict("animal -> long_story, mood: Literal['good', 'bad']")
    with context(lm=lm, adapter=JSONAdapter(shows_types=False, text_limit=40)):
        prediction = tell(animal="a fox")
    assert len(prediction.long_story) == 40
    assert prediction.mood in ("good", "bad")


@pytest.mark.parametrize("model_type", ["chat", "text", "responses"])
def test_every_kind_of_api_answers_and_streams_what_it_answers_without(model_type):
    lm = LM(f"local/{BUILT_IN}", model_type, temperature=0, max_tokens=12, cache=False)
    told = []
    turns = [("system", "Go on."), ("user", "Count."), ("assistant", "One, two,"), ("user", "One, two, three, four,")]
    messages = tuple(Message(role, text) for role, text in turns)
    whole = lm.request(LMRequest(messages))
    streamed = lm.request(LMRequest(messages, on_chunk=told.append))
    assert streamed == whole
    assert whole.text
    assert "".join(chunk.text for chunk in told) == whole.text
    assert len(told) > 1


@pytest.mark.parametrize("model_type", ["chat", "responses"])
def test_a_schema_holds_in_every_kind_of_api_that_takes_one(model_type):
    schema = {"type": "object", "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}}}
    schema |= {"required": ["mood"], "additionalProperties": False}
    lm = LM(f"local/{BUILT_IN}", model_type, temperature=0, max_tokens=30, cache=False)
    request = LMRequest((Message("user", "What is my mood?"),), response_schema=ResponseSchema("reply", schema))
    assert json.loads(lm.request(request).text)["mood"] in ("good", "bad")
