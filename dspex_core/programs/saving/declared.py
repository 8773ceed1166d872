"""What the source says of a predictor, kept when states and optimizers change it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.programs.saving.state import Declaration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.adapters.base import Adapter
    from dspex_core.programs.demos.selector import DemoSelector
    from dspex_core.signatures.signature import Signature


class Declared:
    """The part of a predictor that knows what the program's source says of it."""

    signature: type[Signature]
    config: dict[str, Any]
    demo_selector: DemoSelector | None
    adapter: Adapter | None
    _demos: Sequence[Mapping[str, Any]]

    @property
    def declared(self) -> Declaration:
        """What the program's source says of this predictor; neither states nor optimizers change that."""
        own = Declaration(self.signature, dict(self.config), self._demos, self.demo_selector, self.adapter)
        found: Declaration = vars(self).get("_dspex_declared", own)
        return found

    @property
    def is_declared(self) -> bool:
        """Whether it may be another by now than the source says."""
        return "_dspex_declared" in vars(self)

    def declare(self, declaration: Declaration) -> None:
        """Note what the program's source says of this predictor, unless that is noted already."""
        vars(self).setdefault("_dspex_declared", declaration)
