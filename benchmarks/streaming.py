"""How much CPU a call that streams 500 chunks costs, beside the bare transport.

The bare transport is the HTTP client that the direct engine uses, reading the same events: it
decodes each and collects the texts. The server sends the events in one go, so that a read brings
hundreds (the worst case for what is done with each), or one by one, as models do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable

import server
import worker

Calls = Callable[[int], object]

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer k"}
TIMEOUT = 1800.0  # seconds; without one, the socket need not be asked before each read
BAR = 1.10


def dspex_sync(url: str) -> Calls:
    ask = _lm(url).request

    def calls(number: int) -> None:
        for _ in range(number):
            texts: list[object] = []
            ask(_request(texts))
            assert len(texts) == 500

    return calls


def dspex_async(url: str) -> Calls:
    ask = _lm(url).arequest
    runner = asyncio.Runner()

    async def many(number: int) -> None:
        for _ in range(number):
            texts: list[object] = []
            await ask(_request(texts))
            assert len(texts) == 500

    return lambda number: runner.run(many(number))


def streamify_sync(url: str) -> Calls:
    streamed = _streamed(url, async_streaming=False)

    def calls(number: int) -> None:
        for _ in range(number):
            assert len(list(streamed(question="What is the capital of France?"))) > 500

    return calls


def streamify_async(url: str) -> Calls:
    streamed = _streamed(url, async_streaming=True)
    runner = asyncio.Runner()

    async def many(number: int) -> None:
        for _ in range(number):
            assert len([item async for item in streamed(question="What is the capital of France?")]) > 500

    return lambda number: runner.run(many(number))


def _streamed(url: str, *, async_streaming: bool) -> Callable[..., object]:
    import dspex_core
    from dspex_core.streaming import StreamListener

    dspex_core.configure(lm=_lm(url))
    listeners = [StreamListener("answer")]
    program = dspex_core.Predict("question -> answer")
    return dspex_core.streamify(program, stream_listeners=listeners, async_streaming=async_streaming)


def bare_sync(url: str) -> Calls:
    import urllib3

    pool = urllib3.PoolManager()

    def calls(number: int) -> None:
        for _ in range(number):
            reply = pool.request(
                "POST", f"{url}/chat/completions", body=_body(), headers=HEADERS, timeout=TIMEOUT, preload_content=False
            )
            texts: list[str] = []
            rest = b""
            while data := reply.read1(1 << 16):
                rest = _collect(rest + data, texts)
            assert len(texts) == 500

    return calls


def bare_async(url: str) -> Calls:
    import aiohttp

    runner = asyncio.Runner()

    async def many(number: int) -> None:
        async with aiohttp.ClientSession() as client:
            for _ in range(number):
                texts: list[str] = []
                rest = b""
                async with client.post(f"{url}/chat/completions", data=_body(), headers=HEADERS) as reply:
                    async for data in reply.content.iter_any():
                        rest = _collect(rest + data, texts)
                assert len(texts) == 500

    return lambda number: runner.run(many(number))


def _lm(url: str):  # type: ignore[no-untyped-def]
    import dspex_core  # each client runs in a process of its own

    return dspex_core.LM("openai/x", api_base=url, api_key="k", cache=False, engine="direct")


def _request(texts: list[object]):  # type: ignore[no-untyped-def]
    from dspex_core.messages import LMRequest, Message

    return LMRequest((Message("user", MESSAGES[0]["content"]),), on_chunk=texts.append)


def _body() -> bytes:
    return json.dumps({"model": "x", "messages": MESSAGES, "stream": True}).encode()


def _collect(received: bytes, texts: list[str]) -> bytes:
    """Add the texts of the whole events to a list and return what is left over."""
    *events, rest = received.split(b"\n\n")
    for event in events:
        data = event[6:]
        if data != b"[DONE]":
            texts.append(json.loads(data)["choices"][0]["delta"]["content"])
    return rest


CLIENTS: dict[str, worker.Client] = {
    client.__name__: client
    for client in (dspex_sync, bare_sync, streamify_sync, dspex_async, bare_async, streamify_async)
}
MANNERS = {"in one go": 0.0, "one by one": 0.0002}  # seconds between the events


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    worker.add_options(parser, CLIENTS, rounds=11)
    options = parser.parse_args()
    if options.client:
        worker.work(CLIENTS[options.client], options.url, time.process_time)
        return
    from tabulate import tabulate

    rows = []
    for manner, gap in MANNERS.items():
        calls = 5 if gap else 50
        with server.running(gap) as url:
            seconds = worker.measure(list(CLIENTS), url, options, calls=calls, warm_up=5)
        for waiting in ("sync", "async"):
            ours, whole, peer = (1000 * seconds[f"{name}_{waiting}"] / calls for name in ("dspex", "streamify", "bare"))
            met = "yes" if ours / peer <= BAR else "no"
            rows.append((f"an LM's call, {waiting}, events {manner}", ours, peer, ours / peer, BAR, met))
            rows.append((f"streamify, {waiting}, events {manner}", whole, peer, whole / peer))
    print(tabulate(rows, ("500 chunks", "ours, ms", "bare, ms", "ratio", "bar", "met"), floatfmt=".3f"))


if __name__ == "__main__":
    main()
