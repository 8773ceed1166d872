"""Property tests whose LM calls are recorded and replayed."""

import pytest

PROPERTIES = """
    from hypothesis import given
    from hypothesis import strategies as st
    from pytest_dspex.strategies import inputs, irrelevant, reproducible

    WORDS = st.text("ab", min_size=1, max_size=3)

    @reproducible(max_examples=10)
    @given(drawn=inputs("question -> answer", question=WORDS.map("Say {}".format)))
    def test_echo(qa, drawn):
        assert drawn["question"].endswith(qa(**drawn).answer)
"""


def test_its_calls_are_recorded_and_replayed(project, alone):
    project.test(PROPERTIES)

    alone("--dspex-record=new").assert_outcomes(passed=1)
    asked = project.calls
    alone().assert_outcomes(passed=1)

    assert 1 < len(asked) <= 10
    assert project.calls == asked


def test_a_failure_shows_the_prompt_of_the_smallest_input(project, alone):
    project.test(PROPERTIES.replace(".answer)", '.answer * len(drawn["question"][4:]))'))

    result = alone("--dspex-live")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*drawn={'question': 'Say aa'}*", "*prompt:*", "*Say aa*", "*reply:*", "*[[] ## answer ## []]*", "*aa*"]
    )


def test_an_async_property_shows_its_prompt_too(project, alone):
    pytest.importorskip("anyio")
    project.test(
        """
        import pytest
        from hypothesis import given
        from hypothesis import strategies as st
        from pytest_dspex.strategies import reproducible

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        @reproducible(max_examples=5)
        @given(word=st.sampled_from(["ab", "ba"]))
        async def test_echo(qa, word):
            assert (await qa.acall(question=f"Say {word}")).answer != word
        """
    )

    result = alone("--dspex-live")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*prompt:*", "*Say ab*"])


def test_it_stands_above_given(project, alone):
    project.test(
        """
        from hypothesis import given
        from hypothesis import strategies as st
        from pytest_dspex.strategies import reproducible

        @given(st.just(1))
        @reproducible()
        def test_one(number):
            pass
        """
    )

    result = alone()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*@reproducible has no test with @given below it*write it above @given*"])
