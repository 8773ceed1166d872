"""`dspex_data`: the rows of a dataset as pytest items."""

import json

import pytest

USAGE_ERROR = 4


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


def uncollected(result, *messages):
    """Check that the collection of a module failed, that pytest says this, and no traceback."""
    output = result.stdout.str() + result.stderr.str()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    for message in messages:
        assert message in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output
    assert "ERROR collecting test_it.py" in output


def refused(result, *messages):
    """Check that the run ended with a usage error that says this and shows no traceback."""
    output = result.stdout.str() + result.stderr.str()
    assert result.ret == USAGE_ERROR
    for message in messages:
        assert message in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output
    assert output.count(messages[0]) == 1


# What becomes of a dataset


def test_each_row_is_an_item_with_the_id_of_the_row(project, alone):
    project.rows("red", "blue")
    project.test()
    result = alone("--dspex-live", "-v")
    assert outcomes(result) == {"passed": 2}
    result.stdout.fnmatch_lines_random(["*test_it.py::test_qa[[]c-red]*", "*test_it.py::test_qa[[]c-blue]*"])


def test_rows_without_an_id_have_one_made_of_their_content(project, alone):
    (project.path / "data.jsonl").write_text('{"question": "Say a", "answer": "a"}\n' * 2)
    project.test()
    result = alone("--dspex-live", "-v")
    result.stdout.fnmatch_lines(["*test_qa[[]row-3b493234f9a9] PASSED*", "*test_qa[[]row-3b493234f9a9-2] PASSED*"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.json", json.dumps([{"id": 1, "question": "Say a", "answer": "a"}])),
        ("data.csv", "id,question,answer\n1,Say a,a\n"),
        ("data.jsonl", '{"id": 1, "question": "Say a", "answer": "a"}\n'),
    ],
)
def test_the_suffix_says_the_format(project, alone, name, content):
    (project.path / name).write_text(content)
    project.test(
        f"""
        import pytest

        @pytest.mark.dspex_data("{name}", inputs=["question"])
        def test_qa(example, prediction):
            assert (example.id, prediction.answer) == ("1", example.answer)
        """
    )
    assert outcomes(alone("--dspex-live")) == {"passed": 1}


def test_a_path_is_relative_to_the_file_of_the_test(project, alone, monkeypatch):
    project.rows("deep", name="sub/data/rows.jsonl")
    (project.path / "sub" / "test_sub.py").write_text(
        "import pytest\n\n"
        '@pytest.mark.dspex_data("data/rows.jsonl", inputs=["question"])\n'
        "def test_sub(example):\n"
        '    assert example.answer == "deep"\n'
    )
    monkeypatch.chdir(project.path / "sub")
    assert outcomes(alone()) == {"passed": 1}


def test_only_the_named_fields_are_inputs(project, alone):
    project.rows("red")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example):
            assert dict(example.inputs()) == {"question": "Say red"}
            assert dict(example.labels()) == {"id": "c-red", "answer": "red"}
        """
    )
    assert outcomes(alone()) == {"passed": 1}


def test_other_parameters_multiply_the_rows(project, alone):
    project.rows("red", "blue")
    project.test(
        """
        import pytest

        @pytest.mark.parametrize("style", ["short", "long"])
        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example, prediction, style):
            assert prediction.answer == example.answer
        """
    )
    assert outcomes(alone("--dspex-record=new")) == {"passed": 4}
    assert sorted(entry["case"] for entry in project.entries()) == [
        "c-blue-long",
        "c-blue-short",
        "c-red-long",
        "c-red-short",
    ]


def test_methods_of_a_class_have_data_as_well(project, alone):
    project.rows("red", "blue")
    project.test(
        """
        import pytest

        class TestQA:
            @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
            def test_qa(self, example, prediction):
                assert prediction.answer == example.answer
        """
    )
    assert outcomes(alone("--dspex-record=new")) == {"passed": 2}
    assert len(project.entries("TestQA.test_qa")) == 2


def test_an_id_may_hold_any_character(project, run):
    names = ["é", "a[0]", "日本", "a::b", "x/y", "[[]]", "@group", "[", "]", "a\nb", "é\\xe9"]
    rows = [{"id": name, "question": "Say a", "answer": "a"} for name in names]
    (project.path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_gate("right", min=0.6)
        def test_qa(example, prediction, score):
            score("right", example.id == "é", f"the id is {example.id}")
        """
    )
    result = run("--dspex-record=all")
    assert outcomes(result) == {"passed": len(names), "failed": 1}  # the gate
    result.stdout.fnmatch_lines(["*< 0.6, n=11", "  a[[]0]: 0  the id is a[[]0]", "  日本: 0  the id is 日本"])
    assert {entry["case"] for entry in project.entries()} == set(names)
    assert outcomes(run())["passed"] == len(names)


def test_one_case_can_be_run_by_its_node_id(project, alone):
    project.rows("red", "blue")
    project.test()
    result = alone("--dspex-live", "test_it.py::test_qa[c-blue]")
    assert outcomes(result) == {"passed": 1}
    assert project.calls == ["Say blue"]


def test_a_dataset_is_read_once_for_all_tests_on_it(project, alone):
    project.rows("red")
    project.test(
        """
        import pytest

        seen = []

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_one(example):
            seen.append(example)

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_two(example):
            assert seen[0] is example
        """
    )
    assert outcomes(alone()) == {"passed": 2}


# Mistakes: one clear message, exit status 4


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        (
            '"data.jsonl", input=["question"]',
            "dspex_data has an unknown argument 'input'; it takes a dataset, inputs, signature, program, split, sample",
        ),
        ('"data.jsonl"', 'dspex_data has inputs=None; give it the names of the input fields: inputs=["field", ...]'),
        ('"data.jsonl", inputs="question"', "dspex_data has inputs='question'; give it the names"),
        ('inputs=["question"]', "dspex_data has the positional arguments (); give it one, the path of the dataset"),
        (
            '"data.jsonl", inputs=["question"], program="q"',
            "@program 'q' is not defined in its module or conftests; programs: other, qa",
        ),
        (
            '"data.jsonl", inputs=["question"]',
            "name it with dspex_data(..., program=NAME); programs: other, qa",
        ),
    ],
)
def test_a_wrong_marker_is_a_usage_error(project, alone, marker, message):
    project.conftest(more="@program\ndef other():\n    return Predict('question -> answer')")
    project.rows("red")
    (project.path / "data.txt").write_text("")
    project.test(
        f"""
        import pytest

        @pytest.mark.dspex_data({marker})
        def test_qa(example, prediction):
            pass

        def test_other():
            pass
        """
    )
    refused(alone(), message)
    assert project.calls == []


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        (
            '"no.jsonl", inputs=["question"]',
            "no.jsonl: cannot be read: No such file or directory (the dataset of test_qa)",
        ),
        ('"data.txt", inputs=["question"]', "data.txt: is of no known format; a dataset's name ends in .jsonl"),
        ('"data.jsonl", inputs=["text"]', "data.jsonl:1: row 1 lacks the input 'text'; it has: 'id', 'question'"),
    ],
)
def test_a_dataset_that_cannot_be_read_fails_the_collection_of_its_module(project, alone, marker, message):
    project.rows("red")
    (project.path / "data.txt").write_text("")
    project.test(
        f"""
        import pytest

        @pytest.mark.dspex_data({marker})
        def test_qa(example, prediction):
            pass
        """
    )
    uncollected(alone(), message)
    assert project.calls == []


def test_other_modules_run_where_the_collection_of_one_failed(project, alone):
    project.test()
    project.test("def test_other():\n    pass", name="test_other")
    result = alone("--continue-on-collection-errors")
    assert outcomes(result) == {"passed": 1, "errors": 1}
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_the_place_of_a_malformed_line_is_named(project, alone):
    (project.path / "data.jsonl").write_text('{"question": "Say a"}\n{"question": \n')
    project.test()
    uncollected(alone(), "data.jsonl:2: row 2 is not JSON")


def test_the_row_that_lacks_an_input_is_named(project, alone):
    (project.path / "data.jsonl").write_text('{"question": "Say a"}\n\n{"answer": "a"}\n')
    project.test()
    uncollected(alone(), "data.jsonl:3: row 2 lacks the input 'question'; it has: 'answer'")


def test_all_datasets_that_cannot_be_read_are_named_at_once(project, alone):
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("one.jsonl", inputs=["question"])
        def test_one(example):
            pass

        @pytest.mark.dspex_data("two.jsonl", inputs=["question"])
        def test_two(example):
            pass
        """
    )
    uncollected(alone(), "one.jsonl: cannot be read", "two.jsonl: cannot be read")


def test_a_marker_on_a_test_that_does_not_look_at_its_rows_is_a_mistake(project, alone):
    project.rows("red")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa():
            pass
        """
    )
    refused(alone(), "test_it.py::test_qa is marked with dspex_data but uses neither of the fixtures")


def test_mistakes_are_found_by_collect_only_too(project, alone):
    project.test()
    uncollected(alone("--collect-only"), "data.jsonl: cannot be read")


def test_collect_only_asks_no_lm(project, alone):
    project.rows("red")
    project.test()
    result = alone("--collect-only", "--dspex-live")
    assert result.ret == 0
    assert project.calls == []


def test_parameters_named_example_are_no_business_of_the_plugin(project, alone):
    project.test(
        """
        import pytest

        @pytest.mark.parametrize("example", [1, 2])
        def test_it(example, score):
            score("size", example > 0)
        """
    )
    assert outcomes(alone()) == {"passed": 2}
