"""The router of an embedded model, in front of small HTTP servers that note what they are asked."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3

from dspex_core.lm.embedded.router import Router


class Backend:
    """A server that answers with its own number, when it may."""

    def __init__(self, number):
        self.asked, self.may_answer, self.gone = [], threading.Event(), threading.Event()
        self.may_answer.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append(asked)
                while not outer.may_answer.wait(0.02):
                    self.connection.settimeout(0.01)
                    try:
                        if self.connection.recv(1) == b"":
                            outer.gone.set()
                            return
                    except TimeoutError:
                        continue
                body = json.dumps({"server": number}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream" if asked.get("stream") else "application/json")
                self.end_headers()
                self.wfile.write(b"data: " * bool(asked.get("stream")) + body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def backends():
    made = [Backend(number) for number in range(3)]
    yield made
    for backend in made:
        backend.may_answer.set()
        backend.http.shutdown()
        backend.http.server_close()


@pytest.fixture
def threads():
    with ThreadPoolExecutor(8) as pool:
        yield pool


def ask(router, prompt, **more):
    body = {"messages": prompt, **more}
    return urllib3.request("POST", f"{router.address}/v1/chat/completions", json=body, timeout=30, retries=False)


def router_of(backends, limit=3):
    more = iter(backends[1:])
    return Router(backends[0].url, start=lambda: next(more).url, limit=limit)


def wait_until(condition):
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come about within 5 s")


def test_calls_one_after_another_need_one_server(backends):
    router = router_of(backends)
    assert [ask(router, f"p{n}").json() for n in range(4)] == [{"server": 0}] * 4


def test_a_call_that_waits_has_another_server_started_up_to_the_limit(backends, threads):
    for backend in backends:
        backend.may_answer.clear()
    router = router_of(backends, limit=2)
    calls = [threads.submit(ask, router, f"p{n}") for n in range(5)]
    wait_until(lambda: backends[0].asked and backends[1].asked)
    for backend in backends:
        backend.may_answer.set()
    assert all(call.result().status == 200 for call in calls)
    assert len(backends[0].asked) + len(backends[1].asked) == 5
    assert backends[2].asked == []


def test_a_call_goes_to_the_free_server_that_holds_the_beginning_of_its_prompt(backends, threads):
    backends[0].may_answer.clear()
    router = router_of(backends, limit=2)
    first = threads.submit(ask, router, "apples are red")
    wait_until(lambda: backends[0].asked)
    assert ask(router, "bananas are yellow").json() == {"server": 1}
    backends[0].may_answer.set()
    first.result()
    served = [
        ask(router, prompt).json()["server"] for prompt in ["apples are green", "bananas are ripe", "apples fall"]
    ]
    assert served == [0, 1, 0]


def test_a_busy_server_is_not_waited_for_when_another_is_free(backends, threads):
    backends[0].may_answer.clear()
    router = router_of(backends, limit=2)
    first = threads.submit(ask, router, "apples are red")
    wait_until(lambda: backends[0].asked)
    assert ask(router, "apples are green").json() == {"server": 1}
    backends[0].may_answer.set()
    assert first.result().json() == {"server": 0}


def test_a_server_that_does_not_start_leaves_the_others_at_work(backends, threads, caplog):
    def fail():
        raise RuntimeError("no memory left")

    router = Router(backends[0].url, start=fail, limit=3)
    calls = [threads.submit(ask, router, f"p{n}") for n in range(6)]
    assert [call.result().json() for call in calls] == [{"server": 0}] * 6
    assert caplog.text.count("no memory left") <= 1  # it is not tried again


def test_a_caller_who_goes_away_ends_the_servers_work(backends):
    backends[0].may_answer.clear()
    router = router_of(backends, limit=1)
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        urllib3.request("POST", f"{router.address}/v1/x", json={"messages": "p"}, timeout=0.3, retries=False)
    assert backends[0].gone.wait(5)
    backends[0].may_answer.set()
    assert ask(router, "q").json() == {"server": 0}  # its turn has ended, too


def test_a_reply_in_pieces_is_passed_on_as_it_is(backends):
    reply = ask(router_of(backends), "p", stream=True)
    assert reply.headers["Content-Type"] == "text/event-stream"
    assert reply.data == b'data: {"server": 0}'


def test_a_server_that_is_gone_is_an_error_that_may_pass(backends):
    backends[0].http.shutdown()
    backends[0].http.server_close()
    reply = ask(router_of(backends), "p")
    assert reply.status == 503
    assert "did not answer" in reply.json()["error"]["message"]


def test_after_its_end_it_refuses_calls(backends):
    router = router_of(backends)
    router.close()
    assert ask(router, "p").status == 503
    assert backends[0].asked == []
