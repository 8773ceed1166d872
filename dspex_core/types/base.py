"""The base of user-defined types. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Any

import pydantic

from dspex_core.plain.prompt_values import Placement, PromptValue


class Type(pydantic.BaseModel, PromptValue):
    """A pydantic model that defines its form in a prompt.

    class Chart(Type):
        title: str
        url: str

        def format(self):
            return [{"type": "text", "text": self.title}, {"type": "image_url", "image_url": {"url": self.url}}]

    `format` returns a text or the parts of a message.
    """

    @pydantic.model_serializer(mode="wrap")
    def _serialized(self, handler: pydantic.SerializerFunctionWrapHandler, info: pydantic.SerializationInfo) -> Any:
        """Serialize the value as JSON, or in a prompt (the context is a `Placement`) as its placeholder."""
        return info.context.place(self) if isinstance(info.context, Placement) else self._stored(handler)

    def serialize_model(self) -> Any:
        """Return the value's form in a prompt as plain data: a text or the parts of a message."""
        return self.format()

    def _stored(self, handler: pydantic.SerializerFunctionWrapHandler) -> Any:
        return handler(self)
