"""What each optimizer that searches keeps: tests of one derive from these classes and say how to compile."""

import pytest

from dspex_core import Budget, context
from dspex_core.lm.scripted import ScriptedLM


def asked(model):
    """How many calls the LM itself has answered."""
    return sum(not entry.response.cached for entry in model.history)


class WithinItsLimits:
    """Derive from it with the functions `compiled` and `planned`, two scripts, a class of two steps, and budgets."""

    @pytest.mark.parametrize("steps", ["one", "two"])
    def test_the_plan_is_not_exceeded(self, steps):
        student = None if steps == "one" else self.two_steps()
        model = ScriptedLM(self.script if steps == "one" else self.script_of_two)
        with context(lm=model):
            plan = self.planned(student)

        self.compiled(model=model, student=student)

        assert 0 < len(model.history) <= plan.calls

    @pytest.mark.parametrize("place", range(3))
    def test_a_budget_ends_it_with_the_best_so_far(self, place):
        calls, model = self.budgets[place], ScriptedLM(self.script)

        program = self.compiled(model=model, given={"budget": Budget(calls=calls)})

        assert len(model.history) <= calls
        assert program.dump_state() == program.trials.best.program.dump_state()
        assert program.trials.stopped


class TheSame:
    """Derive from it with the function `compiled`, a script and a class of two steps, and lengths of a cut journal."""

    def test_student_at_the_end_as_before(self):
        student = self.two_steps()
        before = student.dump_state()

        self.compiled(self.script_of_two, student=student)

        assert student.dump_state() == before

    def test_program_at_any_concurrency(self):
        one, many = (
            self.compiled(self.script_of_two, student=self.two_steps(), num_threads=number) for number in (1, 8)
        )

        assert one.dump_state() == many.dump_state()
        assert [trial.scores for trial in one.trials] == [trial.scores for trial in many.trials]

    @pytest.mark.parametrize("place", range(3))
    def test_program_from_a_journal_that_was_cut(self, tmp_path, place):
        path, first, second = tmp_path / "journal", ScriptedLM(self.script), ScriptedLM(self.script)
        one = self.compiled(model=first, student=self.student(), given={"journal": path})
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[: self.kept[place]]))
        answers = sum(b'"response"' in line for line in lines[: self.kept[place]])

        other = self.compiled(model=second, student=self.student(), given={"journal": path})

        assert one.dump_state() == other.dump_state()
        assert asked(second) == asked(first) - answers

    @staticmethod
    def student():
        """The program whose compile is interrupted; `None` for that of one step."""
        return
