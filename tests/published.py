"""What published losses gave on small arrays; `testdata/make_loss_fixtures.py` says whose."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

_FILE = pathlib.Path(__file__).parent / 'testdata' / 'losses.json'


@functools.cache
def losses():
    """The content of losses.json, lists as arrays."""
    return json.loads(
        _FILE.read_text('utf-8'),
        object_hook=lambda part: {
            name: np.asarray(value) if isinstance(value, list) and _plain(value) else value
            for name, value in part.items()
        },
    )


def _plain(value):
    return all(isinstance(item, float) for item in value)


def assert_agrees(function, case, *others, factor=1.0):
    """That a mean loss of predictions and others is `factor` times a case's, as are its gradients.

    Both are float64 and differ in the order of their operations, of which there are a few dozen.
    """
    with jax.enable_x64(True):
        inputs = [jnp.asarray(losses()['predictions']), *map(jnp.asarray, others)]
        places = tuple(range(len(case['gradients'])))
        found, gradients = jax.jit(jax.value_and_grad(function, places))(*inputs)
        np.testing.assert_allclose(found, factor * case['loss'], rtol=1e-12)
        for mine, theirs in zip(gradients, case['gradients'], strict=True):
            wanted = factor * np.reshape(theirs, mine.shape)
            np.testing.assert_allclose(mine, wanted, rtol=1e-10, atol=1e-14)
