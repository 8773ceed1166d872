"""DSPy's `Colors`: names of colors, a dataset that needs no download. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import random
from typing import Any

from dspex_core.datasets.dataset import Dataset

_NAMES = """
alice blue, dodger blue, light sky blue, deep sky blue, sky blue, steel blue, light steel blue, medium blue,
navy blue, blue, royal blue, cadet blue, cornflower blue, medium slate blue, slate blue, dark slate blue, powder
blue, turquoise, dark turquoise, medium turquoise, pale turquoise, light sea green, medium sea green, sea green,
forest green, green yellow, lime green, dark green, green, lime, chartreuse, lawn green, yellow green, olive
green, dark olive green, medium spring green, spring green, medium aquamarine, aquamarine, aqua, cyan, dark
cyan, teal, medium orchid, dark orchid, orchid, blue violet, violet, dark violet, plum, thistle, magenta,
fuchsia, dark magenta, medium purple, purple, rebecca purple, dark red, fire brick, indian red, light coral,
dark salmon, light salmon, salmon, red, crimson, tomato, coral, orange red, dark orange, orange, yellow, gold,
light goldenrod yellow, pale goldenrod, goldenrod, dark goldenrod, beige, moccasin, blanched almond, navajo
white, antique white, bisque, burlywood, dark khaki, khaki, tan, wheat, snow, floral white, old lace, ivory,
linen, seashell, honeydew, mint cream, azure, lavender, ghost white, white smoke, gainsboro, light gray, silver,
dark gray, gray, dim gray, slate gray, light slate gray, dark slate gray, black, medium violet red, pale violet
red, deep pink, hot pink, light pink, pink, peach puff, rosy brown, saddle brown, sandy brown, chocolate, peru,
sienna, brown, maroon, white, misty rose, lavender blush, papaya whip, lemon chiffon, light yellow, corn silk,
pale green, light green, olive drab, olive, dark sea green
"""
all_colors = _NAMES.strip().replace("\n", " ").split(", ")


class Colors(Dataset):
    """The names of the colors of CSS, one a row; `train` and `dev` have none in common.

    Args:
        sort_by_suffix: Whether names that end alike are in the same set.
        *args: As for `Dataset`.
        **kwargs: As for `Dataset`.
    """

    def __init__(self, sort_by_suffix: bool = True, *args: Any, **kwargs: Any) -> None:  # noqa: FBT001, FBT002  DSPy's
        super().__init__(*args, **kwargs)
        self.sort_by_suffix = sort_by_suffix
        colors = self.sorted_by_suffix(all_colors)
        end = int(len(colors) * 0.6)
        self._train, self._dev = ([{"color": color} for color in part] for part in (colors[:end], colors[end:]))
        random.Random(0).shuffle(self._train)  # noqa: S311  no secret; DSPy's order
        random.Random(0).shuffle(self._dev)  # noqa: S311  as above

    def sorted_by_suffix(self, colors: list[Any]) -> list[Any]:
        """Return names, or rows with one each, in the order of their letters from the last to the first."""
        if not self.sort_by_suffix:
            return colors
        return sorted(colors, key=lambda color: (color if isinstance(color, str) else color["color"])[::-1])
