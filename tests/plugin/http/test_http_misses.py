"""Requests that are not recorded: which fail, how, and which pass."""

import gzip
import json
import os
import textwrap
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from http_projects import LIBRARIES, PROJECT, outcomes
from openai_server import Reply


def source(name, tests):
    return "\n".join(textwrap.dedent(part) for part in (PROJECT, LIBRARIES[name], tests))


@pytest.mark.parametrize("name", sorted(LIBRARIES.keys() - {"litellm", "dspy"}))
def test_a_miss_is_a_failure_that_no_except_swallows(project, alone, server, name):
    way = "ask" if "def ask" in LIBRARIES[name] else "aask"
    test = """
        def test_it():
            try:
                answer = {way}("Say {word}")
                asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
            except Exception:
                pass
            import gc
            gc.collect()  # what the client leaves behind ends without a word
    """
    project.test(source(name, test.format(way=way, word="red")))
    assert outcomes(alone("--dspex-record=new")) == {"passed": 1}
    asked = len(server.requests)
    project.test(source(name, test.format(way=way, word="blue")))
    result = alone()
    assert outcomes(result) == {"failed": 1}
    assert len(server.requests) == asked
    result.stdout.fnmatch_lines(
        [
            "test_it calls 'm' with a request that is not in its cassette *",
            "The request's last message:",
            "*Say blue*",
            "The nearest recorded request (-) differs from it (+):",
            '*-*"content": "Say red",',
            '*+*"content": "Say blue",',
        ]
    )
    result.stdout.no_fnmatch_line("*Exception ignored*")


def test_a_client_that_a_test_imports_is_recorded(project, pytester, server):
    project.test(
        source(
            "urllib",
            """
            def test_it():
                import sys
                assert "httpx" not in sys.modules
                import httpx
                try:
                    httpx.post(f"{URL}/chat/completions", json=body("Say red"))
                except Exception:
                    pass
            """,
        )
    )
    without = ("-p", "no:langsmith_plugin", "-p", "no:asyncio")
    result = pytester.runpytest_subprocess(*without)
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["test_it calls 'm', and no call is recorded yet: *"])
    assert not server.requests


def test_a_known_lm_is_never_connected_to_by_a_client_that_is_not_recorded(project, alone, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    project.test(
        """
        import asyncio, socket
        import pytest

        @pytest.mark.parametrize("address", [("api.openai.com", 443), ("127.0.0.1", 9)])
        def test_socket(address):
            try:
                socket.create_connection(address)
            except Exception:
                pass

        def test_streams():
            async def connect():
                try:
                    await asyncio.open_connection("api.anthropic.com", 443)
                except Exception:
                    pass
            asyncio.run(connect())
        """
    )
    result = alone()
    assert outcomes(result) == {"failed": 3}
    result.stdout.fnmatch_lines(["*calls 'api.openai.com:443 by a client that is not recorded'*"])


def test_a_request_outside_of_tests_is_refused(project, alone, server):
    project.test(source("httpx", "ask('Say red')\ndef test_it(): pass"))
    result = alone("--dspex-record=new")
    assert outcomes(result) == {"errors": 1}
    result.stdout.fnmatch_lines(["*'m' was called outside any test*"])
    assert not server.requests


def test_a_miss_in_a_thread_fails_the_test_whose_thread_it_is(project, alone, server):
    project.test(
        source(
            "httpx",
            """
            def test_it():
                def work():
                    try:
                        ask("Say red")
                    except Exception:
                        pass
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()

            def test_other():
                pass
            """,
        )
    )
    result = alone()
    assert outcomes(result) == {"failed": 1, "passed": 1}
    result.stdout.fnmatch_lines(["test_it calls 'm', and no call is recorded yet: *"])
    assert not server.requests


class _Own(BaseHTTPRequestHandler):
    """A server of the user's own: it answers at once, and goes on to send for as long as it is asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        endless = self.path == "/endless"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header(*(("Connection", "close") if endless else ("Content-Length", "3")))
        self.end_headers()
        self.wfile.write(b"own")
        if endless:
            self.wfile.flush()
            self.connection.recv(1)  # until the client goes away

    def log_message(self, *_):
        pass


@pytest.fixture
def own_server(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Own) as running:
        monkeypatch.setenv("OWN_URL", f"http://127.0.0.1:{running.server_port}")
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


OWN = """
    import asyncio, http.client, json, os, urllib.request
    import aiohttp, httpx, httpx2, pytest, requests, urllib3

    OWN = os.environ["OWN_URL"]
    BODIES = {"/items": {"name": "x"}, "/messages": {"text": "hi"}, "/responses": {"survey": 1}, "/chat": {"to": "me"}}

    @pytest.mark.parametrize("client", [httpx, httpx2, requests])
    @pytest.mark.parametrize("path", BODIES)
    def test_posts(client, path):
        assert client.post(OWN + path, json=BODIES[path]).text == "own"

    def test_urllib3_and_urllib():
        closing = {"Connection": "close"}
        assert urllib3.request("POST", OWN + "/messages", json={"text": "hi"}, headers=closing).data == b"own"
        data = urllib.request.Request(OWN + "/messages", data=iter([b"a", b"b"]), headers={"Content-Length": "2"})
        assert urllib.request.urlopen(data).read() == b"own"
        connection = http.client.HTTPConnection(OWN.removeprefix("http://"))
        for _ in range(2):
            connection.request("GET", "/items")
            assert connection.getresponse().read() == b"own"
        connection.close()

    def test_aiohttp():
        async def ask():
            async with aiohttp.ClientSession(OWN) as session, session.post("/messages", json={"text": "hi"}) as reply:
                return await reply.text()
        assert asyncio.run(ask()) == "own"

    def test_a_reply_without_an_end_is_read_as_it_comes():
        with httpx.stream("GET", OWN + "/endless") as reply:
            assert next(reply.iter_raw()) == b"own"
        with requests.get(OWN + "/endless", stream=True) as reply:
            assert reply.raw.read(3) == b"own"
        with urllib.request.urlopen(OWN + "/endless") as reply:
            assert reply.read(3) == b"own"
        async def ask():
            async with aiohttp.ClientSession() as session, session.get(OWN + "/endless") as reply:
                return await reply.content.readexactly(3)
        assert asyncio.run(ask()) == b"own"
"""


@pytest.mark.parametrize("option", ["--dspex-record=none", "--dspex-record=new"])
def test_servers_that_are_not_an_lm_pass(project, alone, own_server, option):
    project.test(OWN)
    assert outcomes(alone(option)) == {"passed": 15}
    assert not (project.path / "cassettes").exists()


def test_a_live_session_blocks_and_records_nothing(project, alone, server):
    project.test(source("httpx", "def test_it():\n    assert ask('Say red') == 'red'"))
    assert outcomes(alone("--dspex-live")) == {"passed": 1}
    assert len(server.requests) == 1
    assert not (project.path / "cassettes").exists()


def test_the_ini_key_names_servers_and_excludes_some(project, alone, pytester, own_server, server):
    own, lm = (url.partition("://")[2].partition("/")[0] for url in (os.environ["OWN_URL"], server.base_url))
    pytester.makeini(f"[pytest]\ndspex_lm_hosts = {own} !{lm}\n")
    project.test(
        source(
            "httpx",
            """
            def test_named():
                httpx.get(os.environ["OWN_URL"] + "/items")

            def test_excluded():
                assert ask("Say red") == "red"
            """,
        )
    )
    result = alone()
    assert outcomes(result) == {"failed": 1, "passed": 1}
    server_of_it = own.partition(":")[0]  # the system chose its port, which is not part of a recorded request
    result.stdout.fnmatch_lines([f"test_named calls 'http://{server_of_it}/items', and no call is recorded yet: *"])


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_failure_that_may_pass_is_not_recorded(project, alone, server, status):
    replies = [Reply(status=status, body={"error": {"message": "not now"}}), "red"]
    server._script = lambda body: replies.pop(0)
    test = """
        def test_it():
            if {first}:
                assert httpx.post(f"{{URL}}/chat/completions", json=body("Say red")).status_code == {status}
            assert ask("Say red") == "red"
    """
    project.test(source("httpx", test.format(first=True, status=status)))
    assert outcomes(alone("--dspex-record=new")) == {"passed": 1}
    assert [entry["response"]["status"] for entry in project.entries("test_it")] == [200]
    project.test(source("httpx", test.format(first=False, status=status)))
    assert outcomes(alone()) == {"passed": 1}


def test_simultaneous_cases_never_write_into_another_ones_cassette(project, run, server):
    project.rows("red", "blue", "green", "grey", "pink")
    project.test(
        source(
            "openai",
            """
            CLIENT = openai.AsyncOpenAI(base_url=URL, api_key=KEY, default_headers={"Connection": "close"})

            @program
            async def answer(question):
                replies = await asyncio.gather(
                    *(CLIENT.chat.completions.create(**body(question, seed=seed)) for seed in (0, 1))
                )
                return replies[0].choices[0].message.content

            @program
            def in_threads(question):
                from concurrent.futures import ThreadPoolExecutor
                with ThreadPoolExecutor(2) as pool:
                    return list(pool.map(ask, [question, question]))[0]

            @pytest.mark.dspex_data("data.jsonl", inputs=["question"], program="answer")
            def test_async(example, prediction):
                assert prediction == example.answer

            @pytest.mark.dspex_data("data.jsonl", inputs=["question"], program="in_threads")
            def test_threads(example, prediction):
                assert prediction == example.answer
            """,
        )
    )
    assert outcomes(run("--dspex-record=new")) == {"passed": 10}
    for test in ("test_async", "test_threads"):
        entries = project.entries(test)
        assert len(entries) == 10
        for entry in entries:
            word = entry["case"].removeprefix("c-")
            assert entry["request"]["body"]["messages"][-1]["content"] == f"Say {word}"
            assert entry["response"]["body"]["choices"][0]["message"]["content"] == word
    server.__exit__()
    assert outcomes(run()) == {"passed": 10}


def test_what_a_test_puts_in_the_place_of_connections_answers(project, alone):
    project.test(
        """
        import asyncio
        import httpcore, httpx, pytest

        @pytest.fixture
        def mocked(monkeypatch):  # as respx does
            async def ahandle(pool, request):
                return httpcore.Response(200, content=b"mocked")
            handle = lambda pool, request: httpcore.Response(200, content=b"mocked")
            monkeypatch.setattr("httpcore.ConnectionPool.handle_request", handle)
            monkeypatch.setattr("httpcore.AsyncConnectionPool.handle_async_request", ahandle)

        def test_it(mocked):
            assert httpx.post("https://api.openai.com/v1/chat/completions", json={}).text == "mocked"
            async def ask():
                async with httpx.AsyncClient() as client:
                    return (await client.get("https://api.openai.com/v1/models")).text
            assert asyncio.run(ask()) == "mocked"
        """
    )
    assert outcomes(alone()) == {"passed": 1}


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_replies_are_recorded_as_what_they_say(project, alone, server, coding):
    said = json.dumps({"choices": [{"message": {"content": "red"}}]}).encode()
    packed = gzip.compress(said) if coding == "gzip" else zlib.compress(said)
    headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
    server._script = lambda body: Reply(body=packed, headers=headers)
    project.test(
        """
        import asyncio, json, os
        import aiohttp, httpx, requests, urllib3

        URL = os.environ["TESTED_URL"] + "/chat/completions"

        def test_it():
            async def ask():
                async with aiohttp.ClientSession() as session, session.post(URL, json={"n": 1}) as reply:
                    return await reply.json()
            replies = [
                asyncio.run(ask()),
                httpx.post(URL, json={"n": 2}).json(),
                requests.post(URL, json={"n": 3}).json(),
                urllib3.request("POST", URL, json={"n": 4}, headers={"Connection": "close"}).json(),
            ]
            assert [reply["choices"][0]["message"]["content"] for reply in replies] == ["red"] * 4
        """
    )
    assert outcomes(alone("--dspex-record=new")) == {"passed": 1}
    assert [entry["response"]["body"] for entry in project.entries("test_it")] == [json.loads(said)] * 4
    server.__exit__()
    assert outcomes(alone()) == {"passed": 1}


def test_calls_of_other_libraries_count_for_built_in_scores(project, alone, server):
    project.rows("red", "blue")
    project.test(
        source(
            "httpx",
            """
            @program
            async def answer(question):
                return await astream(question) + await aask(question)

            @pytest.mark.dspex_data("data.jsonl", inputs=["question"], program="answer")
            @pytest.mark.dspex_gate("calls", min=2, max=2)
            @pytest.mark.dspex_gate("tokens", min=10)
            def test_it(prediction):
                assert prediction
            """,
        )
    )
    for option in ("--dspex-record=new", "--dspex-record=none"):
        assert outcomes(alone(option)) == {"passed": 5}  # three verdicts among them


def test_an_import_of_litellm_in_a_session_downloads_no_prices(pytester, alone, monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "")  # restored in the end
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP")
    pytester.makepyfile(
        litellm="import os\nPRICES = os.environ.get('LITELLM_LOCAL_MODEL_COST_MAP')",
        test_it="""
            import sys
            import pytest

            @pytest.fixture(autouse=True)
            def alone(monkeypatch):
                for name in [name for name in sys.modules if name.partition(".")[0] == "litellm"]:
                    monkeypatch.delitem(sys.modules, name)
                monkeypatch.syspath_prepend(".")

            def test_it():
                import litellm

                assert litellm.PRICES == "True"
        """,
    )
    assert outcomes(alone()) == {"passed": 1}
