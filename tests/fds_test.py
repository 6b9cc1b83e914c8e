"""Tests of imbreg_jax.remedies.fds."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

from imbreg_jax import remedies
from imbreg_jax.remedies import fds
from imbreg_jax.training.remedy import Batch
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_BINS = 6
_DATA = pathlib.Path(__file__).with_name('testdata') / 'features.json'


def _data(count=400, seed=0, empty=True):
    generator = np.random.default_rng(seed)
    targets = generator.uniform(1, 7, count)
    if empty:
        targets = targets[(targets < 3) | (targets > 4)]
    features = generator.normal(targets[:, None] * [1.0, 2.0, 0.5], 1 + targets[:, None] / 4)
    return targets, features.astype(np.float32)


def _fold(method, state, targets, features, momentum=0.9):
    tables = {k: jnp.asarray(v) for k, v in method.tables(targets, None, None).items()}
    dials = {'momentum': jnp.float32(momentum)}
    return method.fold(state, jnp.asarray(features), None, tables, dials, 0), tables


class StatisticsTest(absltest.TestCase):
    def test_are_numpys_in_each_bin(self):
        places = np.array([0, 0, 0, 2, 3, 3, 0])
        features = np.random.default_rng(1).normal(5, 2, (7, 4)).astype(np.float32)
        found = fds.statistics(features, places, bins=5)
        np.testing.assert_array_equal(found.counts[:, 0], [4, 0, 1, 2, 0])
        for place in range(5):
            members = features[places == place].astype(np.float64)
            mean = members.mean(0) if len(members) else np.zeros(4)
            variance = members.var(0, ddof=1) if len(members) > 1 else np.zeros(4)
            np.testing.assert_allclose(found.mean[place], mean, rtol=1e-5)
            np.testing.assert_allclose(found.variance[place], variance, rtol=1e-5)

    def test_are_those_of_an_epochs_end(self):
        method = remedies.parse(f'fds(bins={_BINS})')
        targets, features = _data(empty=False)
        state, tables = _fold(method, method.start(3, {}), targets, features)
        found = fds.statistics(features, tables['bin'], _BINS)
        np.testing.assert_array_equal(found.mean, state.mean)
        np.testing.assert_array_equal(found.variance, state.variance)


class DefaultsTest(absltest.TestCase):
    def test_bins_of_a_normal_law_have_as_few_images_as_the_class_says(self):
        counts = {20: [], 100: []}
        for seed in range(20):
            targets = np.random.default_rng(seed).normal(5.5, 1, 10_000)
            for number, found in counts.items():
                found.append(np.bincount(remedies.bins.places(targets, number), minlength=number))

        def bins_below(limit, number):
            return np.mean([(own < limit).sum() for own in counts[number]])

        self.assertAlmostEqual(bins_below(10, 20), 3, delta=0.5)
        self.assertAlmostEqual(bins_below(10, 100), 30, delta=2)
        self.assertAlmostEqual(bins_below(2, 100), 14, delta=1)
        self.assertEqual(remedies.parse('fds').bins, 20)


class FoldTest(absltest.TestCase):
    def test_is_numpys_statistics_smoothed_by_scipys_rule(self):
        method = remedies.parse(f'fds(bins={_BINS}, size=3, sigma=1.0)')
        targets, features = _data()
        state, tables = _fold(method, method.start(3, {}), targets, features)
        weights = np.exp([-0.5, 0, -0.5]) / np.exp([-0.5, 0, -0.5]).sum()
        mean, variance = np.zeros((_BINS, 3)), np.ones((_BINS, 3))
        known = np.zeros((_BINS, 1))
        for place in range(_BINS):
            members = features[np.asarray(tables['bin']) == place].astype(np.float64)
            if len(members):
                mean[place], variance[place] = members.mean(0), members.var(0, ddof=1)
                known[place] = 1
        self.assertEqual(known.sum(), _BINS - 1)
        for found, smooth, wanted in (
            (state.mean, state.smooth_mean, mean),
            (state.variance, state.smooth_variance, variance),
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
            # A bin without images has no part in its neighbours' statistics.
            padded = np.pad(wanted * known, ((1, 1), (0, 0)), mode='reflect')
            shares = np.pad(known, ((1, 1), (0, 0)), mode='reflect')
            rows = sum(w * padded[i : i + _BINS] for i, w in enumerate(weights))
            rows /= sum(w * shares[i : i + _BINS] for i, w in enumerate(weights))
            np.testing.assert_allclose(smooth, rows, rtol=1e-4, atol=1e-5)

    def test_runs_with_its_momentum_from_the_second_epoch_on(self):
        method = remedies.parse(f'fds(bins={_BINS})')
        targets, features = _data(empty=False)
        first, _ = _fold(method, method.start(3, {}), targets, features)
        second, _ = _fold(method, first, targets, features + 10, momentum=0.75)
        np.testing.assert_allclose(second.mean, first.mean + 2.5, rtol=1e-4)
        np.testing.assert_allclose(second.variance, first.variance, rtol=1e-3)
        self.assertEqual(int(second.epochs), 2)

    def test_a_bin_without_images_keeps_what_it_had(self):
        method = remedies.parse(f'fds(bins={_BINS})')
        targets, features = _data()
        state, tables = _fold(method, method.start(3, {}), targets, features)
        (missing,) = set(range(_BINS)) - set(np.asarray(tables['bin']).tolist())
        np.testing.assert_array_equal(state.mean[missing], 0)
        np.testing.assert_array_equal(state.variance[missing], 1)


class MapTest(absltest.TestCase):
    def _mapped(self, method, state, tables, features):
        places = jnp.arange(len(features), dtype=jnp.int32)
        nothing = jnp.zeros(0)
        batch = Batch(
            places, nothing, nothing, nothing, nothing, nothing, jnp.int32(1), state, tables, {},
            None,
        )  # fmt: skip
        return np.asarray(method.map_features(jnp.asarray(features)[None], batch))[0]

    def test_gives_features_their_neighbours_statistics(self):
        method = remedies.parse(f'fds(bins={_BINS})')
        targets, features = _data(count=4000, empty=False)
        state, tables = _fold(method, method.start(3, {}), targets, features)
        moved = self._mapped(method, state, tables, features)
        for place in range(_BINS):
            members = moved[np.asarray(tables['bin']) == place]
            np.testing.assert_allclose(members.mean(0), state.smooth_mean[place], rtol=1e-3)
            # No factor reaches its limits here.
            np.testing.assert_allclose(
                members.var(0, ddof=1), state.smooth_variance[place], rtol=1e-3
            )

    def test_leaves_features_alone_in_the_first_epoch(self):
        method = remedies.parse(f'fds(bins={_BINS})')
        targets, features = _data()
        tables = {k: jnp.asarray(v) for k, v in method.tables(targets, None, None).items()}
        moved = self._mapped(method, method.start(3, {}), tables, features)
        np.testing.assert_array_equal(moved, features)

    def test_factors_are_limited_and_a_constant_feature_stays(self):
        values = jnp.array([[2.0, 2.0, 5.0]])
        ones = jnp.ones((1, 3))
        variance = jnp.array([[1e-4, 1e4, 0.0]])
        moved = fds.calibrate(values, ones, variance, 0 * ones, ones)
        np.testing.assert_allclose(moved, [[np.sqrt(10), np.sqrt(0.1), 5.0]], rtol=1e-6)
        # A slope is that of the line: the root of the factor, and 1 where it stays.
        slope = jax.grad(lambda v: fds.calibrate(v, ones, variance, 0 * ones, ones).sum())(values)
        np.testing.assert_allclose(slope, [[np.sqrt(10), np.sqrt(0.1), 1.0]], rtol=1e-6)

    def test_a_gradient_is_scaled_as_its_feature_is(self):
        """By hand: of a feature z in bin b it is sqrt(clip(smooth_b / v_b, 0.1, 10)) times it."""
        # Factors reach both limits: one bin hardly varies, and another, of an eleventh of its own
        # smoothed variance, all the more.
        method = remedies.parse(f'fds(bins={_BINS}, size=11, sigma=50.0)')
        targets, features = _data(empty=False)
        places = method.tables(targets, None, None)['bin']
        features *= np.array([1e3, 1, 1e-3, 1, 100, 1], np.float32)[places, None]
        state, tables = _fold(method, method.start(3, {}), targets, features)
        slope = np.random.default_rng(8).normal(size=features.shape).astype(np.float32)
        batch = Batch(jnp.arange(len(targets)), *[None] * 6, state, tables, {}, None)

        def total(features):
            return (slope * method.map_features(features[None], batch)[0]).sum()

        factors = np.asarray(state.smooth_variance) / np.asarray(state.variance)
        for some in (factors > 10, factors < 0.1, (factors > 0.1) & (factors < 10)):
            self.assertTrue(some.any())
        wanted = slope * np.sqrt(np.clip(factors, 0.1, 10))[places]
        # Float32, a quotient, a root and a product.
        np.testing.assert_allclose(jax.grad(total)(jnp.asarray(features)), wanted, rtol=1e-6)


class PublishedTest(absltest.TestCase):
    """Against four epochs of the authors' code; see testdata/make_feature_fixtures.py."""

    def setUp(self):
        super().setUp()
        self.wanted = json.loads(_DATA.read_text())['fds']
        self.method = remedies.parse(f'fds(bins={_BINS}, variant="published")')
        self.tables = {'bin': jnp.array(self.wanted['bins'])}

    def test_statistics_features_and_gradients_of_every_epoch(self):
        state = self.method.start(3, self.tables)
        fold = jax.jit(self.method.fold)
        places = jnp.arange(len(self.wanted['bins']))
        slope = jnp.float32(self.wanted['slope'])
        for epoch, wanted in enumerate(self.wanted['epochs']):
            features = jnp.float32(wanted['features'])
            batch = Batch(places, *[None] * 6, state, self.tables, {}, None)
            mapped = lambda z, batch=batch: self.method.map_features(z[None], batch)[0]  # noqa: E731
            found, back = jax.vjp(mapped, features)
            # The statistics are sums over 31 images at most, of features of up to 15.
            np.testing.assert_allclose(found, wanted['trained'], rtol=1e-4, atol=1e-4)
            self.assertEqual(epoch >= 2, bool((found != features).any()))
            (gradient,) = back(slope)
            np.testing.assert_allclose(gradient, wanted['gradient'], rtol=1e-4)
            self.assertEqual(epoch >= 2, bool((gradient != slope).any()))
            state = fold(state, features, None, self.tables, {'momentum': 0.9}, epoch)
            for part in ('mean', 'variance', 'smooth_mean', 'smooth_variance'):
                np.testing.assert_allclose(
                    getattr(state, part), wanted[part], rtol=1e-4, atol=1e-5, err_msg=part
                )

    def test_differs_from_the_paper_from_the_second_epoch_on(self):
        method = remedies.parse(f'fds(bins={_BINS})')
        first, second = (jnp.float32(e['features']) for e in self.wanted['epochs'][:2])
        start = method.start(3, self.tables)
        state = method.fold(start, first, None, self.tables, {'momentum': 0.9}, 0)
        batch = Batch(jnp.arange(31), *[None] * 6, state, self.tables, {}, None)
        self.assertTrue((method.map_features(second[None], batch)[0] != second).any())


if __name__ == '__main__':
    absltest.main()
