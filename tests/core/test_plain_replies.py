"""Replies that are one whole answer and nothing else: a quick reading finds what the general one does."""

from hypothesis import given
from hypothesis import strategies as st

from dspex_core import Signature
from dspex_core.adapters.formats import MARKED, TAGGED
from dspex_core.adapters.thinking import regions

PIECES = (
    *("[[ ## answer ## ]]", "[[ ## count ## ]]", "[[ ## completed ## ]]", "[[ ## question ## ]]", "[[ ## other ## ]]"),
    *("<answer>", "</answer>", "<count>", "</count>"),
    *("<think>", "</think>", "[THINK]", "[/THINK]", "\u25c1/think\u25b7"),
    *("\n", "\n\n", " ", "Paris", "3", "## a heading", "**", "> ", "\ufeff", "&lt;", "{answer}", "```"),
)
SIGNATURE = Signature("question -> answer, count: int")


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.sampled_from([MARKED, TAGGED]))
def test_the_quick_reading_finds_what_the_general_one_finds_first(reply, form):
    found = form.plain(SIGNATURE, reply)
    general = [answer for region in regions(reply, SIGNATURE) for answer in form.answers(SIGNATURE, region)]
    assert found is None or found == general[0]


def test_ordinary_replies_are_read_quickly():
    marked = "[[ ## answer ## ]]\nParis\n\n[[ ## count ## ]]\n3\n\n[[ ## completed ## ]]"
    tagged = "<answer>\nParis\n</answer>\n\n<count>\n3\n</count>"
    assert MARKED.plain(SIGNATURE, marked) == TAGGED.plain(SIGNATURE, tagged) == {"answer": "Paris", "count": "3"}
