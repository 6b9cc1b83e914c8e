"""For test files about mathematics or files: programs compiled without optimisation.

They compile in half of the time. What the compiler makes of the programs that studies run is the
matter of `engine_test.py`, which has them as studies have them.
"""

from unittest import mock

import jax

from imbreg_jax.compute import backend

_NAME = 'jax_disable_most_optimizations'
# A study would set it back.
_in_studies = mock.patch.dict(backend._PINNED_GLOBALLY, {_NAME: True})


def setUpModule() -> None:
    """Compiles quickly from here on."""
    _in_studies.start()
    _switch(True)


def tearDownModule() -> None:
    """Compiles as ever again."""
    _in_studies.stop()
    _switch(False)


def _switch(quick: bool) -> None:
    jax.config.update(_NAME, quick)
    # Functions that both kinds of tests call would stay as the first one had them compiled.
    jax.clear_caches()
