"""A callback is told the same calls, in the same order and nesting, by DSPy and by ours."""

import importlib

import user_code

HANDLERS = ("module", "lm", "adapter_format", "adapter_parse", "evaluate", "compile")


def recording(base, active_call_id):
    """Make a callback that keeps `(handler, whose call, how deep, what it was given)`."""

    class Recording(base):
        def __init__(self):
            self.told, self.open = [], [None]

        def begin(self, handler, call_id, instance, inputs):
            assert active_call_id.get() == self.open[-1]
            self.told.append((handler, type(instance).__name__, len(self.open), set(inputs)))
            self.open.append(call_id)

        def end(self, handler, call_id, outputs, exception):
            assert call_id == self.open.pop()
            assert active_call_id.get() == self.open[-1]
            self.told.append((handler, type(outputs).__name__, exception))

    for name in HANDLERS:
        setattr(Recording, f"on_{name}_start", begin_of(name))
        setattr(Recording, f"on_{name}_end", end_of(name))
    return Recording()


def begin_of(name):
    def begin(self, call_id, instance, inputs):
        self.begin(name, call_id, instance, inputs)

    return begin


def end_of(name):
    def end(self, call_id, outputs, exception=None):
        self.end(name, call_id, outputs, exception)

    return end


def run(dspy, dummy_lm, callback):
    """Call, evaluate and compile a program under a callback."""
    answers = [{"reasoning": "r", "urgent": "True", "tags": "[]"}] * 2
    rows = [dspy.Example(message="m", urgent=True, tags=[]).with_inputs("message")]
    program = user_code.careful_classifier(dspy)
    with dspy.context(lm=dummy_lm(answers), adapter=dspy.ChatAdapter(), callbacks=[callback]):
        program(message="Now!")
        dspy.Evaluate(devset=rows, metric=lambda example, prediction, trace=None: True, num_threads=1)(program)
        dspy.LabeledFewShot(k=1).compile(program, trainset=rows)


def test_the_same_calls_are_told(ours, real):
    callbacks = importlib.import_module("dspex_core.telemetry.callbacks")
    mine = recording(ours.BaseCallback, callbacks.ACTIVE_CALL_ID)
    run(ours, ours.DummyLM, mine)
    theirs_callbacks = importlib.import_module("dspy.utils.callback")
    theirs = recording(theirs_callbacks.BaseCallback, theirs_callbacks.ACTIVE_CALL_ID)
    run(real, real.utils.DummyLM, theirs)

    assert len(mine.told) == 24
    assert [told[:3] for told in mine.told] == [told[:3] for told in theirs.told]
    for (handler, *_, given), (*_, wanted) in zip(mine.told, theirs.told, strict=True):
        if handler in ("module", "adapter_format", "adapter_parse"):
            assert given == wanted
