"""What somebody else's arrays may be: one number an image, or a sentence."""

import itertools

import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

from imbreg_jax.remedies import (
    balanced_mse,
    conr,
    dense_weight,
    evidential,
    fds,
    focal_r,
    huber,
    inverse,
    lds,
    log_target,
    ranksim,
    relevance,
    resampling,
    rnc,
    scale_augmentation,
    uvote,
)

_B = 6
_ONE = np.linspace(1.0, 6.0, _B)
_FEATURES = np.random.default_rng(0).normal(size=(_B, 3))
_OUTPUTS = np.random.default_rng(1).normal(size=(_B, 4))
_MIXTURE = {'means': np.ones(2), 'variances': np.ones(2), 'log_shares': np.zeros(2)}
_BINS = {'centres': np.ones(2), 'log_shares': np.zeros(2)}

# Each public loss, as a function of arrays [B] alone.
_LOSSES = {
    'bmc': (lambda p, t: balanced_mse.batch_losses(p, t, 1.0), 2),
    'bmc mean': (lambda p, t: balanced_mse.batch_loss(p, t, 1.0), 2),
    'gai': (lambda p, t: balanced_mse.mixture_losses(p, t, 1.0, **_MIXTURE), 2),
    'bni': (lambda p, t: balanced_mse.bin_losses(p, t, 1.0, **_BINS), 2),
    'focal_r': (focal_r.losses, 2),
    'huber': (huber.losses, 2),
    'log_target': (log_target.losses, 2),
    'evidential': (
        lambda w, t: evidential.batch_losses(evidential.law(_OUTPUTS[:, :3], w), t, 0.1), 2,
    ),
    'uvote': (lambda t: uvote.likelihoods(_OUTPUTS[:, :2], t), 1),
    'conr': (lambda t, p, w: conr.batch_loss(_FEATURES, t, p, w, 1.0, 0.1, 0.2), 3),
    'ranksim': (lambda t: ranksim.penalty(_FEATURES, t, 2.0), 1),
    'rnc': (lambda t: rnc.batch_loss(_FEATURES, t, 2.0), 1),
    'fds': (lambda places: fds.statistics(_FEATURES, places.astype(int), 9), 1),
    'scaled': (
        lambda t, w: scale_augmentation.scaled(jnp.ones((_B, 4, 4, 1)), jnp.asarray(t), w)[1], 2,
    ),
}  # fmt: skip
# Each public function of training targets [N].
_OF_TARGETS = {
    'inverse': inverse.weights,
    'lds': lds.weights,
    'dense_weight': dense_weight.weights,
    'control_points': relevance.control_points,
    'relevance': lambda t: relevance.weights(t, ((1, 0), (6, 1))),
    'uvote': lambda t: uvote.head_weights(t, 2),
    'mixture': balanced_mse.mixture,
    'histogram': balanced_mse.histogram,
    'bins': lambda t: resampling.of_bins(t, 5),
}


class OutsideTest(absltest.TestCase):
    def test_losses_refuse_what_would_broadcast(self):
        for name, (loss, arguments) in _LOSSES.items():
            loss(*[_ONE] * arguments)
            for shapes in itertools.product([(_B,), (_B, 1), (1,)], repeat=arguments):
                if len(set(shapes)) == 1 and len(shapes[0]) == 1:
                    continue  # As many images as numbers.
                given = [np.resize(_ONE, shape) for shape in shapes]
                with (
                    self.subTest(f'{name} {shapes}'),
                    self.assertRaisesRegex(ValueError, 'one number an image'),
                ):
                    loss(*given)

    def test_the_surest_of_other_heads_is_refused(self):
        self.assertEqual(uvote.surest(jnp.asarray(_OUTPUTS), 2).shape, (_B,))
        for shape, heads in (((_B, 4), 3), ((_B, 3), 2), ((4,), 2)):
            with self.assertRaisesRegex(ValueError, 'they must be'):
                uvote.surest(jnp.ones(shape), heads)

    def test_a_prediction_that_is_no_number_has_no_loss_of_0(self):
        off = np.where(_ONE == 3, np.nan, _ONE)
        for name in ('focal_r', 'huber'):
            found = np.asarray(_LOSSES[name][0](off, _ONE))
            self.assertEqual(np.isnan(found).tolist(), (_ONE == 3).tolist(), name)

    def test_an_evidential_variance_that_is_none_is_infinite(self):
        law = evidential.law(jnp.zeros((3, 3)), jnp.array([0.1, 0.5, 1.0]))
        found = np.asarray(evidential.variance(law))
        self.assertEqual(np.isinf(found).tolist(), [True, True, False])
        self.assertGreater(found[2], 0)

    def test_targets_are_one_finite_number_an_image_or_refused(self):
        rng = np.random.default_rng(0)
        targets = rng.exponential(size=200)
        wrong = {
            'targets have the shape': targets[:, None],
            'there are no targets': targets[:0],
            r'1 of 200 targets are not finite, the first of them number 7 \(nan\)': np.where(
                np.arange(200) == 7, np.nan, targets
            ),
            'are not finite': np.where(np.arange(200) == 7, np.inf, targets),
        }
        for name, function in _OF_TARGETS.items():
            function(targets)
            function(list(targets))
            for sentence, given in wrong.items():
                with self.subTest(name), self.assertRaisesRegex(ValueError, sentence):
                    function(given)

    def test_parameters_are_those_of_a_config(self):
        targets = np.random.default_rng(0).exponential(size=200)
        for function, values, sentence in (
            (inverse.weights, {'variant': 'publshed'}, 'inverse has variant = .publshed.; it must'),
            (inverse.weights, {'power': 2.0}, 'inverse has power = 2.0'),
            (inverse.weights, {'low': 0.5, 'high': 0.1}, 'must be below its high'),
            (lds.weights, {'kernel': 'gausian'}, 'lds has kernel'),
            (lds.weights, {'size': 4}, 'lds has size = 4'),
            (lds.weights, {'sigma': 0.0}, 'lds has sigma = 0.0'),
            (dense_weight.weights, {'epsilon': -1.0}, 'dense_weight has epsilon = -1.0'),
            (relevance.weights, {'floor': -1.0}, 'relevance has floor = -1.0'),
            (relevance.weights, {'sides': 'upper'}, 'relevance has sides = .upper.'),
            (relevance.weights, {'points': ((20, 1), (30, 0))}, 'the same relevance'),
        ):
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                function(targets, **values)
        # numpy's numbers are numbers.
        inverse.weights(targets, bins=np.int64(20), power=np.float32(0.5))

    def test_points_that_are_advised_are_points(self):
        for targets, advised in (
            (np.full(9, 3.0), None),
            (np.repeat([0.0, 1.0], [3, 6]), ((0, 1), (1, 0))),
            (np.repeat([0.0, 1.0], [6, 3]), ((0, 0), (1, 1))),
            (np.linspace(1, 5, 9), ((1, 1), (3, 0), (5, 1))),
        ):
            with self.assertRaises(ValueError) as told:
                relevance.control_points(targets)
            said = str(told.exception)
            self.assertEqual('as in points=' in said, advised is not None)
            if advised:
                self.assertIn(f'points={advised}', said)
                relevance.weights(targets, advised)


if __name__ == '__main__':
    absltest.main()
