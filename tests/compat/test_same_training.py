"""Training of weights by a user's own provider, and what LMs say of themselves: the same in DSPy and in ours."""

import threading

import pytest
from both import called, chat, module, scripted, uses

from dspex_core.plain.attributes import attributes

use, USES = uses()


def provider(dspy, *, fails=False):
    """A provider that notes what it is asked for."""

    class Mine(module(dspy, "clients.provider").Provider):
        def __init__(self):
            super().__init__()
            self.finetunable = True
            self.TrainingJob = Job
            self.asked = []

        def launch(self, lm, launch_kwargs=None):
            self.asked.append(("launch", lm.model, launch_kwargs))

        def kill(self, lm, launch_kwargs=None):
            self.asked.append(("kill", lm.model, launch_kwargs))

        def finetune(self, job, model, train_data, train_data_format, train_kwargs=None):
            roles = [[message["role"] for message in row["messages"]] for row in train_data]
            self.asked.append(("finetune", model, roles, str(train_data_format.value), train_kwargs))
            if fails:
                raise ValueError("no GPU")
            return f"{model}-tuned"

    class Job(module(dspy, "clients.provider").TrainingJob):
        def status(self):
            return module(dspy, "clients.utils_finetune").TrainingStatus.running

    return Mine()


def is_right(row, said, trace=None):
    return row.a == said.a


def teach(dspy, by, **options):
    """Fine-tune a program on three rows, of which the metric accepts two."""
    student = dspy.Predict("q -> a")
    student.set_lm(dspy.LM("mine/small", provider=by, finetuning_model="base", train_kwargs={"epochs": 2}))
    teacher = student.deepcopy()
    teacher.set_lm(scripted(dspy, {"1": chat(a="one"), "2": chat(a="two"), "3": chat(a="four")}))
    rows = [dspy.Example(q=q, a=a).with_inputs("q") for q, a in (("1", "one"), ("2", "two"), ("3", "three"))]
    with dspy.context(adapter=dspy.ChatAdapter()):
        optimizer = dspy.BootstrapFinetune(
            metric=lambda row, said, trace=None: row.a == said.a, num_threads=1, **options
        )
        return optimizer.compile(student, trainset=rows, teacher=teacher)


@use
def a_program_that_is_trained_by_a_users_provider(dspy):
    by = provider(dspy)
    return teach(dspy, by).lm.model, by.asked


@use
def arguments_of_the_training_for_each_lm(dspy):
    by = provider(dspy)
    lm = dspy.LM("mine/small", provider=by)
    student = dspy.Predict("q -> a")
    student.set_lm(lm)
    with dspy.context(adapter=dspy.ChatAdapter()):
        optimizer = dspy.BootstrapFinetune(train_kwargs={lm: {"epochs": 5}}, num_threads=1, exclude_demos=True)
        teacher = student.deepcopy()
        teacher.set_lm(scripted(dspy, [chat(a="one")]))
        optimizer.compile(student, trainset=[dspy.Example(q="1", a="one").with_inputs("q")], teacher=teacher)
    return by.asked[-1]


@use
def a_training_that_fails(dspy):
    with pytest.raises(Exception, match="no GPU"):
        teach(dspy, provider(dspy, fails=True))


@use
def a_job_of_an_lm(dspy):
    by = provider(dspy)
    lm = dspy.LM("mine/small", provider=by, launch_kwargs={"port": 1})
    lm.launch({"port": 2})
    job = lm.finetune([{"messages": []}], module(dspy, "clients.utils_finetune").TrainDataFormat.CHAT, {"epochs": 1})
    trained = job.result(timeout=20)
    job.thread.join()
    return trained.model, trained.provider is by, lm.launch_kwargs, job.done(), job.status().value, job.model, by.asked


@use
def an_lm_that_cannot_be_trained(dspy):
    lm = dspy.LM("mine/small")
    for train in (lambda: lm.finetune([], None), lambda: lm.reinforce({})):
        with pytest.raises(dspy.LMUnsupportedFeatureError):
            train()
    return lm.kill(), lm.launch(), isinstance(lm.provider, dspy.Provider), lm.provider.finetunable


@use
def a_training_by_rewards(dspy):
    by = provider(dspy)

    class Job(module(dspy, "clients.provider").ReinforceJob):
        def initialize(self):
            self.ready = threading.get_ident() == here

    here = threading.get_ident()
    by.reinforceable, by.ReinforceJob = True, Job
    lm = dspy.LM("mine/small", provider=by)
    job = lm.reinforce({"steps": 3})
    with pytest.raises(NotImplementedError):
        job.step([])
    return job.ready, job.lm is lm, job.train_kwargs, job.checkpoints, job.last_checkpoint


@use
def a_training_job_as_a_future(dspy):
    job = dspy.TrainingJob(model="m", train_data=[{}])
    with pytest.raises(NotImplementedError):
        job.status()
    job.cancel()
    return job.cancelled(), job.model, job.train_data, job.train_kwargs, job.thread


@use
def rows_of_training_data(dspy):
    written = dspy.ChatAdapter().format_finetune_data(
        dspy.Signature("q -> a"), [{"q": "x", "a": "y"}], {"q": "1"}, {"a": "one"}
    )
    return [message["role"] for message in written["messages"]], written["messages"][-1]["content"].startswith(
        "[[ ## a"
    )


@use
def what_lms_say_that_they_can_do(dspy):
    mine = dspy.BaseLM("mine")
    found = dspy.LM("openai/gpt-4o-mini", api_key="x")
    thinks = dspy.LM("openai/o3-mini", api_key="x", temperature=None, max_tokens=None)
    asked = [(lm.supports_reasoning, lm.supports_response_schema) for lm in (mine, found, thinks)]
    return asked, mine.supported_params, {"temperature", "tools", "response_format"} <= found.supported_params


@use
def a_schema_for_an_lm_that_takes_none(dspy):
    """What a custom LM is asked for by a `JSONAdapter`: nothing, any JSON, or a schema."""
    seen = []

    class Plain(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **kwargs):
            form = kwargs.get("response_format")
            seen.append(form if form is None or form == {"type": "json_object"} else "a schema")
            message = {"role": "assistant", "content": '{"a": "one"}'}
            choices = [{"message": message, "finish_reason": "stop"}]
            return attributes({"choices": choices, "usage": {}, "model": "m"})  # an object like that of OpenAI's client

    class AnyJSON(Plain):
        supported_params = {"response_format"}  # noqa: RUF012  as users write it

    class Schema(AnyJSON):
        supports_response_schema = True

    with dspy.context(adapter=dspy.JSONAdapter()):
        said = [called(dspy.Predict("q -> a"), q="1", lm=kind("mine")).a for kind in (Plain, AnyJSON, Schema)]
    return said, seen


@use
def the_state_of_a_retriever(dspy):
    one, other = dspy.Retrieve(k=7), dspy.Retrieve()
    other.load_state(one.dump_state())
    other.reset()
    return one.dump_state(), other.k


@pytest.mark.parametrize("use", USES)
def test_as_in_dspy(use, ours, real, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert use(ours) == use(real)


def test_without_submit_nothing_is_trained(ours, tmp_path):
    by = provider(ours)

    program = teach(ours, by, submit=False, folder=tmp_path)

    assert by.asked == []
    assert program.lm.model == "mine/small"


def test_a_training_that_failed_raises_when_its_result_is_asked_for(ours):
    chat_form = module(ours, "clients.utils_finetune").TrainDataFormat.CHAT
    job = ours.LM("mine/small", provider=provider(ours, fails=True)).finetune([], chat_form)

    with pytest.raises(ValueError, match="no GPU"):
        job.result(timeout=20)
