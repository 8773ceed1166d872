"""What an agent has thought, done and seen, and how the next prompt shows it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from dspex_core.errors import ContextWindowExceededError
from dspex_core.programs.base import running
from dspex_core.types.observation import as_observation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.flow.steps import Flow

FINISH = "finish"  # the tool by which an agent says that it is done
TURN = 4  # values in a turn: thought, tool_name, tool_args, observation
_TRUNCATIONS = 3  # how often a prompt that is too long is shortened before the agent gives up


class ToolRequest(NamedTuple):
    """A tool that is to be called, and its arguments."""

    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """What an agent has decided to do in a turn: a thought, and one or several calls."""

    thought: str
    calls: Sequence[ToolRequest]

    @property
    def is_last(self) -> bool:
        """Whether the agent is done."""
        return any(call.name == FINISH for call in self.calls)


class Trajectory:
    """The turns of an agent, as `thought_0`, `tool_name_0`, `tool_args_0`, `observation_0`, `thought_1`, ...

    `values` has all of them. Prompts show less once the whole is too long for the model.

    Args:
        limit: How many characters of a value a prompt shows.
        truncate: Returns a shorter copy of what a prompt shows.
    """

    def __init__(self, limit: int, truncate: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self.values: dict[str, Any] = {}
        self._shown: dict[str, Any] = {}
        self._lines: dict[str, tuple[Any, str]] = {}  # each value as it is written, as prompt after prompt shows it
        self.limit = limit
        self._truncate = truncate

    def add(self, decision: Decision, observations: Sequence[Any]) -> None:
        """Add what was done: a turn for each call, of which the first has the thought."""
        thought = decision.thought
        for call, observation in zip(decision.calls, observations, strict=True):
            turn = {"thought": thought, "tool_name": call.name, "tool_args": call.args, "observation": observation}
            number = len(self.values) // TURN
            numbered = {f"{name}_{number}": value for name, value in turn.items()}
            self.values.update(numbered)
            self._shown.update(numbered)
            thought = ""

    def text(self) -> str:
        """Write it for a prompt, each value after its name."""
        return "\n".join([self._line(name, value) for name, value in self._shown.items()])

    def asking(self, program: Callable[..., Any], inputs: Mapping[str, Any]) -> Flow[Any]:
        """Run a program on inputs and this trajectory; when that is too long, without its oldest turns.

        Raises:
            ContextWindowExceededError: It is still too long, or cannot be shortened.
        """
        for _ in range(_TRUNCATIONS):
            try:
                return (yield from running(program, **inputs, trajectory=self.text()))
            except ContextWindowExceededError as error:
                try:
                    self._shown = self._truncate(self._shown)
                except ValueError:
                    error.add_note("the agent's trajectory cannot be shortened any further")
                    raise error from None
        return (yield from running(program, **inputs, trajectory=self.text()))

    def _line(self, name: str, value: Any) -> str:
        written, line = self._lines.get(name, (None, ""))
        if not line or written is not value:  # what is shown may be another value than what there was
            line = f"{name}: {as_observation(value, limit=self.limit)}"
            self._lines[name] = value, line
        return line
