"""Whether JAX computes right here: what the programs are made of, held against float64 NumPy.

Compilers have been released that summed wrongly without a word. So before a study trains, sums,
products and reductions in the shapes that its programs use are computed once for each version,
machine and set of flags, and a wrong one refuses the study. Tolerances follow from the number of
terms: a sum of n products in float32 is off by at most lambda sqrt(n) u sum|products|, u = 2**-24,
but for a probability of 2 n exp(-lambda**2 / 2) (Higham and Mary 2019, theorem 2.4).
"""

import functools
import hashlib
import importlib.metadata
import json
import logging
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
from jax import lax

from imbreg_jax.compute import environment
from imbreg_jax.compute.environment import BackendError
from imbreg_jax.data.tasks import scaled_noise
from imbreg_jax.model.convolution import block_convolution

logger = logging.getLogger('imbreg_jax')

# What a failure advises to install: the version of requirements.lock.
SOUND_JAXLIB = '0.10.1'

_UNIT = 2.0**-24
_LAMBDA = 8.0
# Roundings beside the sum's: of squares, differences, means and roots.
_OTHERS = 4
# Of the inputs, those that lead with the run axis.
_OF_RUNS = (
    'blocks_1', 'kernel_1', 'gradient_1', 'blocks_2', 'kernel_2', 'gradient_2', 'flat', 'kernel_3',
    'gradient_3',
)  # fmt: skip
_PARTS = ('output', 'input', 'kernel')

Arrays = Mapping[str, Any]


class Case(NamedTuple):
    """What a result should be.

    Attributes:
      meaning: what is computed, for the sentence of a failure.
      expected: float64.
      tolerance: how far off a float32 result may be, of the shape of `expected`.
    """

    meaning: str
    expected: np.ndarray
    tolerance: np.ndarray


@functools.cache
def inputs() -> dict[str, np.ndarray]:
    """Arrays in the shapes of the paper's network and batch, two runs of it; float32."""
    generator = np.random.default_rng(0)
    shapes = {
        'rows': (2**15 + 1, 3),  # Just past what one task of a thread takes.
        'matrix': (3, 3),
        'images': (100, 52, 52),
        'predictions': (2, 50),
        'targets': (2, 50),
        # Both convolutions, on blocks, and a tenth of their batch.
        'blocks_1': (2, 13, 13, 10, 16),
        'kernel_1': (2, 2, 2, 16, 40),
        'gradient_1': (2, 12, 12, 10, 40),
        'blocks_2': (2, 12, 12, 10, 40),
        'kernel_2': (2, 3, 3, 40, 20),
        'gradient_2': (2, 10, 10, 10, 20),
        'flat': (2, 50, 2000),
        'kernel_3': (2, 2000, 50),
        'gradient_3': (2, 50, 50),
        # Two pixels each way in a block, as they are pooled where the pool is not folded.
        'pixels': (10, 12, 12, 2, 2, 2, 2, 10),
    }
    return {name: generator.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def results(given: Arrays, at_once: bool) -> dict[str, jax.Array]:
    """What is tested, a pure function, compiled as one program.

    Args:
      given: `inputs()`.
      at_once: whether all runs are computed at once, as on accelerators, or one after the other.
    """

    def loss(predictions, targets):
        return jnp.mean((predictions - targets) ** 2)

    def network(run):
        products: dict[str, jax.Array] = {}
        for name, function, operands in (
            ('convolution_1', block_convolution, ('blocks_1', 'kernel_1', 'gradient_1')),
            ('convolution_2', block_convolution, ('blocks_2', 'kernel_2', 'gradient_2')),
            ('dense', jnp.matmul, ('flat', 'kernel_3', 'gradient_3')),
        ):
            *pair, gradient = (run[operand] for operand in operands)
            out, transpose = jax.vjp(function, *pair)
            values = out, *transpose(gradient)
            products |= {f'{name}_{part}': v for part, v in zip(_PARTS, values, strict=True)}
        del products['convolution_1_input']  # Which no program computes, nor pays for compiling.
        return products

    found: dict[str, jax.Array] = {}
    with jax.default_matmul_precision('highest'):
        found['rows'] = jax.vmap(lambda row: jnp.sum((given['matrix'] @ row) ** 2))(given['rows'])
        found['std'] = scaled_noise.pixel_std(given['images'][..., None])
        pair = given['predictions'], given['targets']
        found['loss'], found['loss_gradient'] = jax.vmap(jax.value_and_grad(loss))(*pair)
        found['pool'] = given['pixels'].mean((4, 6))
        of_runs = {name: given[name] for name in _OF_RUNS}
        found |= jax.vmap(network)(of_runs) if at_once else lax.map(network, of_runs)
    return found


@functools.cache
def cases() -> dict[str, Case]:
    """What `results` should give."""
    given = {name: np.asarray(array, np.float64) for name, array in inputs().items()}
    made: dict[str, Case] = {}

    def add(name: str, meaning: str, expected: Any, magnitude: Any, terms: int) -> None:
        tolerance = (_LAMBDA * terms**0.5 + _OTHERS) * _UNIT * magnitude
        made[name] = Case(meaning, expected, tolerance)

    rows, matrix = given['rows'], given['matrix']
    squares = ((np.abs(rows) @ np.abs(matrix).T) ** 2).sum(-1)
    add('rows', 'sums of 3 squares', ((rows @ matrix.T) ** 2).sum(-1), squares, 9)
    stds = given['images'].std((1, 2))
    add('std', 'standard deviations of pixels', stds, stds, given['images'][0].size)
    error = given['predictions'] - given['targets']
    count = error.shape[-1]
    loss, slope = (error**2).mean(-1), 2 * error / count
    add('loss', 'mean losses of batches', loss, loss, count)
    add('loss_gradient', 'gradients of the loss', slope, np.abs(slope), 1)
    pixels = given['pixels']
    add('pool', 'average pools', pixels.mean((4, 6)), np.abs(pixels).mean((4, 6)), 4)
    for name, x, number, reference in (
        ('convolution_1', 'blocks_1', 1, _convolution),
        ('convolution_2', 'blocks_2', 2, _convolution),
        ('dense', 'flat', 3, _dense),
    ):
        operands = [given[key] for key in (x, f'kernel_{number}', f'gradient_{number}')]
        kernel = operands[1]
        terms = (
            kernel[0, ..., 0].size,
            kernel[0].size // kernel.shape[-2],
            operands[2][0, ..., 0].size,
        )
        expected, magnitudes = reference(*operands), reference(*map(np.abs, operands))
        kind = name.partition('_')[0]
        for part, *values in zip(_PARTS, expected, magnitudes, terms, strict=True):
            what = 'outputs' if part == 'output' else f'{part} gradients'
            add(f'{name}_{part}', f'{what} of a {kind} layer', *values)
    del made['convolution_1_input']
    return made


def _convolution(
    x: np.ndarray, kernel: np.ndarray, gradient: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Output and both gradients, from [R, H, W, B, C], [R, T, T, C, O], [R, H', W', B, O]."""
    runs, rows, columns, _, outputs = gradient.shape
    output, input_gradient, kernel_gradient = (np.zeros(a.shape) for a in (gradient, x, kernel))
    for i, j in np.ndindex(*kernel.shape[1:3]):
        cut = np.s_[:, i : i + rows, j : j + columns]
        tap = kernel[:, None, None, i, j]
        output += x[cut] @ tap
        input_gradient[cut] += gradient @ tap.swapaxes(-1, -2)
        pixels = x[cut].reshape(runs, -1, x.shape[-1])
        kernel_gradient[:, i, j] = pixels.swapaxes(1, 2) @ gradient.reshape(runs, -1, outputs)
    return output, input_gradient, kernel_gradient


def _dense(
    x: np.ndarray, kernel: np.ndarray, gradient: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Output and both gradients, from [R, B, n], [R, n, O], [R, B, O]."""
    return x @ kernel, gradient @ kernel.swapaxes(1, 2), x.swapaxes(1, 2) @ gradient


def failure(found: Mapping[str, Any]) -> str | None:
    """What is wrong with results, for a sentence, or None."""
    for name, case in cases().items():
        value = np.asarray(found[name], np.float64)
        off = np.abs(value - case.expected)
        wrong = ~(off <= case.tolerance)  # NaN is wrong too.
        if wrong.any():
            worst = np.unravel_index(np.argmax(np.where(wrong, off / case.tolerance, 0)), off.shape)
            return (
                f'{wrong.sum()} of {wrong.size} {case.meaning} are wrong, one being '
                f'{value[worst]:.9g} instead of {case.expected[worst]:.9g}, off by '
                f'{off[worst]:.2g} where rounding explains {case.tolerance[worst]:.2g}'
            )
    return None


def identity(device: Any) -> dict[str, Any]:
    """What a passed test holds for: versions, device, machine, flags and threads."""
    return {
        'imbreg_jax': importlib.metadata.version('imbreg_jax'),
        'jax': jax.__version__,
        'jaxlib': jaxlib.__version__,
        'numpy': np.__version__,
        'platform': device.client.platform_version,
        'device_kind': device.device_kind,
        'devices': device.client.device_count(),
        'machine': [platform.node(), platform.machine(), environment.processor()],
        'arithmetic': environment.arithmetic(),
    }


def check(device: Any, folder: Path) -> None:
    """Tests a device, unless it passed before.

    Args:
      device: the device.
      folder: where passed tests are remembered; one that cannot be written means that the test
        is made at each start.

    Raises:
      BackendError: a result is wrong.
    """
    tested = identity(device)
    text = json.dumps(tested, indent=2, sort_keys=True)
    passed = folder / 'self_test' / f'{hashlib.sha256(text.encode()).hexdigest()[:32]}.json'
    try:
        if passed.read_text('utf-8') == text:
            return
    except (OSError, ValueError):
        logger.debug('not tested before: %s', tested)
    given = jax.device_put(inputs(), device)
    program = jax.jit(results, static_argnums=1)
    wrong = failure(jax.device_get(program(given, device.platform != 'cpu')))
    if wrong is not None:
        raise BackendError(f'{_name(device)} computes wrongly: {wrong}; {_advice()}')
    try:
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.write_text(text, 'utf-8')
    except OSError as error:
        logger.debug('that JAX computes right here cannot be remembered: %s', error)


def _name(device: Any) -> str:
    return f'jaxlib {jaxlib.__version__} on this {device.platform} ({device.device_kind})'


def _advice() -> str:
    if jaxlib.__version__ != SOUND_JAXLIB:
        return (
            f"install a sound one (pip install 'jax=={SOUND_JAXLIB}' 'jaxlib=={SOUND_JAXLIB}'), in "
            'an environment of its own'
        )
    flags = environment.arithmetic()['xla_flags']
    return (
        f'this version is sound elsewhere, so suspect the XLA flags ({flags or "none are set"}) or '
        'the machine itself, and do not train here'
    )
