"""A metric of an agent's tool calls: which, in which order, with which arguments. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from dspex_core.errors import ConfigurationError
from dspex_core.example import Record
from dspex_core.flow.steps import Call
from dspex_core.metrics.comparison import from_json_text, is_missing, parts, same
from dspex_core.metrics.fields import endless, of_field, options_text, read_field
from dspex_core.metrics.score import Score, as_score, metric_name
from dspex_core.metrics.trees import assigned
from dspex_core.plain.display import value_text
from dspex_core.plain.prompt_values import FunctionCalls

Order = Literal["exact", "subsequence", "any_order", "superset"]
Arguments = Literal["exact", "subset", "ignore"] | Callable[..., Any]

_FIELDS = ("trajectory", "tool_calls")
_FINISH = "finish"  # how an agent of ours says that it is done
_SHOWN = 8  # calls that feedback shows


class _ToolCall(NamedTuple):
    """A call of a tool; `args` is `None` where only its name is expected."""

    name: str
    args: Mapping[str, Any] | None

    def __str__(self) -> str:
        if self.args is None:
            return self.name
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.args.items())})"


@dataclass(frozen=True, slots=True, repr=False)
class TrajectoryMetric:
    """A metric of an agent's tool calls: see `trajectory_match`."""

    field: str | None
    order: Order
    args: Arguments
    expected: str | None

    @property
    def __name__(self) -> str:
        return "trajectory_match" if self.order == "exact" else f"trajectory_{self.order}"

    def __repr__(self) -> str:
        options = options_text(order=(self.order, "exact"), args=(self.args, "exact"), expected=(self.expected, None))
        shown = [*([] if self.field is None else [repr(self.field)]), *([options] if options else [])]
        return f"trajectory_match({', '.join(shown)})"

    def __call__(self, example: Any, prediction: Any, trace: Any = None) -> Score:
        """Compare the calls.

        Raises:
            ConfigurationError: The example or the prediction has no such field, or it does not hold tool calls, or
                they hold themselves or are nested too deeply.
        """
        field = self.field or _present(prediction)
        expected = read_field(self, "example", example, self.expected or self._expected_in(example, field))
        predicted = read_field(self, "prediction", prediction, field)
        try:
            return of_field(field, self._judged(_calls(expected), _calls(predicted)))
        except RecursionError:
            raise endless(self, field) from None

    def _expected_in(self, example: Any, field: str) -> str:
        is_there = isinstance(example, Record | Mapping) and field in example
        return field if self.field or is_there else _present(example)

    def _judged(self, wanted: list[_ToolCall], found: list[_ToolCall]) -> Score:
        pairs = self._pairs(wanted, found)
        left = [call for place, call in enumerate(found) if place not in pairs.values()]
        missing = [call for place, call in enumerate(wanted) if place not in pairs]
        is_right = not missing and (not left or self.order in ("subsequence", "superset"))
        details = {
            "precision": len(pairs) / len(found) if found else float(not wanted),
            "recall": len(pairs) / len(wanted) if wanted else float(not found),
            "missing": list(map(str, missing)),
            "additional": list(map(str, left)),
        }
        return Score(
            float(is_right), "" if is_right else f"should be {_listed(wanted)} but is {_listed(found)}", details
        )

    def _pairs(self, wanted: list[_ToolCall], found: list[_ToolCall]) -> dict[int, int]:
        """Return the places of the calls that are as wanted, by the places of the wanted ones."""
        if self.order == "exact":
            return {
                place: place for place in range(min(len(wanted), len(found))) if self._fits(wanted[place], found[place])
            }
        if self.order == "subsequence":
            return self._in_order(wanted, found)
        fitting = [[float(self._fits(one, other)) for other in found] for one in wanted]
        return {row: column for row, column in assigned(fitting) if fitting[row][column]}

    def _in_order(self, wanted: list[_ToolCall], found: list[_ToolCall]) -> dict[int, int]:
        pairs, begin = dict[int, int](), 0
        for place, call in enumerate(wanted):
            at = next((number for number in range(begin, len(found)) if self._fits(call, found[number])), None)
            if at is not None:
                pairs[place], begin = at, at + 1
        return pairs

    def _fits(self, wanted: _ToolCall, found: _ToolCall) -> bool:
        if wanted.name != found.name:
            return False
        if wanted.args is None or self.args == "ignore":
            return True
        given = found.args or {}
        if callable(self.args):
            score = as_score(Call(self.args, (wanted.args, given)).run(), metric_name(self.args))
            return score.value >= 1
        compared = given if self.args == "exact" else {name: given[name] for name in wanted.args if name in given}
        return compared.keys() == wanted.args.keys() and same(wanted.args, compared, normalize=False)


def trajectory_match(
    field: str | None = None, *, order: Order = "exact", args: Arguments = "exact", expected: str | None = None
) -> TrajectoryMetric:
    """Make a metric that is 1 where an agent has called the expected tools.

    The prediction has the trajectory of a `ReAct`, or `ToolCalls`; the example too, or a list of calls such as
    `{"name": "search", "args": {"query": "otters"}}`, in the forms of providers, too. Of a tool that stands there as a
    name alone, any arguments will do. The tool `finish` does not count. `details` has the precision and the recall,
    and the calls that are `missing` and `additional`.

    Args:
        field: The field of the prediction; by default `trajectory` or `tool_calls`.
        order: `"exact"`: these calls in this order. `"subsequence"`: in this order, with others between.
            `"any_order"`: these calls and no others. `"superset"`: these calls and maybe others, in any order.
        args: How arguments are compared: `"exact"`; `"subset"`, where a call may have more than the expected ones;
            `"ignore"`; or a metric, which gets both arguments as mappings and has to give 1:
            `args=fuzzy_match("query")`.
        expected: The field of the example, if it has another name.

    Raises:
        ConfigurationError: `order` or `args` is not one of these.
    """
    if order not in get_args(Order):
        raise ConfigurationError(f"trajectory_match needs order from {', '.join(get_args(Order))}, not {order!r}")
    if args not in ("exact", "subset", "ignore") and not callable(args):
        raise ConfigurationError(f"trajectory_match needs args='exact', 'subset', 'ignore' or a metric, not {args!r}")
    return TrajectoryMetric(field, order, args, expected)


def _present(record: Any) -> str:
    """Return the name of the field with tool calls; the first of the usual names if there is none."""
    is_record = isinstance(record, Record | Mapping)
    return next((name for name in _FIELDS if is_record and name in record), _FIELDS[0])


def _calls(value: Any) -> list[_ToolCall]:
    """Return tool calls of any form, without the one that ends an agent's work.

    Raises:
        ConfigurationError: The value does not hold tool calls.
    """
    try:
        found = _read(from_json_text(value))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ConfigurationError(
            f"trajectory_match needs a ReAct trajectory, ToolCalls, or a list of calls such as "
            f"{{'name': 'search', 'args': {{...}}}}, not {value_text(value, 200)}"
        ) from error
    return [call for call in found if call.name != _FINISH]


def _read(value: Any) -> list[_ToolCall]:
    if is_missing(value):
        return []
    if isinstance(value, FunctionCalls):
        return _of_models(value)
    if isinstance(value, Record | Mapping) and ("tool_name_0" in value or not value):
        names = itertools.takewhile(lambda name: name in value, (f"tool_name_{number}" for number in itertools.count()))
        return [_ToolCall(value[name], _arguments(value[name.replace("name", "args", 1)])) for name in names]
    items: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
    if isinstance(value, Mapping) and "tool_calls" in value:
        items = value["tool_calls"]
    return [call for item in items for call in _of_item(item)]


def _of_item(item: Any) -> list[_ToolCall]:
    if isinstance(item, str):
        return [_ToolCall(item, None)]
    fields = parts(item)
    has_arguments = {"args", "arguments"} & {*fields, *(fields.get("function") or ())}
    [call] = _of_models([fields])
    return [call if has_arguments else call._replace(args=None)]


def _of_models(calls: Any) -> list[_ToolCall]:
    from dspex_core.types import ToolCalls  # loads pydantic

    return [_ToolCall(call.name, call.args) for call in ToolCalls.model_validate(calls).tool_calls]


def _arguments(args: Any) -> Mapping[str, Any]:
    found = from_json_text(args)
    return found if isinstance(found, Mapping) else {}


def _listed(calls: Sequence[_ToolCall]) -> str:
    more = f", and {len(calls) - _SHOWN} more" if len(calls) > _SHOWN else ""
    return f"[{', '.join(map(str, calls[:_SHOWN]))}{more}]"
