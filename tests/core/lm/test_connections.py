"""Whatever happens on a connection, an answer belongs to the question that was asked, or there is a typed error."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
import zlib

import pytest

from dspex_core import LM, Budget, context
from dspex_core.errors import LMError, LMResponseError, LMServerError, LMTimeoutError, LMTransportError

INTERIM = [
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\nX-Progress: 10%\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 199 Whatever\r\n\r\n",
]


def completion(text):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"model": "m", "choices": [choice]}).encode()


def with_length(text):
    body = completion(text)
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def chunked(text):
    body = completion(text)
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:20], body[20:]))
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % pieces
    )


def until_closed(text):
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + completion(text)


class RawServer:
    """Gives each request to `answer(connection, question, number)`, which may send what it likes.

    `number` counts the requests of one connection from 1. A false return value closes the connection.
    """

    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        self._open = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError, ValueError):
            stream, number = connection.makefile("rb"), 0
            with stream:
                while stream.readline():
                    length = 0
                    while line := stream.readline().strip():
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.partition(b":")[2])
                    question = json.loads(stream.read(length))["messages"][-1]["content"]
                    number += 1
                    self.asked.append(question)
                    if not self.answer(connection, question, number):
                        return


def lm_at(server, **arguments):
    return LM("openai/m", **{"api_base": server.address, "api_key": "k", "num_retries": 0, "cache": False, **arguments})


def outcome(result):
    return result.response.text if result.ok else type(result.error)


@pytest.fixture(params=["sync", "async"])
def ask_all(request):
    """Ask questions one after another, and return for each its answer or the type of the error."""
    if request.param == "sync":
        return lambda lm, questions: [outcome(lm.try_call(question)) for question in questions]

    async def ask(lm, questions):
        return [outcome(await lm.atry_call(question)) for question in questions]

    return lambda lm, questions: asyncio.run(ask(lm, questions))


def sending(*pieces, close=False):
    """Answer with pieces that are bytes, or functions from the question to some."""

    def answer(connection, question, _number):
        connection.sendall(b"".join(piece if isinstance(piece, bytes) else piece(question) for piece in pieces))
        return not close

    return answer


class TestRequests:
    def test_head_and_body_are_sent_in_one_piece(self):
        arrived = []

        def serve(listener):
            connection, _ = listener.accept()
            with connection:
                arrived.append(connection.recv(1 << 16))
                connection.sendall(with_length("answer"))

        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = threading.Thread(target=serve, args=(listener,))
            server.start()
            lm = LM("openai/m", api_base=f"http://127.0.0.1:{listener.getsockname()[1]}/v1", api_key="k", num_retries=0)
            result = lm.try_call("question", cache=False)
            server.join()
        head, _, body = arrived[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
        assert json.loads(body)["messages"] == [{"role": "user", "content": "question"}]
        assert result.response.text == "answer"


class TestInterimReplies:
    @pytest.mark.parametrize("interim", [*INTERIM, b"".join(INTERIM * 3)], ids=["100", "102", "103", "199", "many"])
    @pytest.mark.parametrize("reply", [with_length, chunked])
    def test_they_are_skipped(self, ask_all, interim, reply):
        with RawServer(sending(interim, reply)) as server:
            assert ask_all(lm_at(server), ["a", "b", "c"]) == ["a", "b", "c"]

    @pytest.mark.parametrize("reply", [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", INTERIM[1] * 200])
    def test_nothing_else_is_an_error(self, ask_all, reply):
        with RawServer(sending(reply, close=True)) as server:
            assert ask_all(lm_at(server), ["a"]) == [LMTransportError]


class TestCutReplies:
    @pytest.mark.parametrize("reply", [with_length, chunked, until_closed])
    def test_at_each_byte_there_is_the_right_answer_or_an_error(self, ask_all, reply):
        whole = len(reply("question"))

        def answer(connection, question, number):
            if question == "first":
                connection.sendall(with_length("first"))
                return True
            connection.sendall(reply("question")[: int(question)])
            return False

        questions = [str(cut) for cut in range(whole)]
        with RawServer(answer) as server:
            lm = lm_at(server)
            answers = ask_all(lm, [word for question in questions for word in ("first", question)])
        assert set(answers[::2]) == {"first"}
        wrong = [
            (cut, said)
            for cut, said in enumerate(answers[1::2])
            if not (said == "question" or (isinstance(said, type) and issubclass(said, LMError)))
        ]
        assert wrong == []
        head = reply("question").index(b"\r\n\r\n")
        assert all(issubclass(said, LMTransportError) for said in answers[1 : 2 * head : 2])

    def test_a_broken_connection_is_one_try_that_the_budget_counts(self, ask_all):
        def answer(connection, question, number):
            if number == 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            connection.sendall(with_length(question))
            return True

        with RawServer(answer) as server:
            with context(budget=Budget(calls=9)) as settings:
                assert ask_all(lm_at(server), ["a", "b", "c"]) == ["a", LMTransportError, "c"]
                assert settings.budget.spent["calls"] == len(server.asked) == 3
            with context(budget=Budget(calls=9)) as settings:
                assert ask_all(lm_at(server, num_retries=1), ["d", "e", "f"]) == ["d", "e", "f"]
                assert settings.budget.spent["calls"] == len(server.asked) - 3

    def test_a_connection_that_was_closed_while_idle_costs_no_try(self, ask_all):
        gone = threading.Event()

        def answer(connection, question, _number):
            connection.sendall(with_length(question))
            connection.shutdown(socket.SHUT_RDWR)
            gone.set()
            return False

        def ask_and_wait(lm, question):
            gone.clear()
            said = ask_all(lm, [question])
            gone.wait(5)
            return said

        with RawServer(answer) as server:
            lm = lm_at(server)
            assert [ask_and_wait(lm, question) for question in "abc"] == [["a"], ["b"], ["c"]]


def with_head(*headers, body):
    return lambda question: b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"", body(question)])


def lengths(*values):
    """A reply whose lengths are these, with `N` for the right one."""

    def reply(question):
        body = with_length(question).partition(b"\r\n\r\n")[2]
        right = str(len(body)).encode()
        given = [b"Content-Length: " + value.replace(b"N", right) for value in values]
        return b"\r\n".join([b"HTTP/1.1 200 OK", *given, b"", body])

    return reply


def in_chunks(question):
    return chunked(question).partition(b"\r\n\r\n")[2]


class TestWhereAReplyEnds:
    """The connection stays open, so that a call that does not find the end waits for its timeout."""

    @pytest.mark.parametrize(
        "reply",
        [
            lengths(b"N, 5"),
            lengths(b"N", b"5"),
            lengths(b"-1"),
            lengths(b"0xN"),
            lengths(b"1_N"),
            lengths(b""),
            lengths(b"9" * 5000),
            lengths(b"N", b"-N"),
            with_head(b"Transfer-Encoding: gzip, chunked", body=in_chunks),
            with_head(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked", body=in_chunks),
            with_head(b"not a header", b"Transfer-Encoding: chunked", body=in_chunks),
        ],
    )
    def test_an_unclear_end_is_an_error_at_once(self, reply):
        with RawServer(sending(reply)) as server:
            result = lm_at(server).try_call("a")
        assert type(result.error) is LMTransportError

    @pytest.mark.parametrize(
        "reply",
        [
            lengths(b" N\t"),
            with_head(b"transfer-encoding : CHUNKED", body=in_chunks),
            with_head(b"Transfer-Encoding: identity, chunked", body=in_chunks),
            with_head(b"X-A: 1\r\n  continued", b"Transfer-Encoding:\r\n chunked", body=in_chunks),
        ],
    )
    def test_odd_forms_of_a_clear_end_are_read(self, ask_all, reply):
        with RawServer(sending(reply)) as server:
            assert ask_all(lm_at(server), ["a", "b"]) == ["a", "b"]


class TestRepliesThatNobodyAskedFor:
    @pytest.mark.parametrize("extra", [b"\r\n", b"garbage", with_length("stranger"), with_length("s" * 20_000)[:-5]])
    def test_bytes_after_a_reply_reach_nobody(self, ask_all, extra):
        with RawServer(sending(with_length, extra)) as server:
            answers = ask_all(lm_at(server), ["a", "b", "c", "d"])
        assert all(said in (asked, LMTransportError) for said, asked in zip(answers, "abcd", strict=True))

    def test_a_second_reply_that_comes_later_reaches_nobody(self, ask_all):
        def answer(connection, question, _number):
            connection.sendall(with_length(question))
            time.sleep(0.02)
            with contextlib.suppress(OSError):
                connection.sendall(with_length("stranger"))
            sent.set()
            return True

        sent = threading.Event()
        with RawServer(answer) as server:
            lm = lm_at(server)

            def ask_and_wait(question):
                sent.clear()
                said = lm(question)[0]
                sent.wait(5)
                return said

            async def aask_and_wait(question):
                sent.clear()
                said = (await lm.acall(question))[0]
                sent.wait(5)  # while the loop stands still, so that the connection is not read from
                return said

            async def all_of_them():
                return [await aask_and_wait(question) for question in "abc"]

            assert [ask_and_wait(question) for question in "abc"] == ["a", "b", "c"]
            assert asyncio.run(all_of_them()) == ["a", "b", "c"]


class TestGivenUp:
    def test_a_cancelled_request_leaves_no_answer_behind(self):
        def answer(connection, question, _number):
            time.sleep(0.1 if question == "late" else 0)
            connection.sendall(with_length(question))
            return True

        async def ask(lm):
            await lm.acall("first")
            late = asyncio.create_task(lm.acall("late"))
            await asyncio.sleep(0.03)
            late.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await late
            return [(await lm.acall(question))[0] for question in "ab"]

        with RawServer(answer) as server:
            assert asyncio.run(ask(lm_at(server))) == ["a", "b"]

    def test_a_late_reply_reaches_nobody(self, ask_all):
        given_up = threading.Event()

        def answer(connection, question, _number):
            if question == "late":
                connection.sendall(with_length(question)[:100])
                given_up.wait()
                connection.sendall(with_length(question)[100:])
            else:
                connection.sendall(with_length(question))
                if question == "b":
                    given_up.set()
            return True

        with RawServer(answer) as server:
            lm = lm_at(server, timeout=1)
            assert ask_all(lm, ["a", "late", "b", "c"]) == ["a", LMTimeoutError, "b", "c"]


def packed(encoding, data):
    packer = zlib.compressobj(9, zlib.DEFLATED, {"gzip": 31, "deflate": 15, "deflate without a header": -15}[encoding])
    return packer.compress(data) + packer.flush()


class TestPackedReplies:
    """Nobody asked for them, and some servers send them all the same."""

    @staticmethod
    def reply(encoding, body, status=200):
        head = f"HTTP/1.1 {status} X\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
        return sending(head.encode() + body)

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "deflate without a header"])
    def test_they_are_unpacked(self, ask_all, encoding):
        with RawServer(self.reply(encoding.split()[0], packed(encoding, completion("fine")))) as server:
            assert ask_all(lm_at(server), ["a", "b"]) == ["fine", "fine"]

    def test_several_members_are_one_reply(self, ask_all):
        body = completion("fine")
        with RawServer(self.reply("gzip", packed("gzip", body[:9]) + packed("gzip", body[9:]))) as server:
            assert ask_all(lm_at(server), ["a"]) == ["fine"]

    @pytest.mark.parametrize("encoding", ["gzip", "deflate"])
    def test_few_bytes_do_not_become_gigabytes(self, ask_all, encoding, monkeypatch):
        monkeypatch.setattr("dspex_core.lm.engines.bodies.LARGEST", 1 << 20)
        with RawServer(self.reply(encoding, packed(encoding, b" " * (8 << 20)))) as server:
            assert ask_all(lm_at(server), ["a"]) == [LMResponseError]

    @pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "\xff"])
    def test_other_ways_of_packing_are_an_error(self, ask_all, encoding):
        head = f"HTTP/1.1 200 X\r\nContent-Encoding: {encoding}\r\nContent-Length: 2\r\n\r\n{{}}"
        with RawServer(sending(head.encode("latin-1"))) as server:
            assert ask_all(lm_at(server), ["a"]) == [LMResponseError]

    def test_an_error_of_the_provider_stays_one(self, ask_all):
        with RawServer(self.reply("br", b"xx", status=503)) as server:
            assert ask_all(lm_at(server), ["a"]) == [LMServerError]

    @pytest.mark.parametrize(
        ("damage", "error"), [(lambda body: body[:-9], LMTransportError), (lambda _: b"no gzip", LMResponseError)]
    )
    def test_damage_is_an_error(self, ask_all, damage, error):
        with RawServer(self.reply("gzip", damage(packed("gzip", completion("fine"))))) as server:
            assert ask_all(lm_at(server), ["a"]) == [error]


class TestLimits:
    def test_a_head_that_trickles_does_not_outlast_the_timeout(self, ask_all):
        def answer(connection, question, _number):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Pad: ")
            while True:  # until the client leaves
                connection.sendall(b"a")
                time.sleep(0.05)

        with RawServer(answer) as server:
            assert ask_all(lm_at(server, timeout=0.3), ["a"]) == [LMTimeoutError]

    @pytest.mark.parametrize("line", [b"X-A: 1\r\n", b"X-A: " + b"a" * 100_000 + b"\r\n"])
    def test_endless_headers_are_an_error(self, ask_all, line):
        def answer(connection, _question, _number):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            with contextlib.suppress(OSError):
                for _ in range(10_000):
                    connection.sendall(line)
            return False

        with RawServer(answer) as server:
            assert issubclass(ask_all(lm_at(server), ["a"])[0], LMError)

    @pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked", b"Connection: close"])
    def test_an_endless_body_is_an_error(self, ask_all, framing, monkeypatch):
        monkeypatch.setattr("dspex_core.lm.engines.bodies.LARGEST", 1 << 20)

        def answer(connection, _question, _number):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s\r\n\r\n" % framing)
            piece = b"10000\r\n" + b"a" * 65536 + b"\r\n" if b"chunked" in framing else b"a" * 65536
            with contextlib.suppress(OSError):
                while True:
                    connection.sendall(piece)
            return False

        with RawServer(answer) as server:
            assert ask_all(lm_at(server), ["a"]) == [LMResponseError]
