"""The cost of a replayed HTTP request by the size of its cassette, beside vcrpy's cassette that matches on the body.

Both replay through `httpx.Client`, without a server: the same requests, each once, in a process of its own. Of vcrpy, a
sample of the requests is enough, as each costs what its cassette's size makes it. CPU time of the process; the request
of httpx itself is a part of both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import findings
import httpx
from vcr import VCR
from vcr.request import Request

from dspex_core import context
from pytest_dspex.cassettes.exchange import HTTPReply, request_of
from pytest_dspex.cassettes.lm_recorder import CassetteRecorder
from pytest_dspex.cassettes.patching import install
from pytest_dspex.cassettes.store import CassetteStore

URL = "https://api.openai.com/v1/chat/completions"
BAR = 1.0  # milliseconds
FLAT = 2.0  # the most that 10,000 entries may cost, as a multiple of 10
SAMPLE = 40


def body(number: int) -> bytes:
    """Return a request of some 2 kB."""
    text = f"Decide what message {number} is about. " + "It is a long message. " * 80
    return json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}).encode()


def reply() -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "refund"}}
    return json.dumps({"id": "x", "object": "chat.completion", "model": "gpt-4o-mini", "choices": [choice]}).encode()


def timed(numbers: list[int]) -> float:
    """Return the median milliseconds of a request."""
    taken = []
    with httpx.Client() as client:
        for number in numbers:
            content = body(number)
            started = time.process_time()
            assert client.post(URL, content=content, headers={"Content-Type": "application/json"}).json()["choices"]
            taken.append((time.process_time() - started) * 1000)
    return statistics.median(taken)


def sampled(entries: int) -> list[int]:
    return [place * entries // SAMPLE for place in range(SAMPLE)] if entries > SAMPLE else list(range(entries))


def ours(entries: int, folder: Path) -> float:
    path = folder / f"ours-{entries}.jsonl"
    path.unlink(missing_ok=True)
    store = CassetteStore(path)
    recording = CassetteRecorder(store, case="", record="new")
    for number in range(entries):
        request = request_of("POST", URL, headers=[("content-type", "application/json")], body=body(number))
        assert recording.replay_http(request) is None
        recording.record_http(request, HTTPReply(200, {"content-type": "application/json"}, reply()))
    store.save()
    store = CassetteStore(path)
    len(store)  # reads it, once a session
    with context(recorder=CassetteRecorder(store, case="", record="none")):
        return timed(sampled(entries))


def theirs(entries: int, folder: Path) -> float:
    recorder = VCR(record_mode="none", match_on=["method", "uri", "body"])
    with recorder.use_cassette(str(folder / "theirs.yaml")) as cassette:
        headers = {"Content-Type": "application/json"}
        response = {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": ["application/json"]},
            "body": {"string": reply()},
        }
        cassette.data.extend((Request("POST", URL, body(number), headers), response) for number in range(entries))
        cassette.rewound = True
        return timed(sampled(entries))


def _finding(entries: int, ours_ms: float, peer: float | None) -> findings.Finding:
    ratio = None if peer is None else ours_ms / peer
    name = f"a replayed HTTP request, {entries:,} entries / vcrpy"
    return findings.Finding(name, ours_ms, "ms", peer, ratio, f"{BAR:g} ms", findings.verdict(ours_ms <= BAR))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1_000, 10_000])
    parser.add_argument("--vcrpy-up-to", type=int, default=1_000, help="it takes minutes for more")
    findings.add_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers = {size: theirs(size, folder) for size in arguments.sizes if size <= arguments.vcrpy_up_to}
        remove = install([])
        ours(1, folder)  # the first request imports the recorder
        found = {size: ours(size, folder) for size in arguments.sizes}
        remove()
    print(f"{'entries':>8} {'ours, ms':>9} {'vcrpy, ms':>10}")
    for size, milliseconds in found.items():
        print(f"{size:>8} {milliseconds:>9.3f} {format(peers[size], '10.3f') if size in peers else '-':>10}")
    worst, growth = max(found.values()), max(found.values()) / found[min(found)]
    print(f"a request: {worst:.3f} ms, bar {BAR} ms: {'met' if worst <= BAR else 'NOT MET'}")
    print(f"the largest cassette / the smallest: {growth:.2f}, bar {FLAT}: {'met' if growth <= FLAT else 'NOT MET'}")
    findings.write((_finding(size, found[size], peers.get(size)) for size in found), arguments)
    sys.exit(worst > BAR or growth > FLAT)


if __name__ == "__main__":
    main()
