"""Callbacks hear of a user's own methods and optimizers, as in DSPy."""

import asyncio
import subprocess
import sys

import pytest


@pytest.fixture(params=["real", "ours"])
def dspy(request):
    return request.getfixturevalue(request.param)


def recording(dspy):
    class Recording(dspy.utils.BaseCallback):
        def __init__(self):
            self.heard = []

        def on_module_start(self, call_id, instance, inputs):
            self.heard.append(("start", call_id, inputs))

        def on_module_end(self, call_id, outputs, exception=None):
            self.heard.append(("end", call_id, outputs if exception is None else type(exception).__name__))

        def on_compile_start(self, call_id, instance, inputs):
            self.heard.append(("compile", type(instance).__name__, sorted(inputs)))

        def on_compile_end(self, call_id, outputs, exception=None):
            self.heard.append(("compiled", outputs, exception))

    return Recording()


def target(dspy):
    with_callbacks = dspy.utils.callback.with_callbacks

    class Target:
        @with_callbacks
        def add(self, x, y=2, *more, **named):
            if x is None:
                raise ValueError("x")
            return x + y

        @with_callbacks
        async def aadd(self, x, wait=0.0):
            await asyncio.sleep(wait)
            return x

    return Target()


def test_a_sync_method(dspy):
    callback = recording(dspy)
    with dspy.context(callbacks=[callback]):
        assert target(dspy).add(1, 2, 3, z=4) == 3
    [(start, first, inputs), (end, second, outputs)] = callback.heard

    assert (start, end, first, outputs) == ("start", "end", second, 3)
    assert inputs == {"x": 1, "y": 2, "more": (3,), "named": {"z": 4}}


def test_a_method_that_raises(dspy):
    callback = recording(dspy)
    with dspy.context(callbacks=[callback]), pytest.raises(ValueError, match="x"):
        target(dspy).add(None)

    assert callback.heard[1][2] == "ValueError"


def test_an_async_method_and_one_that_is_cancelled(dspy):
    callback = recording(dspy)

    async def main():
        with dspy.context(callbacks=[callback]):
            assert await target(dspy).aadd(1) == 1
            task = asyncio.create_task(target(dspy).aadd(2, wait=10))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())

    assert [entry[2] for entry in callback.heard if entry[0] == "end"] == [1, "CancelledError"]


def test_callbacks_of_the_instance(dspy):
    callback, instance = recording(dspy), target(dspy)
    instance.callbacks = [callback]
    instance.add(1)

    assert [entry[0] for entry in callback.heard] == ["start", "end"]


def test_parents_under_parallel(dspy):
    parents = []

    class Parents(dspy.utils.BaseCallback):
        def on_module_start(self, call_id, instance, inputs):
            parents.append((type(instance).__name__, call_id, dspy.utils.callback.ACTIVE_CALL_ID.get()))

    class Inner(dspy.Module):
        def forward(self, number):
            return dspy.Prediction(number=number)

    class Outer(dspy.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self):
            return dspy.Parallel(num_threads=2, disable_progress_bar=True)(
                [(self.inner, {"number": n}) for n in (1, 2)]
            )

    with dspy.context(callbacks=[Parents()]):
        Outer()()

    above = {call_id: parent for _, call_id, parent in parents}
    [outer] = [call_id for name, call_id, _ in parents if name == "Outer"]
    inner = [parent for name, _, parent in parents if name == "Inner"]
    assert len(inner) == 2
    assert all(outer in (parent, above.get(parent)) for parent in inner)  # ours has the `Parallel` between them


def optimizers(dspy):
    class Own(dspy.teleprompt.teleprompt.Teleprompter):
        def compile(self, student, *, trainset, valset=None, note="n"):
            return student

    class Inheriting(Own):
        pass

    class Calling(Own):
        def compile(self, student, *, trainset, valset=None, note="n"):
            return super().compile(student, trainset=trainset)

    return [Own(), Inheriting(), Calling()]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_optimizers_of_a_user(dspy, which):
    callback, optimizer = recording(dspy), optimizers(dspy)[which]
    student = dspy.Predict("question -> answer")
    with dspy.context(callbacks=[callback]):
        assert optimizer.compile(student, trainset=[]) is student

    starts = [entry for entry in callback.heard if entry[0] == "compile"]
    assert starts[0] == ("compile", type(optimizer).__name__, ["note", "student", "trainset", "valset"])
    assert [entry for entry in callback.heard if entry[0] == "compiled"][-1] == ("compiled", student, None)


def test_an_optimizer_that_calls_its_base_is_heard_once(ours):
    callback = recording(ours)

    class Own(ours.LabeledFewShot):
        def compile(self, student, *, trainset, **options):
            return super().compile(student, trainset=trainset, **options)

    with ours.context(callbacks=[callback]):
        Own(k=1).compile(
            ours.Predict("question -> answer"),
            trainset=[ours.Example(question="q", answer="a").with_inputs("question")],
        )

    assert [entry[0] for entry in callback.heard] == ["compile", "compiled"]


PICKLED = """
import cloudpickle, {library} as dspy
from {library}.utils.callback import with_callbacks
class Target:
    @with_callbacks
    def add(self, x):
        return x + 1
assert cloudpickle.loads(cloudpickle.dumps(Target())).add(1) == 2
"""


@pytest.mark.parametrize("library", ["dspy", "dspex_core"])
def test_a_class_of_a_script_can_be_sent_to_a_worker(library, tmp_path, monkeypatch):
    monkeypatch.setenv("DSPY_CACHEDIR", str(tmp_path))
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    code = PICKLED.format(library=library)

    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_starting_and_ending_an_interpreter(ours):
    heard = []

    class Interpreters(ours.BaseCallback):
        def on_interpreter_startup_end(self, call_id, outputs, exception=None):
            heard.append("started")

        def on_interpreter_shutdown_end(self, call_id, outputs, exception=None):
            heard.append("ended")

    with ours.context(callbacks=[Interpreters()]):
        interpreter = ours.PythonInterpreter()
        interpreter.start()
        interpreter.shutdown()

    assert heard == ["started", "ended"]
