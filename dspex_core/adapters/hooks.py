"""DSPy's hooks for the parts of a prompt, for user adapters that override them. PYTEST_DONT_REWRITE

The built-in adapters write their prompts by `system`, `inputs`, `assistant` and `reminder`, and what no call changes
is kept. An adapter that overrides a hook of this module writes its whole conversation at each call, through the hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dspex_core.errors import ConfigurationError
from dspex_core.messages import Message
from dspex_core.plain.prompt_values import EarlierTurns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.signatures.signature import Signature

_PACKAGE = __name__.partition(".")[0]
_HOOKS = frozenset(
    {
        "format",
        "format_assistant_message_content",
        "format_conversation_history",
        "format_demos",
        "format_field_description",
        "format_field_structure",
        "format_system_message",
        "format_task_description",
        "format_user_message_content",
        "user_message_output_requirements",
    }
)


class Hooks:
    """The hooks that a user's adapter may override, by DSPy's names."""

    overrides_hooks: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Note whether a class of a user overrides a hook."""
        super().__init_subclass__(**options)
        if cls.__module__.partition(".")[0] != _PACKAGE:
            cls.overrides_hooks = cls.overrides_hooks or not _HOOKS.isdisjoint(vars(cls))

    def system(self, signature: type[Signature]) -> str:
        """Write the instructions and the fields; by default the three parts one after the other."""
        parts = (
            self.format_field_description(signature),
            self.format_field_structure(signature),
            self.format_task_description(signature),
        )
        return "\n\n".join(part for part in parts if part)

    def inputs(self, signature: type[Signature], values: Mapping[str, Any]) -> str:
        """Write input values; missing ones are left out."""
        raise NotImplementedError(f"{type(self).__name__} must define format, format_user_message_content or inputs")

    def assistant(self, signature: type[Signature], outputs: Mapping[str, Any]) -> Message:
        """Write outputs in the model's form; missing ones are marked as not supplied."""
        message = f"{type(self).__name__} must define format, format_assistant_message_content or assistant"
        raise NotImplementedError(message)

    def reminder(self, signature: type[Signature]) -> str:
        """Write what follows the inputs of a call (not those of demos)."""
        return ""

    def format_system_message(self, signature: type[Signature]) -> str:
        """Write the system message; by default the three parts of it."""
        return self.system(signature)

    def format_field_description(self, signature: type[Signature]) -> str:
        """Describe the fields."""
        return ""

    def format_field_structure(self, signature: type[Signature]) -> str:
        """Describe the layout of messages."""
        return ""

    def format_task_description(self, signature: type[Signature]) -> str:
        """Describe the task."""
        return signature.instructions

    def user_message_output_requirements(self, signature: type[Signature]) -> str:
        """Write what follows the inputs of a call."""
        return self.reminder(signature).strip()

    def format_user_message_content(
        self,
        signature: type[Signature],
        inputs: Mapping[str, Any],
        prefix: str = "",
        suffix: str = "",
        main_request: bool = False,  # noqa: FBT001, FBT002  DSPy's signature
    ) -> str:
        """Write the text of a user's turn: that of the call (`main_request`), of a demo or of an earlier one."""
        asked = self.user_message_output_requirements(signature) if main_request else ""
        parts = (prefix.strip(), self.inputs(signature, inputs), asked, suffix.strip())
        return "\n\n".join(part for part in parts if part)

    def format_assistant_message_content(
        self, signature: type[Signature], outputs: Mapping[str, Any], missing_field_message: str | None = None
    ) -> str:
        """Write outputs in the model's form; a message replaces missing ones."""
        given = dict(outputs)
        if missing_field_message is not None:
            given = {**dict.fromkeys(signature.output_fields, missing_field_message), **given}
        return self.assistant(signature, given).text

    def format_demos(self, signature: type[Signature], demos: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Write a user's and an assistant's turn for each demo that has an input and an output."""
        shown = [demo for demo in demos if _has_any(demo, signature.output_fields)]
        if signature.input_fields:
            shown = [demo for demo in shown if _has_any(demo, signature.input_fields)]
        return [message for demo in shown for message in self._exchange(signature, demo)]

    def format_conversation_history(
        self, signature: type[Signature], history_field_name: str, inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Write the earlier turns that the input `history_field_name` holds."""
        history = inputs.get(history_field_name)
        turns = history.turns() if isinstance(history, EarlierTurns) else []
        return [
            message
            for turn in turns
            for message in ([dict(turn)] if is_message(signature, turn) else self._exchange(signature, turn))
        ]

    def _exchange(self, signature: type[Signature], values: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"role": "user", "content": self.format_user_message_content(signature, values)},
            {"role": "assistant", "content": self.format_assistant_message_content(signature, values)},
        ]


def is_message(signature: type[Signature], turn: Mapping[str, Any]) -> bool:
    """Return whether an earlier turn is a message in OpenAI's form, and not the values of fields."""
    return turn.keys() == {"role", "content"} and not turn.keys() & signature.fields.keys()


def as_messages(written: Sequence[Mapping[str, Any]], adapter: Hooks) -> tuple[Message, ...]:
    """Read the messages that an adapter's `format` wrote.

    Raises:
        ConfigurationError: An item is not a message.
    """
    try:
        return tuple(Message.from_json(message) for message in written)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{type(adapter).__name__}.format returned invalid messages: {error}") from error


def _has_any(demo: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    return any(name in demo for name in fields)
