"""Programs in worker processes: what happens to calls and workers when one fails."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import served_programs

from dspex_core.errors import (
    BadInputError,
    BusyError,
    ConfigurationError,
    ProgramFailedError,
    ShuttingDownError,
    TimedOutError,
    WorkerCrashedError,
)
from dspex_core.serve.contract import contract_of, describe
from dspex_core.serve.in_process import ProgramRunner
from dspex_core.serve.workers.jobs import Job
from dspex_core.serve.workers.options import WorkerOptions
from dspex_core.serve.workers.setup import WorkerSetup
from dspex_core.serve.workers.supervisor import Supervisor

PATIENCE = 60.0  # seconds: no test waits for it


def supervisor(factory="obedient", **options):
    options = {"workers": 1, "beat": 0.1, "grace": 1.0, "first_wait": 0.01, **options}
    program = describe(served_programs.storyteller() if factory == "storyteller" else served_programs.obedient())
    return Supervisor(program, WorkerSetup(factory=f"served_programs:{factory}"), WorkerOptions(**options))


@asynccontextmanager
async def serving(factory="obedient", **options):
    backend = supervisor(factory, **options)
    await backend.start()
    try:
        yield backend
    finally:
        await backend.drain(0)


async def ask(backend, task, path="", timeout=PATIENCE):  # noqa: ASYNC109  a backend's
    return (await backend.call({"task": task, "path": str(path)}, timeout=timeout))["pid"]


async def until(condition):
    while not condition():  # noqa: ASYNC110  other processes set it
        await asyncio.sleep(0.02)


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[-1].startswith("Z")


def test_a_crash_fails_the_calls_of_its_worker_once_and_no_others(tmp_path):
    ends = {"exit": "status 7", "kill": "SIGKILL", "segfault": "SIGSEGV"}

    async def run():
        async with serving(workers=2, calls_at_once=1) as backend:
            await until(lambda: backend.state.ready == 2)
            other = asyncio.create_task(ask(backend, "wait", tmp_path / "other"))
            await until((tmp_path / "other").exists)
            for task, reason in ends.items():
                crashing = asyncio.create_task(ask(backend, task, tmp_path / task))
                waiting = asyncio.create_task(ask(backend, "ok", tmp_path / f"after {task}"))
                with pytest.raises(WorkerCrashedError) as caught:
                    await crashing
                assert reason in caught.value.details["reason"]
                new = await waiting
            (tmp_path / "other.go").touch()
            assert await other != new
            return backend.state

    state = asyncio.run(run())
    assert (state.started, state.failed) == (5, 3)
    for task in ends:
        assert (tmp_path / task).read_text() == f"{task}\n"
        assert (tmp_path / f"after {task}").read_text() == "ok\n"


def test_calls_are_refused_when_enough_wait_and_time_out_in_the_line_without_being_begun(tmp_path):
    async def run():
        async with serving(calls_at_once=1, waiting=1) as backend:
            running = asyncio.create_task(ask(backend, "wait", tmp_path / "first"))
            await until((tmp_path / "first").exists)
            waiting = asyncio.create_task(ask(backend, "ok", tmp_path / "second", timeout=0.1))
            await until(lambda: backend.state.waiting == 1)
            with pytest.raises(BusyError):
                await ask(backend, "ok")
            with pytest.raises(TimedOutError) as late:
                await waiting
            (tmp_path / "first.go").touch()
            assert await running == await ask(backend, "ok")
            return late.value

    assert asyncio.run(run()).details == {"begun": False}
    assert not (tmp_path / "second").exists()


def test_a_cancelled_or_late_call_is_cancelled_in_its_worker_which_lives_on(tmp_path):
    async def run():
        async with serving(grace=PATIENCE) as backend:
            pid = await ask(backend, "ok")
            gone = asyncio.create_task(ask(backend, "wait", tmp_path / "gone"))
            await until((tmp_path / "gone").exists)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
            with pytest.raises(TimedOutError) as late:
                await ask(backend, "wait", tmp_path / "late", timeout=0.3)
            await until(lambda: backend.state.running == 0)
            assert await ask(backend, "ok") == pid
            return late.value

    assert asyncio.run(run()).details == {"begun": True}
    assert (tmp_path / "gone.cancelled").exists()
    assert (tmp_path / "late.cancelled").exists()


def test_a_worker_that_cannot_stop_a_call_is_replaced_while_its_other_calls_go_on(tmp_path):
    async def run():
        async with serving(grace=0.3) as backend:
            other = asyncio.create_task(ask(backend, "wait", tmp_path / "other"))
            await until((tmp_path / "other").exists)
            with pytest.raises(TimedOutError):
                await ask(backend, "thread", timeout=0.1)
            await until(lambda: backend.state.started == 2 and backend.ready())
            new = await ask(backend, "ok")
            (tmp_path / "other.go").touch()
            old = await other
            await until(lambda: is_gone(old))
            return old, new, backend.state

    old, new, state = asyncio.run(run())
    assert old != new
    assert state.failed == 0


def test_a_worker_whose_event_loop_is_blocked_is_replaced_and_says_where(caplog):
    async def run():
        async with serving(grace=0.5) as backend:
            with pytest.raises(TimedOutError):
                await ask(backend, "block", timeout=0.1)
            await ask(backend, "ok")
            return backend.state

    assert asyncio.run(run()).failed == 1
    assert "has not answered for" in caplog.text
    assert "served_programs.py" in caplog.text


def test_calls_that_a_lost_worker_had_not_begun_are_answered_by_another_one(tmp_path):
    async def run():
        async with serving(grace=PATIENCE, beat=600, hang=601) as backend:
            blocked = asyncio.create_task(ask(backend, "block", tmp_path / "block"))
            await until((tmp_path / "block").exists)
            behind = [asyncio.create_task(ask(backend, "ok", tmp_path / f"ok {number}")) for number in range(3)]
            await until(lambda: backend.state.running == 4)
            [old] = backend.state.pids
            os.kill(old, signal.SIGKILL)
            with pytest.raises(WorkerCrashedError):
                await blocked
            return old, await asyncio.gather(*behind)

    old, found = asyncio.run(run())
    assert old not in found
    assert [(tmp_path / f"ok {number}").read_text() for number in range(3)] == ["ok\n"] * 3


def test_calls_that_wait_behind_a_blocked_event_loop_are_taken_back_and_run_once(tmp_path):
    async def run():
        async with serving(grace=PATIENCE, hang=PATIENCE) as backend:
            held = asyncio.create_task(ask(backend, "hold", tmp_path / "hold"))
            behind = [asyncio.create_task(ask(backend, "ok", tmp_path / f"ok {number}")) for number in range(3)]
            await asyncio.sleep(0)
            assert backend.state.running == 4
            await until(lambda: backend.state.waiting == 3)
            (tmp_path / "hold.go").touch()
            return await held, await asyncio.gather(*behind)

    pid, found = asyncio.run(run())
    assert found == [pid] * 3
    assert [(tmp_path / f"ok {number}").read_text() for number in range(3)] == ["ok\n"] * 3


def test_a_worker_without_signs_of_life_is_replaced_before_its_calls_are_late():
    async def run():
        async with serving(hang=1.0) as backend:
            with pytest.raises(WorkerCrashedError) as caught:
                await ask(backend, "block")
            return caught.value

    assert "has not answered for" in asyncio.run(run()).details["reason"]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_worker_that_grows_beyond_its_memory_is_replaced():
    async def run():
        async with serving(memory=200_000_000) as backend:
            with pytest.raises(WorkerCrashedError) as caught:
                await ask(backend, "eat")
            await ask(backend, "ok")
            return caught.value

    assert "limit of 200000000" in asyncio.run(run()).details["reason"]


def test_errors_of_the_program_are_errors_of_the_call_alone_and_its_output_goes_to_the_log(caplog):
    caplog.set_level("INFO", "dspex.serve")

    async def run():
        async with serving() as backend:
            pid = await ask(backend, "print")
            with pytest.raises(ProgramFailedError, match="ValueError") as raised:
                await ask(backend, "raise")
            with pytest.raises(ProgramFailedError, match="SystemExit"):
                await ask(backend, "sys.exit")
            with pytest.raises(BadInputError):
                await backend.call({"task": 3}, timeout=PATIENCE)
            with pytest.raises(BadInputError):
                await backend.call({"task": {1, 2}}, timeout=PATIENCE)
            assert await ask(backend, "ok") == pid
            await until(lambda: "printed by the program" in caplog.text)
            return raised.value

    assert "sk-" not in str(asyncio.run(run()))
    assert [record.levelname for record in caplog.records if "failed: ValueError" in record.message] == ["WARNING"]
    assert "sk-" not in caplog.text


def test_a_worker_is_replaced_after_its_calls_without_a_failure():
    async def run():
        async with serving(calls=2) as backend:
            return [await ask(backend, "ok") for _ in range(3)], backend.state

    (first, second, third), state = asyncio.run(run())
    assert first == second != third
    assert (state.started, state.failed) == (2, 0)


def test_a_worker_that_replaces_another_one_runs_the_artifact_of_the_services_start(tmp_path):
    file = tmp_path / "state.json"
    program = served_programs.quoting()
    program.signature = program.signature.with_instructions("Be old.")
    program.save(file)
    setup = WorkerSetup(program=str(file), factory="served_programs:quoting")

    async def run():
        backend = Supervisor(describe(program), setup, WorkerOptions(workers=1, first_wait=0.01))
        await backend.start()
        [old] = backend.state.pids
        file.write_text("damaged")
        os.kill(old, signal.SIGKILL)
        await until(lambda: backend.state.started == 2)
        try:
            return await backend.call({"topic": "x"}, timeout=PATIENCE)
        finally:
            await backend.drain(PATIENCE)

    assert asyncio.run(run()) == {"story": "old"}


@pytest.mark.parametrize(
    ("factory", "tries", "words"),
    [("crashing", 2, "exited with status 9"), ("refusing", 1, "ConfigurationError: there is no index")],
)
def test_workers_that_cannot_start_say_why_without_credentials(factory, tries, words, caplog):
    async def run():
        backend = supervisor(factory, start_tries=2)
        with pytest.raises(WorkerCrashedError) as caught:
            await backend.start()
        assert not backend.ready()
        with pytest.raises(BusyError):
            await ask(backend, "ok")
        return str(caught.value), backend.state

    message, state = asyncio.run(run())
    assert words in message
    assert "the key [secret]" in message
    assert state.started == tries
    assert "sk-" not in message + caplog.text


def test_draining_begins_no_call_and_ends_those_under_way_and_then_the_workers(tmp_path):
    async def run():
        backend = supervisor()
        await backend.start()
        running = asyncio.create_task(ask(backend, "wait", tmp_path / "running"))
        await until((tmp_path / "running").exists)
        draining = asyncio.create_task(backend.drain(PATIENCE))
        await until(lambda: not backend.ready())
        with pytest.raises(ShuttingDownError):
            await ask(backend, "ok")
        (tmp_path / "running.go").touch()
        pid = await running
        await draining
        return pid, backend.state

    pid, state = asyncio.run(run())
    assert is_gone(pid)
    assert (state.ready, state.running, state.failed) == (0, 0, 0)


def test_draining_stops_what_does_not_end_in_time(tmp_path):
    async def run():
        backend = supervisor()
        await backend.start()
        [pid] = backend.state.pids
        stuck = asyncio.create_task(ask(backend, "block", tmp_path / "stuck"))
        await until((tmp_path / "stuck").exists)
        await backend.drain(0.1)
        with pytest.raises(WorkerCrashedError, match="before it answered"):
            await stuck
        return pid

    assert is_gone(asyncio.run(run()))


@pytest.mark.parametrize("turns", [1, 3, 30])
def test_a_service_that_ends_while_its_workers_start_leaves_none(turns):
    async def run():
        backend = supervisor()
        starting = asyncio.create_task(backend.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        await backend.drain(PATIENCE)
        with pytest.raises(ShuttingDownError):
            await starting
        return backend.state

    assert asyncio.run(run()).ready == 0


_SERVICE = """
import asyncio, sys
from dspex_core.serve.contract import describe
from dspex_core.serve.workers.options import WorkerOptions
from dspex_core.serve.workers.setup import WorkerSetup
from dspex_core.serve.workers.supervisor import Supervisor
import served_programs

async def serve():
    setup = WorkerSetup(factory="served_programs:obedient")
    backend = Supervisor(describe(served_programs.obedient()), setup, WorkerOptions(workers=1))
    await backend.start()
    print(*backend.state.pids, flush=True)
    await backend.call({"task": "block"}, timeout=600)

asyncio.run(serve())
"""


def test_workers_end_with_a_service_that_is_killed_even_while_they_are_blocked():
    folder = str(Path(served_programs.__file__).parent)
    service = subprocess.Popen(
        [sys.executable, "-c", _SERVICE], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": folder}
    )
    with service:
        pid = int(service.stdout.readline())
        service.send_signal(signal.SIGKILL)
    asyncio.run(until(lambda: is_gone(pid)))


def test_pieces_come_from_the_worker_in_order():
    async def run():
        pieces = []
        async with serving("storyteller") as backend:
            outputs = await backend.call({"topic": "x"}, timeout=PATIENCE, on_chunk=pieces.append)
        return pieces, outputs

    pieces, outputs = asyncio.run(run())
    assert "".join(piece.delta for piece in pieces) == outputs["story"]
    assert len(outputs["story"].split()) == 400
    assert [piece.is_last for piece in pieces[-1:]] == [True]


def test_pieces_for_a_slow_reader_grow_together():
    class SlowService:
        def __init__(self):
            self.sent = []

        def send(self, message):
            self.sent.append(message)

        async def flush(self):
            if len(self.sent) > 1:  # the socket never has room again
                await asyncio.Event().wait()

    async def run():
        service, program = SlowService(), served_programs.storyteller()
        job, ended = Job(1, ProgramRunner(program, contract_of(program)), service), asyncio.Event()
        job.begin({"inputs": {"topic": "x"}, "streams": True, "trace": {}, "until": None}, ended.set)
        await ended.wait()
        return service.sent

    begun, *pieces, end = asyncio.run(run())
    assert begun["kind"] == "begun"
    assert len(pieces) <= 3
    words = "".join(piece[2] for message in pieces for piece in message["pieces"])
    assert words == end["outputs"]["story"]


@pytest.mark.parametrize(
    "options",
    [{"workers": 0}, {"calls": 0}, {"beat": 0}, {"beat": "1"}, {"hang": 0.5}, {"waiting": -1}, {"waiting": 1.5}],
)
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        WorkerOptions(**options)


@pytest.mark.parametrize(
    ("setup", "options"),
    [
        (None, None),
        ({}, None),
        (WorkerSetup(), {"workers": 1}),
        *(
            (WorkerSetup(**part), None)
            for part in (
                {"lm": object()},
                {"program": 3},
                {"factory": 3},
                {"name": []},
                {"signature": served_programs.Obedient},
                {"lm_options": 3},
                {"lm_options": {"temperature": object()}},
                {"limits": 3},
                {"limits": {"dollars": 1}},
            )
        ),
    ],
)
def test_a_setup_that_cannot_be_sent_is_refused_at_once(setup, options):
    with pytest.raises(ConfigurationError, match=r"WorkerSetup|must be JSON data"):
        Supervisor(describe(served_programs.obedient()), setup, options)
