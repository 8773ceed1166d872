"""Gates on a change, decided over the results of several sessions."""

import json

import pytest

SUITE = """
    import json
    from pathlib import Path

    import pytest

    VALUES = json.loads(Path(__file__).with_name("values.json").read_text())

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("accuracy", max_drop=0.02)
    def test_qa(example, score):
        score("accuracy", VALUES[int(example.id[1:])])
"""


@pytest.mark.parametrize(
    ("lost", "options", "status"), [(0, [], 0), (2, [], 0), (2, ["--dspex-inconclusive=fail"], 1), (6, [], 1)]
)
def test_a_merge_compares_all_cases_with_the_baseline(project, alone, lost, options, status):
    (project.path / "data.jsonl").write_text("".join(f'{{"id": "c{n}", "question": "?"}}\n' for n in range(20)))
    (project.path / "values.json").write_text(json.dumps([1] * 20))
    project.test(SUITE)
    assert alone("--dspex-update-baseline").ret == 0
    (project.path / "values.json").write_text(json.dumps([0] * lost + [1] * (20 - lost)))
    for part in ("c1", "not c1"):
        assert alone("-k", part, "--dspex-partial=parts").ret == 0
    result = alone("--dspex-merge=parts", *options)
    assert result.ret == status
    result.stdout.fnmatch_lines(["*accuracy*20  drop <= 0.02 vs baseline *"])


def test_a_merge_without_the_baseline_is_red(project, alone):
    (project.path / "data.jsonl").write_text('{"id": "c0", "question": "?"}\n')
    (project.path / "values.json").write_text("[1]")
    project.test(SUITE)
    assert alone("--dspex-partial=parts").ret == 0
    assert alone("--dspex-merge=parts").ret == 1
