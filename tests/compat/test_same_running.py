"""Callbacks, streams, threads, event loops and copies in other processes, run with either library."""

import asyncio
import contextlib
import pickle

import cloudpickle
import pytest
from both import asking, dummy, in_real, module, uses

use, USES = uses()


@use
def callbacks_of_all_kinds(dspy):
    heard = []

    class Heard(module(dspy, "utils.callback").BaseCallback):
        def on_module_start(self, call_id, instance, inputs):
            heard.append(("module", type(instance).__name__, sorted(inputs)))

        def on_module_end(self, call_id, outputs, exception):
            heard.append(("module end", type(outputs).__name__, exception is None))

        def on_lm_start(self, call_id, instance, inputs):
            heard.append(("lm",))

        def on_lm_end(self, call_id, outputs, exception):
            heard.append(("lm end", type(outputs).__name__))

        def on_adapter_format_start(self, call_id, instance, inputs):
            heard.append(("format", sorted(inputs)))

        def on_adapter_format_end(self, call_id, outputs, exception):
            heard.append(("format end", [message["role"] for message in outputs]))

        def on_adapter_parse_start(self, call_id, instance, inputs):
            heard.append(("parse", sorted(inputs)))

        def on_adapter_parse_end(self, call_id, outputs, exception):
            heard.append(("parse end", outputs))

    with asking(dspy, [{"reasoning": "r", "answer": "x"}], callbacks=[Heard()]):
        dspy.ChainOfThought("q -> answer")(q="?")
    return heard


@use
def callbacks_of_a_tool(dspy):
    heard = []

    class Heard(module(dspy, "utils.callback").BaseCallback):
        def on_tool_start(self, call_id, instance, inputs):
            heard.append((instance.name, inputs))

        def on_tool_end(self, call_id, outputs, exception):
            heard.append((outputs, type(exception).__name__))

    def double(x: int) -> int:
        """Double it."""
        return 2 * x

    with dspy.context(callbacks=[Heard()]):
        dspy.Tool(double)(x=3)
        with contextlib.suppress(Exception):
            dspy.Tool(lambda x: 1 / 0, name="fails")(x=3)
    return heard


@use
def a_program_pickled(dspy):
    class Greet(dspy.Module):
        def __init__(self):
            super().__init__()
            self.ask = dspy.Predict("q -> answer")

        def forward(self, q):
            return self.ask(q=q)

    again = cloudpickle.loads(cloudpickle.dumps(Greet()))
    with asking(dspy, [{"answer": "x"}]):
        return again(q="?").answer


@use
def values_pickled(dspy):
    values = [
        dspy.Example(q="1", a=2).with_inputs("q"),
        dspy.Prediction(a=1),
        dspy.Image("https://a.org/b.png"),
        dspy.History(messages=[{"q": "1"}]),
        dspy.Predict("q -> a"),
        dspy.Signature("q -> a: int"),
        dspy.LM("openai/x", api_key="k"),
    ]
    return [type(pickle.loads(cloudpickle.dumps(value))).__name__ for value in values[:5]], pickle.loads(
        cloudpickle.dumps(values[0])
    ).inputs().toDict()


@use
def a_streamed_program(dspy):
    program = dspy.streamify(
        dspy.Predict("q -> answer"),
        stream_listeners=[dspy.streaming.StreamListener(signature_field_name="answer")],
    )

    async def collect():
        with dspy.context(lm=dummy(dspy, [{"answer": "to get to the other side"}]), adapter=dspy.ChatAdapter()):
            return [item async for item in program(q="why?")]

    items = asyncio.run(collect())
    return items[-1].answer, isinstance(items[-1], dspy.Prediction)


@use
def statuses_of_a_program(dspy):
    class Provider(dspy.streaming.StatusMessageProvider):
        def module_start_status_message(self, instance, inputs):
            return f"running {type(instance).__name__}"

        def module_end_status_message(self, outputs):
            return f"done {sorted(outputs.keys())}"

        def tool_start_status_message(self, instance, inputs):
            return f"calling {instance.name} {inputs}"

        def tool_end_status_message(self, outputs):
            return f"got {outputs}"

        def lm_start_status_message(self, instance, inputs):
            return None

    class Program(dspy.Module):
        def __init__(self):
            super().__init__()
            self.tool = dspy.Tool(lambda x: 2 * x, name="double")
            self.ask = dspy.Predict("q, number: int -> answer")

        def forward(self, q):
            return self.ask(q=q, number=self.tool(x=4))

    program = dspy.streamify(Program(), status_message_provider=Provider())

    async def collect():
        with dspy.context(lm=dummy(dspy, [{"answer": "x"}]), adapter=dspy.ChatAdapter()):
            return [item async for item in program(q="why?")]

    return [item.message for item in asyncio.run(collect()) if isinstance(item, dspy.streaming.StatusMessage)]


@use
def a_program_that_overrides_call_streamed(dspy):
    class Program(dspy.Module):
        def __init__(self):
            super().__init__()
            self.ask = dspy.Predict("q -> answer")

        def __call__(self, q):
            found = super().__call__(q=q)
            return dspy.Prediction(answer=found.answer + "!")

        def forward(self, q):
            return self.ask(q=q)

    program = dspy.streamify(Program())

    async def collect():
        with dspy.context(lm=dummy(dspy, [{"answer": "x"}]), adapter=dspy.ChatAdapter()):
            return [item async for item in program(q="why?")]

    return asyncio.run(collect())[-1].answer


@use
def an_async_program_streamed(dspy):
    class Program(dspy.Module):
        def __init__(self):
            super().__init__()
            self.ask = dspy.Predict("q -> answer")

        async def aforward(self, q):
            return await self.ask.acall(q=q)

    program = dspy.streamify(Program(), is_async_program=True, include_final_prediction_in_output_stream=True)

    async def collect():
        with dspy.context(lm=dummy(dspy, [{"answer": "x"}]), adapter=dspy.ChatAdapter()):
            return [item async for item in program(q="why?")]

    return asyncio.run(collect())[-1].answer


@use
def an_async_endpoint(dspy):
    program = dspy.asyncify(dspy.ChainOfThought("question -> answer"))

    async def predict(question):
        try:
            result = await program(question=question)
            return {"status": "success", "data": result.toDict()}
        except Exception as error:  # noqa: BLE001  as a web service does
            return {"status": type(error).__name__}

    async def several():
        with dspy.context(lm=dummy(dspy, [{"reasoning": "r", "answer": "x"}] * 3), adapter=dspy.ChatAdapter()):
            return await asyncio.gather(*(predict(question=str(number)) for number in range(3)))

    return asyncio.run(several())


@use
def gathered_acalls(dspy):
    async def several():
        with dspy.context(lm=dummy(dspy, [{"answer": "x"}] * 3), adapter=dspy.ChatAdapter()):
            program = dspy.Predict("question -> answer")
            return [found.answer for found in await asyncio.gather(*(program.acall(question=str(n)) for n in range(3)))]

    return asyncio.run(several())


@use
def an_async_agent(dspy):
    async def weather(city: str) -> str:
        await asyncio.sleep(0)
        return f"sunny in {city}"

    replies = [
        {"next_thought": "t", "next_tool_name": "weather", "next_tool_args": '{"city": "Rome"}'},
        {"next_thought": "t", "next_tool_name": "finish", "next_tool_args": "{}"},
        {"reasoning": "r", "answer": "sunny"},
    ]

    async def run():
        with dspy.context(lm=dummy(dspy, replies), adapter=dspy.ChatAdapter()):
            return await dspy.ReAct("question -> answer", tools=[weather]).acall(question="?")

    found = asyncio.run(run())
    return found.answer, found.trajectory


@use
def a_syncified_program(dspy):
    class Program(dspy.Module):
        def __init__(self):
            super().__init__()
            self.ask = dspy.Predict("q -> answer")

        async def aforward(self, q):
            return await self.ask.acall(q=q)

    with asking(dspy, [{"answer": "x"}]):
        return dspy.syncify(Program())(q="?").answer


@use
def a_batch(dspy):
    rows = [dspy.Example(q=str(n)).with_inputs("q") for n in range(3)]
    with asking(dspy, [{"answer": "x"}] * 3):
        return [found.answer for found in dspy.Predict("q -> answer").batch(rows, num_threads=2)]


@use
def parallel_with_failures(dspy):
    def fails(q):
        raise ValueError(q)

    with asking(dspy, [{"answer": "x"}] * 3):
        run = dspy.Parallel(
            num_threads=2, return_failed_examples=True, disable_progress_bar=True, provide_traceback=False
        )
        results, failed, errors = run(
            [
                (dspy.Predict("q -> answer"), {"q": "1"}),
                (fails, {"q": "2"}),
                (dspy.Predict("q -> answer"), dspy.Example(q="3").with_inputs("q")),
            ]
        )
    return [found and found.answer for found in results], len(failed), [type(error).__name__ for error in errors]


@use
def a_retriever_of_a_user(dspy):
    class Search(dspy.Module):
        def __init__(self, k=2):
            super().__init__()
            self.k = k

        def forward(self, query, k=None):
            return dspy.Prediction(passages=[f"{query} {n}" for n in range(k or self.k)])

    return Search()("x").passages, Search()(query="y", k=1).passages


@use
def evaluated_in_detail(dspy):
    rows = [dspy.Example(q=str(n), answer="x").with_inputs("q") for n in range(3)]
    with asking(dspy, [{"answer": "x"}, {"answer": "y"}, {"answer": "x"}]):
        evaluate = module(dspy, "evaluate").Evaluate(
            devset=rows, metric=module(dspy, "evaluate").answer_exact_match, num_threads=1, display_progress=False
        )
        found = evaluate(dspy.Predict("q -> answer"))
    return (
        found.score,
        [(row.q, pred.answer, bool(score)) for row, pred, score in found.results],
        round(float(found.score)),
    )


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)
