"""The door through which LM calls are recorded and replayed. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dspex_core.messages import LMRequest, LMResponse


class Recorder(Protocol):
    """Stands before every LM call while it is `settings.recorder`; a cassette implements it.

    Both methods are called from many threads at once.
    """

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the recorded response, or `None` to let the LM answer.

        A recorder that may not let the LM answer raises, and says which request it lacks.
        """

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Keep what the LM has just answered."""
