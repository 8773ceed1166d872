"""Training examples of what a teacher does right, and jobs at a provider."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from test_gepa import TRAIN, Pipeline, answer, metric

from dspex_core import LM, ChatAdapter, ConfigurationError, OptimizationError, context
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.optimizers.finetune.jobs import SubmittedJob
from dspex_core.optimizers.finetune.optimizer import BootstrapFinetune


def taught():
    """A teacher that knows some rules."""
    teacher = Pipeline()
    teacher.second.signature = teacher.second.signature.with_instructions("Follow rule 0, rule 1.")
    return teacher


def compiled(folder, *, student=None, model=None, **options):
    with context(lm=model or ScriptedLM(answer), adapter=ChatAdapter()):
        by = BootstrapFinetune(options.pop("metric", metric), folder=folder, **options)
        return by.compile(student or Pipeline(), trainset=TRAIN, teacher=taught())


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_writes_the_students_prompts_with_the_answers_that_the_metric_accepts(tmp_path):
    program = compiled(tmp_path)

    (data,) = program.training_data
    written = rows(data.path)
    assert data.predictors == ("first", "second")
    assert len(written) == 2 * 4  # two calls for each of the four texts that the teacher knows
    assert all([message["role"] for message in row["messages"]] == ["system", "user", "assistant"] for row in written)
    answers = [row["messages"][-1]["content"] for row in written]
    assert sum("label 0" in text or "label 1" in text for text in answers) == 4
    assert not any("rule" in row["messages"][0]["content"] for row in written)


def test_writes_a_file_for_each_predictor_without_multitask(tmp_path):
    program = compiled(tmp_path, multitask=False)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["scripted-first.jsonl", "scripted-second.jsonl"]
    assert [data.predictors for data in program.training_data] == [("first",), ("second",)]


def test_writes_a_file_for_each_lm(tmp_path):
    student, other = Pipeline(), ScriptedLM(answer)
    other.model = "other"
    student.second.lm = other

    program = compiled(tmp_path, student=student)

    assert [data.predictors for data in program.training_data] == [("first",), ("second",)]


def test_leaves_demos_out_where_asked(tmp_path):
    student = Pipeline()
    student.second.demos = [{"text": "a demo", "note": "n", "label": "l"}]

    kept, left = (
        compiled(tmp_path / "a", student=student),
        compiled(tmp_path / "b", student=student, exclude_demos=True),
    )

    assert kept.second.demos
    assert not left.second.demos
    assert "a demo" in kept.training_data[0].path.read_text()
    assert "a demo" not in left.training_data[0].path.read_text()


def test_without_a_metric_learns_from_all(tmp_path):
    (data,) = compiled(tmp_path, metric=None).training_data

    assert len(rows(data.path)) == 2 * len(TRAIN)


def test_is_the_same_twice(tmp_path):
    one, other = (compiled(tmp_path / name).training_data[0].path.read_bytes() for name in "ab")

    assert one == other


def test_nothing_to_learn_is_an_error(tmp_path):
    with pytest.raises(OptimizationError, match="accepts none of the teacher's 16 predictions"):
        compiled(tmp_path, metric=lambda *_: False)

    assert not list(tmp_path.iterdir())


def test_what_has_no_provider_cannot_be_trained(tmp_path):
    with pytest.raises(ConfigurationError, match="only an LM of a provider can be trained"):
        compiled(tmp_path, submit=True)


def test_its_options_show_no_key():
    assert "sk-123" not in repr(BootstrapFinetune(train_kwargs={"api_key": "sk-123"}))


class Provider(BaseHTTPRequestHandler):
    """Speaks the endpoints of files and of fine-tuning jobs; a job is done when it is asked for the second time."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, body))
        if self.path.endswith("/files"):
            self.reply({"id": "file-1", "object": "file", "bytes": len(body), "created_at": 1, "filename": "x"})
        else:
            self.reply(self.job("queued"))

    def do_GET(self):
        self.server.received.append((self.path, b""))
        asked = sum("/jobs/" in path for path, _ in self.server.received)
        self.reply(self.job("running" if asked < 2 else self.server.end))

    def job(self, status):
        return {
            "id": "job-1",
            "object": "fine_tuning.job",
            "created_at": 1,
            "model": "small",
            "status": status,
            "fine_tuned_model": "ft:small:1" if status == "succeeded" else None,
            "hyperparameters": {"n_epochs": 1},
            "organization_id": "o",
            "result_files": [],
            "seed": 0,
            "training_file": "file-1",
            "error": {"code": "bad", "message": "too few rows", "param": None} if status == "failed" else None,
        }

    def reply(self, data):
        content = json.dumps({"purpose": "fine-tune", "status": "processed", **data}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def provider():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.received, server.end = [], "succeeded"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_trains_at_a_provider_only_when_asked_and_waits_for_the_trained_lm(tmp_path, provider):
    address = f"http://127.0.0.1:{provider.server_address[1]}/v1"
    student = Pipeline()
    student.set_lm(LM("openai/small", api_base=address, api_key="sk-planted"))
    teacher_lm = ScriptedLM(answer)
    teacher = taught()
    teacher.set_lm(teacher_lm)

    def run(**options):
        by = BootstrapFinetune(metric, folder=tmp_path, poll=0, train_kwargs={"suffix": "mine"}, **options)
        return by.compile(student, trainset=TRAIN, teacher=teacher)

    run()
    assert not provider.received

    program = run(submit=True)
    assert program.first.lm.model == program.second.lm.model == "openai/ft:small:1"
    assert student.first.lm.model == "openai/small"
    paths = [path for path, _ in provider.received]
    assert paths == ["/v1/files", "/v1/fine_tuning/jobs", *["/v1/fine_tuning/jobs/job-1"] * 2]
    assert program.training_data[0].path.read_bytes() in provider.received[0][1]
    asked = json.loads(provider.received[1][1])
    assert (asked["model"], asked["training_file"], asked["suffix"]) == ("small", "file-1", "mine")

    provider.received.clear()
    provider.end = "failed"
    with pytest.raises(ConfigurationError, match=r"the training job 'job-1' of 'openai/small' failed: .*too few rows"):
        run(submit=True)


def test_a_job_imports_litellm_without_a_download_of_prices(monkeypatch):
    seen = {}

    def retrieve(job, **_):
        seen[job] = os.environ.get("LITELLM_LOCAL_MODEL_COST_MAP")
        return SimpleNamespace(status="running")

    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "")  # restored in the end
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP")
    monkeypatch.setitem(sys.modules, "litellm", SimpleNamespace(retrieve_fine_tuning_job=retrieve))
    assert SubmittedJob("j1", LM("openai/m"), "openai", {}).status() == "running"
    assert seen == {"j1": "True"}
