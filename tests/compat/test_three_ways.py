"""Code of DSPy's users gives the same replies in DSPy, natively, through the bridge, converted, and under the alias."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import three_ways
from both import in_real

from dspex_core.interop import as_program, from_dspy, to_dspy

CASES = list(three_ways.CASES)


@pytest.mark.parametrize("name", CASES)
def test_natively_through_the_bridge_and_converted(ours, real, name):
    written = three_ways.CASES[name][0]
    expected = in_real(three_ways.run, real, name)

    assert three_ways.run(ours, name) == expected
    assert three_ways.run(ours, name, lambda _: as_program(in_real(written, real))) == expected
    assert three_ways.run(ours, name, lambda _: from_dspy(in_real(written, real))) == expected
    assert three_ways.run(real, name, lambda _: to_dspy(written(ours))) == expected


def test_under_the_alias(ours):
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "three_ways.py"], cwd=here, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: three_ways.run(ours, name) for name in CASES}
