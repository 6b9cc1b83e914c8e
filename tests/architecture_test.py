"""Tests of imbreg_jax.study.architecture: against the network itself, and counted by hand."""

import jax
import jax.numpy as jnp
from absl.testing import absltest, parameterized

from imbreg_jax.model.network import RegressionCNN
from imbreg_jax.study.architecture import Architecture


class ArchitectureTest(parameterized.TestCase):
    @parameterized.parameters(
        (52, 5, (10, 20), 50), (20, 5, (3, 4), 6), (27, 3, (2, 7), 1), (16, 4, (1, 1), 9)
    )
    def test_counts_what_the_network_has(self, size, kernel, conv, dense):
        network = RegressionCNN(conv, kernel, dense)
        shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, size, size, 1)))
        counted = {
            name: sum(leaf.size for leaf in jax.tree.leaves(layer))
            for name, layer in shapes['params'].items()
        }
        found = Architecture(size, kernel, conv, dense)
        self.assertEqual({layer.name: layer.parameters for layer in found.layers}, counted)
        self.assertEqual(found.parameters, sum(counted.values()))
        self.assertEqual(found.flattened, shapes['params']['dense1']['kernel'].shape[0])

    def test_of_the_paper(self):
        network = Architecture(52)
        self.assertEqual(network.sides, (52, 48, 24, 20, 10))
        # Koehler's network on 52 x 52: 260 + 5,020 + 100,050 + 51.
        self.assertEqual(network.parameters, 105_381)
        # 6 x 6 kernels at 24 x 24 and 10 x 10 places; the first layer's input needs no gradient.
        forward = (24**2 * 10 * 36, 10**2 * 20 * 10 * 36, 2000 * 50, 50)
        self.assertEqual(network.training_multiplications, 3 * sum(forward) - forward[0])
        self.assertEqual(network.widest, 10 * 48**2)

    @parameterized.product(bias=(True, False), normalization=('none', 'input', 'layer', 'batch'))
    def test_counts_what_is_trained_in_every_form(self, bias, normalization):
        form = {'bias': bias, 'normalization': normalization}
        network = RegressionCNN((2, 3, 4), 3, 5, **form)
        shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 30, 30, 1)))
        counted = {
            name: sum(leaf.size for kind, leaf in layer.items() if kind not in ('mean', 'variance'))
            for name, layer in shapes['params'].items()
        }
        found = Architecture(30, 3, (2, 3, 4), 5, **form)
        self.assertEqual({layer.name: layer.parameters for layer in found.layers}, counted)

    @parameterized.parameters(
        {'pool': 'max'},
        {'pool': 'none'},
        {'order': 'relu_pool'},
        {'normalization': 'layer'},
        {'normalization': 'instance'},
        {'normalization': 'batch'},
        {'conv_dropout': 'element'},
    )
    def test_a_pool_that_does_not_fold_leaves_whole_maps(self, **form):
        network = Architecture(20, 5, (3, 4), 6, **form)
        folds = [layer.folded for layer in network.convolutions]
        self.assertEqual(folds, ['conv_dropout' in form, False])
        layer = network.convolutions[1]
        self.assertEqual(layer.multiplications, layer.side**2 * 4 * 3 * 25)
        self.assertEqual([layer.folded for layer in Architecture(20).convolutions], [True, True])

    @parameterized.product(pool=('average', 'none'), count=(1, 2, 3))
    def test_the_smallest_image_of_a_network_leaves_one_pixel(self, pool, count):
        for kernel_size in (1, 2, 3, 5, 8):
            of = {'kernel_size': kernel_size, 'conv_features': (1,) * count, 'pool': pool}
            least = Architecture(1, **of).least_image_size
            self.assertEqual(Architecture(least, **of).sides[-1], 1)
            self.assertEqual(Architecture(least - 1, **of).sides[-1], 0)


if __name__ == '__main__':
    absltest.main()
