"""The recorder of fixtures that tests share, while one is set up or torn down. PYTEST_DONT_REWRITE

Threads and tasks that such a fixture starts may serve many tests. Their calls belong to the fixture as long as it is
set up or torn down, and to the running test at any other time.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from pytest_dspex.cassettes.stash import RECORDING
from pytest_dspex.running.misses import take_of
from pytest_dspex.running.recorders import OnDemand
from pytest_dspex.running.routing import ROUTER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_dspex.cassettes.places import Place
    from pytest_dspex.running.routing import Router


@contextmanager
def around_setup(definition: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[None]:
    """Record the calls of a fixture's setup, and later those of its teardown, in the fixture's cassette."""
    router = request.config.stash.get(ROUTER, None)
    if router is None:
        yield
        return

    @cache
    def place() -> Place:
        from pytest_dspex.cassettes.places import place_of_fixture  # only fixtures that call an LM need it

        return place_of_fixture(definition, request, function=function)

    function = definition.func
    recorder = OnDemand(request.config, place)
    teardown = ExitStack()
    definition.addfinalizer(lambda: _end(router, recorder, teardown))  # the first added is run last
    try:
        with router.serving(recorder):
            yield
    except BaseException:
        take_of(recorder, router)  # one reason is enough
        raise
    finally:
        definition.addfinalizer(lambda: teardown.enter_context(router.serving(recorder)))
    if (miss := take_of(recorder, router)) is not None:
        definition.finish(request)  # type: ignore[arg-type]  # else the next test would get the fixture's value
        raise miss
    if recorder.is_open:
        request.config.stash[RECORDING].was_set_up(place())


def _end(router: Router, recorder: OnDemand, teardown: ExitStack) -> None:
    teardown.close()
    if (miss := take_of(recorder, router)) is not None:
        raise miss
