"""Tests of imbreg_jax.model.network: its fast path against its plain one, and its dropouts.

Both in float64, where differences are mistakes; see layers_test.py.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from jax import lax

from imbreg_jax.model import activations, layers
from imbreg_jax.model.network import DropoutRates, RegressionCNN
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_RATES = DropoutRates(0.5, 0.5)
_SMALL = {'conv_features': (3, 4), 'dense_features': 6}


def _images(size, count=5):
    return jnp.asarray(np.random.default_rng(0).standard_normal((count, size, size, 1)) * 3)


def _params(network, size):
    """Parameters in float64 of about PyTorch's size."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, size, size, 1)))[
        'params'
    ]
    generator = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: jnp.asarray(generator.uniform(-1, 1, leaf.shape) / leaf.size**0.25), shapes
    )


def _features(network, params, images, key=None, rate=_RATES.conv):
    """The last hidden features, under the masks that the whole network has with this key."""
    conv_key = None if key is None else jax.random.split(key)[0]
    return network.apply({'params': params}, images, rate, conv_key, method='encode')


def _loss_and_gradients(network, params, images, key, rates=_RATES):
    def loss(params, images):
        outputs = network.apply({'params': params}, images, rates, key)
        return jnp.mean((outputs - 3) ** 2), (outputs, _features(network, params, images, key))

    return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, images)


class Double(parameterized.TestCase):
    """Tests in float64."""

    def setUp(self):
        super().setUp()
        self.enter_context(jax.enable_x64(True))
        self.enter_context(jax.default_matmul_precision('highest'))

    def assert_close(self, found, wanted):
        self.assertEqual(jax.tree.structure(found), jax.tree.structure(wanted))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)

    def assert_same(self, fast, plain, params, images):
        """Outputs, features, loss and gradients agree, under the same masks."""
        both = jax.jit(
            lambda key: [_loss_and_gradients(n, params, images, key) for n in (fast, plain)]
        )
        self.assert_close(*both(jax.random.key(1)))


class FastPathTest(Double):
    @parameterized.parameters((16, 5), (21, 5), (22, 5), (23, 5), (17, 3), (19, 4))
    def test_is_the_plain_one_for_any_size(self, size, kernel):
        fast = RegressionCNN(kernel_size=kernel, **_SMALL)
        plain = RegressionCNN(kernel_size=kernel, fold=False, **_SMALL)
        params = _params(fast, size)
        self.assert_same(fast, plain, params, _images(size))

    @parameterized.parameters(
        ('pool_relu', 'element'), ('relu_pool', 'channel'), ('relu_pool', 'element')
    )
    def test_is_the_plain_one_in_every_form(self, order, dropout):
        form = {'order': order, 'conv_dropout': dropout, **_SMALL}
        fast, plain = RegressionCNN(**form), RegressionCNN(fold=False, **form)
        self.assert_same(fast, plain, _params(fast, 16), _images(16))

    def test_an_image_does_not_depend_on_its_batch(self):
        network = RegressionCNN(**_SMALL)
        params, images = _params(network, 20), _images(20)
        predict = jax.jit(lambda images: network.apply({'params': params}, images))
        others = images.at[1:].set(7.0)
        self.assert_close(predict(others)[0], predict(images)[0])
        self.assert_close(predict(images[::-1]), predict(images)[::-1])


_ACTIVATIONS = {
    'relu': lambda x: jnp.maximum(x, 0),
    'leaky_relu': lambda x: jnp.where(x > 0, x, 0.01 * x),
    'elu': lambda x: jnp.where(x > 0, x, jnp.expm1(jnp.minimum(x, 0))),
    'gelu': lambda x: x * (1 + jax.scipy.special.erf(x / math.sqrt(2))) / 2,
    'silu': lambda x: x / (1 + jnp.exp(-x)),
    'softplus': lambda x: jnp.log(1 + jnp.exp(x)),
    'tanh': jnp.tanh,
}


def _plain(network, params, images, own_statistics=False):
    """The outputs as a reader can check them, on pixels, dropout off; and statistics of maps."""
    act, kind = _ACTIVATIONS[network.activation], network.normalization
    statistics = {}
    x = images
    if kind == 'input':
        x = x / x.std((1, 2, 3), keepdims=True)
    for i in range(len(network.conv_features)):
        name = f'conv{i + 1}'
        layer = params[name]
        x = lax.conv_general_dilated(
            x, layer['kernel'], (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )
        if kind in ('layer', 'instance', 'batch'):
            axes = {'layer': (1, 2, 3), 'instance': (1, 2), 'batch': (0, 1, 2)}[kind]
            mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
            statistics[name] = {'mean': x.mean((0, 1, 2)), 'variance': x.var((0, 1, 2), ddof=1)}
            if kind == 'batch' and not own_statistics:
                mean, variance = layer['mean'], layer['variance']
            x = (x - mean) / jnp.sqrt(variance + 1e-5) * layer['scale']
        x = x + layer.get('bias', 0)
        x = act(_pool(x, network.pool) if network.order == 'pool_relu' else x)
        x = _pool(x, network.pool) if network.order == 'relu_pool' else x
    for name in ('dense1', 'dense2'):
        x = x.reshape(len(x), -1) @ params[name]['kernel'] + params[name].get('bias', 0)
        x = act(x) if name == 'dense1' else x
    return x, statistics


def _pool(x, kind):
    if kind == 'none':
        return x
    start, function = {'average': (0.0, lax.add), 'max': (-jnp.inf, lax.max)}[kind]
    x = lax.reduce_window(x, start, function, (1, 2, 2, 1), (1, 2, 2, 1), 'VALID')
    return x / 4 if kind == 'average' else x


class FormTest(Double):
    """Each of the settings, in company of others, against the network written plainly."""

    @parameterized.parameters(
        (25, {'conv_features': (2, 4, 3), 'activation': 'gelu', 'bias': False}),
        (15, {'conv_features': (3,), 'pool': 'max', 'normalization': 'instance'}),
        (9, {'pool': 'none', 'normalization': 'layer', 'activation': 'tanh'}),
        (21, {'normalization': 'batch', 'order': 'relu_pool', 'activation': 'leaky_relu'}),
        (19, {'normalization': 'input', 'pool': 'max', 'order': 'relu_pool', 'bias': False}),
    )
    def test_is_the_plain_one(self, size, form):
        network = RegressionCNN(kernel_size=3, **_SMALL | form)
        params, images = _params(network, size), _images(size)
        for layer in params.values():
            if 'variance' in layer:
                layer['variance'] = layer['variance'] ** 2 + 1
        batch = network.normalization == 'batch'

        def ours(params):
            mutable = [layers.STATISTICS] if batch else []
            outputs, found = network.apply({'params': params}, images, mutable=mutable)
            return (outputs**2).sum(), found.get(layers.STATISTICS, {})

        def plain(params):
            outputs, found = _plain(network, params, images, own_statistics=True)
            return (outputs**2).sum(), found if batch else {}

        @jax.jit
        def all_of(params):
            trained = [jax.value_and_grad(f, has_aux=True)(params) for f in (ours, plain)]
            evaluated = network.apply({'params': params}, images)
            return trained, (evaluated, _plain(network, params, images)[0])

        trained, evaluated = all_of(params)
        self.assert_close(*trained)
        self.assert_close(*evaluated)
        ((_, found), _) = trained[0]
        self.assertEqual(bool(found), batch)
        moved = layers.running(params, params, found)
        for name, kinds in found.items():
            for kind, value in kinds.items():
                self.assert_close(moved[name][kind], 0.1 * (value - params[name][kind]))

    def test_has_every_activation(self):
        self.assertEqual(_ACTIVATIONS.keys(), activations.ACTIVATIONS.keys())
        x = jnp.linspace(-5, 5, 101)
        for name, function in _ACTIVATIONS.items():
            np.testing.assert_allclose(activations.ACTIVATIONS[name](x), function(x), atol=1e-12)


class HomogeneityTest(parameterized.TestCase):
    """Twice the pixels, in float32, where a factor of 2 rounds nothing."""

    @parameterized.parameters(
        ({'bias': False}, 2),
        ({'bias': False, 'activation': 'leaky_relu', 'pool': 'max', 'conv_features': (3,)}, 2),
        ({'bias': False, 'normalization': 'input'}, 1),
        ({}, None),
    )
    def test_is_exact_where_there_is_one(self, form, factor):
        network = RegressionCNN(kernel_size=3, **_SMALL | form)
        images = jnp.float32(_images(18))
        params = jax.tree.map(jnp.float32, _params(network, 18))
        predict = jax.jit(
            lambda images: [
                network.apply({'params': params}, images, _RATES, key)
                for key in (None, jax.random.key(1))  # Without masks and with them.
            ]
        )
        once, twice = np.asarray(predict(images)), np.asarray(predict(2 * images))
        if factor:
            np.testing.assert_array_equal(twice, factor * once)
        else:
            self.assertGreater(np.abs(twice - 2 * once).max(), 1e-3)


class ShapeTest(absltest.TestCase):
    def test_of_the_papers_network(self):
        network = RegressionCNN()
        shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 52, 52, 1)))[
            'params'
        ]
        self.assertEqual(
            jax.tree.map(lambda leaf: leaf.shape, shapes),
            {
                'conv1': {'kernel': (5, 5, 1, 10), 'bias': (10,)},
                'conv2': {'kernel': (5, 5, 10, 20), 'bias': (20,)},
                'dense1': {'kernel': (2000, 50), 'bias': (50,)},
                'dense2': {'kernel': (50, 1), 'bias': (1,)},
            },
        )

    def test_outputs_are_linear_and_features_are_not_negative(self):
        network = RegressionCNN(**_SMALL)
        images = jnp.float32(_images(20, 50))
        params = _params(network, 20)
        params['dense2']['bias'] = jnp.array([-100.0])
        predictions = network.apply({'params': params}, images)
        features = _features(network, params, images)
        self.assertEqual((predictions.shape, features.shape), ((50, 1), (50, 6)))
        self.assertLess(predictions.max(), 0)
        self.assertGreaterEqual(features.min(), 0)


class DropoutTest(Double):
    def _probe(self, dropout, rate=0.5, size=20, count=40):
        """A network whose second convolution passes ones on and whose features are its pixels.

        Returns its features as [count, pixels, channels].
        """
        second, final = 4, 2
        network = RegressionCNN(
            conv_features=(3, second), dense_features=final**2 * second, conv_dropout=dropout
        )
        params = jax.tree.map(jnp.zeros_like, _params(network, size))
        params['conv2']['bias'] = jnp.ones(second)
        params['dense1']['kernel'] = jnp.eye(final**2 * second)
        features = _features(network, params, _images(size, count), jax.random.key(3), rate)
        return np.asarray(features).reshape(count, final**2, second)

    def test_of_channels_drops_whole_channels(self):
        features = self._probe('channel')
        np.testing.assert_array_equal(features, features[:, :1].repeat(4, 1))
        self.assertEqual(set(np.unique(features)), {0.0, 2.0})
        # 160 channels at rate 1/2: 5 standard errors of the fraction are 0.2.
        self.assertAlmostEqual((features[:, 0] == 0).mean(), 0.5, delta=0.2)
        self.assertGreater(len(np.unique(features[:, 0], axis=0)), 8)

    def test_of_elements_drops_pixels_before_pooling(self):
        features = self._probe('element')
        # Means of four masks of 0 or 2, and not the same over a channel.
        self.assertEqual(set(np.unique(features)), {0.0, 0.5, 1.0, 1.5, 2.0})
        self.assertFalse((features == features[:, :1]).all())
        # 2,560 masks at rate 1/2: 5 standard errors of their mean are 0.1.
        self.assertAlmostEqual(features.mean(), 1, delta=0.1)

    @parameterized.parameters('channel', 'element')
    def test_at_rate_zero_is_off(self, dropout):
        network = RegressionCNN(conv_dropout=dropout, **_SMALL)
        params, images = _params(network, 20), _images(20)
        zero = DropoutRates(jnp.float32(0), jnp.float32(0))
        self.assert_close(
            network.apply({'params': params}, images, zero, jax.random.key(1)),
            network.apply({'params': params}, images),
        )

    def test_of_dense_features_alone(self):
        network = RegressionCNN(**_SMALL)
        params = _params(network, 20)
        features = _features(network, params, _images(20))
        key = jax.random.key(4)
        outputs = network.apply({'params': params}, features, 0.5, key, method='head')
        masked = features * layers.dropout_mask(key, 0.5, features.shape)
        last = params['dense2']
        self.assert_close(outputs, masked @ last['kernel'] + last['bias'])

    def test_of_the_convolution_alone(self):
        network = RegressionCNN(**_SMALL)
        params, images = _params(network, 20), _images(20)
        features = _features(network, params, images, jax.random.key(4))
        without = _features(network, params, images)
        self.assertGreater(np.abs(features - without).max(), 1e-3)

    @parameterized.parameters('channel', 'element')
    def test_many_masks_may_share_what_comes_before_them(self, dropout):
        network = RegressionCNN(conv_dropout=dropout, **_SMALL)
        variables, images = {'params': _params(network, 20)}, _images(20)
        maps = network.apply(variables, images, True, method='convolve')
        for seed in (1, 2):
            keys = jax.random.split(jax.random.key(seed), len(images))
            self.assert_close(
                network.apply(variables, maps, 0.5, keys, method='features'),
                network.apply(variables, images, 0.5, keys, method='encode'),
            )


class OutputsTest(Double):
    def test_of_several_channels_and_outputs(self):
        network = RegressionCNN(channels=3, outputs=2, **_SMALL)
        shape = (1, 20, 20, 3)
        params = jax.jit(network.init)(jax.random.key(0), jnp.zeros(shape))['params']
        self.assertEqual(params['conv1']['kernel'].shape, (5, 5, 3, 3))
        images = jnp.asarray(np.random.default_rng(0).standard_normal((4, *shape[1:])))
        plain = RegressionCNN(channels=3, outputs=2, fold=False, **_SMALL)
        found = network.apply({'params': params}, images)
        self.assertEqual(found.shape, (4, 2))
        self.assert_close(found, plain.apply({'params': params}, images))


if __name__ == '__main__':
    absltest.main()
