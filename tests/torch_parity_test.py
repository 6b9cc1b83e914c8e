"""Our network against PyTorch's: recorded (testdata/torch_parity.npz) and, with torch, live.

Same weights and images give the same outputs, loss, gradients and, after several Adam steps, the
same weights; dropout off. PyTorch's own float32 rounding, recorded beside the numbers, is the
scale of every tolerance.
"""

import functools
import importlib.util
import pathlib
import unittest

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl.testing import absltest, parameterized

import torch_reference
from imbreg_jax.model.network import RegressionCNN
from imbreg_jax.training import objectives
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_FILE = pathlib.Path(__file__).parent / 'testdata' / 'torch_parity.npz'
_HAS_TORCH = importlib.util.find_spec('torch') is not None
# Both sides round, and in another order: each is off by about the recorded error, which itself is
# the largest of only a few numbers. A wrong axis, bias or step is off by a thousand times that.
_ALLOWANCE = 16


@functools.cache
def _recorded() -> dict[str, np.ndarray]:
    with np.load(_FILE) as file:
        return dict(file)


def _torch_parameters(values, prefix) -> dict[str, dict[str, np.ndarray]]:
    return torch_reference.to_flax(
        {name: values[f'{prefix}/{name}'] for name in torch_reference.PARAMETERS}
    )


@functools.cache
def _ours(order: str, fold: bool) -> dict[str, object]:
    """What our network computes from the recorded weights and images."""
    values = _recorded()
    images, targets = jnp.asarray(values['images'])[..., None], jnp.asarray(values['targets'])
    network = RegressionCNN(
        conv_features=torch_reference.CONV_FEATURES,
        dense_features=torch_reference.DENSE_FEATURES,
        order=order,
        fold=fold,
    )
    adam = optax.scale_by_adam()

    def loss_of(params):
        outputs = network.apply({'params': params}, images)[:, 0]
        return jnp.mean(objectives.squared_error(outputs, targets)), outputs

    @jax.jit
    def step(params, moments):
        (loss, outputs), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, moments = adam.update(gradients, moments)
        params = jax.tree.map(lambda p, u: p - values['learning_rate'] * u, params, updates)
        return params, moments, loss, outputs, gradients

    params = jax.tree.map(jnp.asarray, _torch_parameters(values, 'parameters'))
    moments = adam.init(params)
    result: dict[str, object] = {}
    with jax.default_matmul_precision('highest'):
        for number in range(int(values['adam_steps'])):
            params, moments, loss, outputs, gradients = step(params, moments)
            if number == 0:
                result = {'outputs': outputs, 'loss': loss, 'gradients': gradients}
    return result | {'trained': params}


class ParityTest(parameterized.TestCase):
    def _assert_close(self, found, wanted, tolerance):
        """Within `tolerance` of the largest number of each array, as the rounding is recorded."""
        found, wanted = jax.tree.map(np.asarray, (found, wanted))
        self.assertEqual(jax.tree.structure(found), jax.tree.structure(wanted))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            self.assertEqual(a.shape, b.shape)
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())

    def _compare(self, ours, values, order):
        for kind in ('outputs', 'loss', 'gradients', 'trained'):
            name = f'{order}/{kind}'
            wanted = values[name] if name in values else _torch_parameters(values, name)
            with self.subTest(kind):
                tolerance = _ALLOWANCE * float(values[f'{order}/rounding/{kind}'])
                self._assert_close(ours[kind], wanted, tolerance)

    @parameterized.product(order=torch_reference.ORDERS, fold=(True, False))
    def test_recorded(self, order, fold):
        self._compare(_ours(order, fold), _recorded(), order)

    @unittest.skipUnless(_HAS_TORCH, 'torch is not installed')
    def test_live(self):
        values = torch_reference.parity()
        # Ours are computed from the recorded weights: PyTorch's live ones must be the same.
        for name in torch_reference.PARAMETERS:
            np.testing.assert_array_equal(
                values[f'parameters/{name}'],
                _recorded()[f'parameters/{name}'],
                'PyTorch draws other weights than it did: run make_torch_fixtures.py again',
            )
        for order in torch_reference.ORDERS:
            self._compare(_ours(order, True), values, order)

    def test_every_parameter_moved_far_beyond_the_tolerance(self):
        # Else equal weights after training would say nothing.
        values = _recorded()
        for order in torch_reference.ORDERS:
            rounding = float(values[f'{order}/rounding/trained'])
            for name in torch_reference.PARAMETERS:
                after = values[f'{order}/trained/{name}']
                way = np.abs(after - values[f'parameters/{name}']).max()
                self.assertGreater(way, 100 * _ALLOWANCE * rounding * np.abs(after).max(), name)


class InitialDistributionTest(parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        network = RegressionCNN()
        cls.seeds = 50
        draw = jax.jit(jax.vmap(lambda key: network.init(key, jnp.zeros((1, 52, 52, 1)))['params']))
        cls.params = jax.tree.map(
            lambda a: np.asarray(a, np.float64),
            draw(jax.random.split(jax.random.key(0), cls.seeds)),
        )

    @parameterized.parameters(*torch_reference.PARAMETERS)
    def test_is_pytorchs(self, name):
        layer, kind = name.split('.')
        ours = self.params[layer]['kernel' if kind == 'weight' else 'bias']
        fact = lambda key: _recorded()[f'initial/{name}/{key}']  # noqa: E731
        self.assertEqual(ours[0].size, fact('shape').prod())
        bound = float(fact('bound'))
        # float32 may round the bound itself, and no further.
        largest = bound * (1 + 2.0**-23)
        for low, high in ((ours.min(), ours.max()), (fact('minimum'), fact('maximum'))):
            self.assertGreaterEqual(low, -largest)
            self.assertLessEqual(high, largest)
        for mean, std, count in (
            (ours.mean(), ours.std(), ours.size),
            (fact('mean'), fact('std'), ours[0].size * int(_recorded()['initial_seeds'])),
        ):
            # Uniform within +-b: standard deviation b/sqrt(3), its standard error
            # b/sqrt(15 n) (kurtosis 9/5), the mean's b/sqrt(3 n). 5 of each, p < 1e-6.
            self.assertAlmostEqual(mean, 0, delta=5 * bound / np.sqrt(3 * count))
            self.assertAlmostEqual(std, bound / np.sqrt(3), delta=5 * bound / np.sqrt(15 * count))

    def test_runs_to_its_bounds(self):
        # The largest of n uniforms misses the bound by more than 2b * ln(1e6)/n with p < 1e-6.
        for layer, kinds in self.params.items():
            for kind, values in kinds.items():
                torchs = f'{layer}.{"weight" if kind == "kernel" else kind}'
                bound = float(_recorded()[f'initial/{torchs}/bound'])
                miss = 2 * bound * min(1.0, np.log(1e6) / values.size)
                self.assertGreater(values.max(), bound - miss)
                self.assertLess(values.min(), miss - bound)

    def test_of_two_layers_are_independent(self):
        first = self.params['conv1']['kernel'].reshape(self.seeds, -1)[:, :10]
        second = self.params['conv2']['kernel'].reshape(self.seeds, -1)[:, :10]
        # The correlation of 500 pairs has standard error 1/sqrt(500).
        correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
        self.assertLess(abs(correlation), 5 / np.sqrt(500))


if __name__ == '__main__':
    absltest.main()
