"""Callbacks under DSPy's names, made of telemetry events. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Self

from dspex_core.telemetry.spans import ACTIVE_CALL_ID

if TYPE_CHECKING:
    from dspex_core.config.contracts import Event

__all__ = ["ACTIVE_CALL_ID", "BaseCallback"]

_HANDLERS = {
    "lm": attrgetter("on_lm_start", "on_lm_end"),
    "adapter_format": attrgetter("on_adapter_format_start", "on_adapter_format_end"),
    "adapter_parse": attrgetter("on_adapter_parse_start", "on_adapter_parse_end"),
    "tool": attrgetter("on_tool_start", "on_tool_end"),
    "interpreter": attrgetter("on_interpreter_execute_start", "on_interpreter_execute_end"),
    "evaluate": attrgetter("on_evaluate_start", "on_evaluate_end"),
    "optimize": attrgetter("on_compile_start", "on_compile_end"),
    "method": attrgetter("on_module_start", "on_module_end"),
    "interpreter_startup": attrgetter("on_interpreter_startup_start", "on_interpreter_startup_end"),
    "interpreter_shutdown": attrgetter("on_interpreter_shutdown_start", "on_interpreter_shutdown_end"),
}
_OF_MODULES = attrgetter("on_module_start", "on_module_end")  # programs define their own kinds


class BaseCallback:
    """Receives an event before and after each call of a module, an LM, an adapter, a tool, ...

        class Logging(BaseCallback):
            def on_lm_end(self, call_id, outputs, exception=None):
                logging.info("the LM answered %r", outputs)

        configure(callbacks=[Logging()])

    A subclass defines the handlers that it needs. A callback in the settings receives events of all components, a
    callback of a component (`LM(..., callbacks=[...])`) those of that component. Exceptions of handlers are logged and
    ignored. Handlers run in the thread or task of the call itself.

    A start handler receives the `call_id`, the called `instance`, and its `inputs` by name. The end handler receives
    the same `call_id` and the `outputs`, or `None` and the `exception`. `ACTIVE_CALL_ID.get()` is the id of the call
    around this one. The values are the program's own: do not change them.
    """

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Before a program runs, `Predict` included; the inputs are its `args` and `kwargs`."""

    def on_module_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """After a program has run; the output is its prediction."""

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Before an LM is asked; the inputs are `messages`, and `kwargs` with the sampling parameters."""

    def on_lm_end(self, call_id: str, outputs: list[str] | None, exception: BaseException | None = None) -> None:
        """After an LM was asked, or its cache or a cassette; the outputs are the texts of its completions."""

    def on_adapter_format_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Before an adapter writes a prompt; the inputs are `signature`, `demos` and `inputs`."""

    def on_adapter_format_end(
        self, call_id: str, outputs: list[dict[str, Any]] | None, exception: BaseException | None = None
    ) -> None:
        """After an adapter has written a prompt; the outputs are its messages."""

    def on_adapter_parse_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Before an adapter reads a reply; the inputs are `signature` and `completion`."""

    def on_adapter_parse_end(
        self, call_id: str, outputs: dict[str, Any] | None, exception: BaseException | None = None
    ) -> None:
        """After an adapter has read a reply; the outputs are the signature's by name."""

    def on_tool_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Before a tool is called; the inputs are its `kwargs`."""

    def on_tool_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """After a tool was called; the output is its result."""

    def on_interpreter_execute_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Before an interpreter runs code; the inputs are `code` and `variables`."""

    def on_interpreter_execute_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """After an interpreter has run code; the output is its result."""

    def on_interpreter_startup_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Before an interpreter's sandbox is started by `start`; there are no inputs."""

    def on_interpreter_startup_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """After an interpreter's sandbox was started."""

    def on_interpreter_shutdown_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Before an interpreter's sandbox is ended; there are no inputs."""

    def on_interpreter_shutdown_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """After an interpreter's sandbox was ended."""

    def on_interpreter_tool_call_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Never called: calls from the sandbox are calls of tools, with `on_tool_start`."""

    def on_interpreter_tool_call_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """Never called, as above."""

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Before an evaluation; the inputs are `program`, `metric`, `devset` and `num_threads`."""

    def on_evaluate_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """After an evaluation; the output is its `EvaluationResult`, complete or partial."""

    def on_compile_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Before an optimizer compiles a program; the inputs are `student`, `trainset` and `valset`."""

    def on_compile_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """After an optimizer has compiled a program; the output is the new program."""

    def __call__(self, event: Event) -> None:
        """Pass a telemetry event to its handler: a callback is a listener like any other."""
        handlers = _HANDLERS.get(event.kind)
        if handlers is None:
            if "args" not in event.attributes:  # neither a component's span nor a program's
                return
            handlers = _OF_MODULES
        start, end = handlers(self)
        if event.moment == "start":
            start(call_id=event.span_id, instance=event.attributes["instance"], inputs=_inputs(event))
        else:
            end(call_id=event.span_id, outputs=_outputs(event), exception=event.attributes.get("error"))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # copies of a program share their callbacks


def _inputs(event: Event) -> dict[str, Any]:
    """Return the component's inputs, under DSPy's names."""
    known = event.attributes
    match event.kind:
        case "lm":
            request = known["request"]
            messages = [message.to_json() for message in request.messages]
            return {"prompt": None, "messages": messages, "kwargs": dict(request.config)}
        case "adapter_format" | "adapter_parse":
            return {name: value for name, value in known.items() if name != "instance"}
        case "tool":
            return {"kwargs": known["inputs"]}
        case "interpreter" | "evaluate" | "optimize" | "method" | "interpreter_startup" | "interpreter_shutdown":
            inputs: dict[str, Any] = known["inputs"]
            return inputs
    return {"args": known["args"], "kwargs": known["inputs"]}


def _outputs(event: Event) -> Any:
    """Return the component's outputs, under DSPy's names; `None` if it raised."""
    result = event.attributes.get("result")
    match event.kind:
        case "lm" if result is not None:
            return [output.text for output in result.outputs]
        case "adapter_format" if result is not None:
            return [message.to_json() for message in result.messages]
    return result
