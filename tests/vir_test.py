"""Tests of imbreg_jax.remedies.vir."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest
from scipy import stats

import small_study
from imbreg_jax import remedies
from imbreg_jax.remedies import lds, vir
from imbreg_jax.study import ConfigError
from imbreg_jax.training.remedy import Batch
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_BINS = 6
_DATA = pathlib.Path(__file__).with_name('testdata') / 'features.json'


def _batch(state, tables, **parts):
    """Of all images in their order."""
    places = jnp.arange(len(tables['bin']), dtype=jnp.int32)
    made = Batch(places, *[None] * 6, state, tables, {}, None, learned=state.maps)
    return made._replace(**parts)


def _laws(count=60, seed=0):
    """Bins [n], of which one has no image and one has one, and laws of three features."""
    generator = np.random.default_rng(seed)
    bins = generator.choice([0, 1, 2, 4], count - 1).tolist() + [5]
    mean = generator.normal(np.array(bins)[:, None] * [1.0, 2.0, 0.5], 1.0, (count, 3))
    found = vir.Laws(mean, generator.uniform(0.1, 2.0, (count, 3)))
    return np.array(bins), jax.tree.map(jnp.float32, found)


class PublishedTest(absltest.TestCase):
    """Against four epochs of the authors' code; see testdata/make_feature_fixtures.py."""

    def setUp(self):
        super().setUp()
        self.wanted = json.loads(_DATA.read_text())['vir']
        self.method = remedies.parse(f'vir(bins={_BINS}, variant="published")')
        self.tables = {'bin': jnp.array(self.wanted['bins'])}
        spread, bias, decoder = (
            jnp.float32(self.wanted[part]) for part in ('spread', 'spread_bias', 'decoder')
        )
        self.state = self.method.start(3, self.tables, (2, 2, 1))
        self.assertEqual(self.state.maps.decoder.shape, decoder.shape)
        maps = vir.Maps(spread, bias, decoder, self.state.maps.decoder_bias)
        self.state = self.state._replace(maps=maps)

    def _losses(self, features, maps, state):
        """What is drawn, the loss's parts, and the loss of the fixture."""
        images, slope, noise = (
            jnp.float32(self.wanted[part]) for part in ('images', 'slope', 'noise')
        )
        found = self.method.laws(features[None], _batch(state, self.tables, learned=maps))
        sample = vir.sampled(found, noise)
        divergence = 0.1 * jnp.mean(vir.divergences(found))
        squared = vir.missed(images, sample @ maps.decoder) * jnp.mean(images**2)
        loss = divergence + 0.7 * squared + jnp.mean(slope * sample)
        return loss, (jnp.concatenate(found, -1)[0], sample[0], divergence, squared)

    def test_laws_losses_gradients_and_statistics_of_every_epoch(self):
        state = self.state
        fold = jax.jit(self.method.fold)
        losses = jax.jit(jax.value_and_grad(self._losses, argnums=(0, 1), has_aux=True))
        for epoch, wanted in enumerate(self.wanted['epochs']):
            features = jnp.float32(wanted['features'])
            found = jnp.concatenate(vir.laws(features, state.maps), -1)
            np.testing.assert_allclose(found, wanted['laws'], rtol=1e-5)
            (_, parts), (gradient, of_maps) = losses(features, state.maps, state)
            names = ('trained', 'sample', 'divergence', 'squared')
            for name, part in zip(names, parts, strict=True):
                # Statistics are sums over 31 images at most, of features of up to 15.
                np.testing.assert_allclose(
                    part, wanted[name], rtol=1e-4, atol=1e-4, err_msg=f'{name}, {epoch}'
                )
            np.testing.assert_allclose(gradient, wanted['gradient'], rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(
                of_maps.spread, wanted['spread_gradient'], rtol=1e-3, atol=1e-3
            )
            state = fold(state, features, None, self.tables, {'momentum': 0.9}, epoch)
            for part in ('own', 'smooth'):
                held = getattr(state, part)
                mean = np.concatenate([held.mean, held.uncertainty], 1)
                np.testing.assert_allclose(mean, wanted[f'{part}_mean'], rtol=1e-4, atol=1e-4)
                variance = np.array(wanted[f'{part}_variance'])[:, :3]
                np.testing.assert_allclose(held.variance, variance, rtol=1e-4, atol=1e-4)

    def test_the_second_epoch_adds_two_to_variances(self):
        before, after = self.wanted['epochs'][1]['laws'], self.wanted['epochs'][1]['trained']
        np.testing.assert_allclose(np.subtract(after, before)[:, :3], 0, atol=1e-6)
        np.testing.assert_allclose(np.subtract(after, before)[:, 3:], 2, atol=1e-6)
        method = remedies.parse(f'vir(bins={_BINS})')
        features = jnp.float32(self.wanted['epochs'][0]['features'])
        state = method.fold(self.state, features, None, self.tables, {'momentum': 0.9}, 0)
        features = jnp.float32(self.wanted['epochs'][1]['features'])
        found = method.laws(features[None], _batch(state, self.tables))
        # Bins' means have a fraction of an image's variance, and here they are there at once.
        self.assertGreater(np.abs(np.subtract(found.mean[0], features)).max(), 0.1)
        added = found.variance[0] - np.array(before)[:, 3:]
        self.assertLess(np.abs(added).max(), 1.9)

    def test_has_no_divergence(self):
        for variant, there in (('paper', True), ('published', False)):
            method = remedies.parse(f'vir(bins={_BINS}, variant={variant!r})')
            features = jnp.float32(self.wanted['epochs'][0]['features'])[None]
            images = jnp.zeros((1, 31, 2, 2, 1))
            batch = _batch(
                self.state, self.tables, images=images, features=features, encoded=features,
                dials={'divergence': 2.0, 'decoder': 0.0},
            )  # fmt: skip
            alone = vir.divergences(vir.laws(features, self.state.maps)).mean()
            self.assertAlmostEqual(
                float(method.penalty(batch)), 2 * float(alone) if there else 0.0, places=3
            )


class StatisticsTest(absltest.TestCase):
    def test_are_those_of_what_is_drawn(self):
        bins, found = _laws()
        member = jnp.float32(bins[:, None] == np.arange(_BINS))
        wanted = vir.statistics(found, member)
        draws = 20_000
        noise = np.random.default_rng(1).normal(size=(draws, *found.mean.shape))
        drawn = np.asarray(found.mean) + np.sqrt(np.asarray(found.variance)) * noise
        for place in np.unique(bins):
            members = drawn[:, bins == place]
            means, variances = members.mean(1), members.var(1)
            error = 5 * means.std(0) / np.sqrt(draws)
            np.testing.assert_array_less(np.abs(means.mean(0) - wanted.mean[place]), error)
            # Of a normal variable's variance the relative standard error is the root of 2 / n.
            np.testing.assert_allclose(
                means.var(0), wanted.uncertainty[place], rtol=5 * np.sqrt(2 / draws)
            )
            error = 5 * variances.std(0) / np.sqrt(draws) + 1e-6
            np.testing.assert_array_less(np.abs(variances.mean(0) - wanted.variance[place]), error)
        self.assertEqual(float(wanted.variance[5].max()), 0.0)

    def test_are_smoothed_over_bins_that_are_known(self):
        bins, found = _laws()
        made = vir.statistics(found, jnp.float32(bins[:, None] == np.arange(_BINS)))
        known = np.isin(np.arange(_BINS), bins).astype(np.float32)
        weights = np.array([0.2, 0.5, 0.3])
        smooth = vir.smoothed(made, weights, jnp.asarray(known)[:, None])
        # The neighbour beyond an end is the second bin from there.
        neighbours = [[abs(b - 1), b, b + 1 if b < _BINS - 1 else b - 1] for b in range(_BINS)]
        for place, others in enumerate(neighbours):
            share = weights * known[others] / (weights * known[others]).sum()
            for part, power in (('mean', 1), ('uncertainty', 2), ('variance', 1)):
                wanted = share**power @ np.asarray(getattr(made, part))[others]
                np.testing.assert_allclose(getattr(smooth, part)[place], wanted, rtol=1e-5)

    def test_run_with_their_momentum_and_a_bin_without_images_keeps_what_it_had(self):
        method = remedies.parse(f'vir(bins={_BINS})')
        bins, found = _laws()
        tables = {'bin': jnp.asarray(bins)}
        dials = {'momentum': jnp.float32(0.75)}
        first = method.fold(method.start(3, tables), found.mean, None, tables, dials, 0)
        second = method.fold(first, found.mean + 10, None, tables, dials, 1)
        seen = np.unique(bins)
        np.testing.assert_allclose(second.own.mean[seen], first.own.mean[seen] + 2.5, rtol=1e-4)
        self.assertEqual(int(second.epochs), 2)
        for part, value in zip(second.own, (0, 1, 1), strict=True):
            np.testing.assert_array_equal(part[3], value)


class LawsTest(absltest.TestCase):
    def test_begin_at_one_variance_and_are_drawn_by_the_steps_key(self):
        method = remedies.parse(f'vir(bins={_BINS})')
        features = jnp.tile(jnp.array([0.0, 3.0, 50.0]), (1, 4000, 1))
        tables = {'bin': jnp.zeros(4000, jnp.int32)}
        state = method.start(3, tables)
        drawn = [
            np.asarray(method.map_features(features, _batch(state, tables, key=jax.random.key(i))))
            for i in range(2)
        ]
        for one in drawn:
            error = 5 * np.sqrt(vir.FIRST_VARIANCE / 4000)
            np.testing.assert_allclose(one[0].mean(0), features[0, 0], atol=error)
            np.testing.assert_allclose(
                one[0].var(0), vir.FIRST_VARIANCE, rtol=5 * np.sqrt(2 / 4000)
            )
        correlation = stats.pearsonr(drawn[0][0, :, 0], drawn[1][0, :, 0]).statistic
        self.assertLess(abs(correlation), 5 / np.sqrt(4000))

    def test_take_their_neighbours_statistics_from_the_second_epoch_on(self):
        method = remedies.parse(f'vir(bins={_BINS})')
        bins, found = _laws(2000)
        tables = {'bin': jnp.asarray(bins)}
        start = method.start(3, tables)
        state = method.fold(start, found.mean, None, tables, {'momentum': 0.9}, 0)
        moved = method.laws(found.mean[None], _batch(state, tables))
        for place in (0, 1, 2, 4):
            mean = moved.mean[0][bins == place].mean(0)
            np.testing.assert_allclose(mean, state.smooth.mean[place], rtol=1e-3, atol=1e-3)
        # A bin of one image does not vary, and it stays.
        np.testing.assert_array_equal(moved.mean[0][-1], found.mean[-1])
        same = method.laws(found.mean[None], _batch(start, tables))
        np.testing.assert_array_equal(same.mean[0], found.mean)
        self.assertGreater(float(jnp.abs(moved.mean - same.mean).max()), 0.1)

    def test_divergence_is_that_of_normal_laws(self):
        _, found = _laws()
        grid = np.linspace(-15, 25, 4001)
        mean, scale = float(found.mean[0, 0]), float(found.variance[0, 0]) ** 0.5
        density = stats.norm.pdf(grid, mean, scale)
        ratio = stats.norm.logpdf(grid, mean, scale) - stats.norm.logpdf(grid)
        one = vir.Laws(found.mean[:1, :1], found.variance[:1, :1])
        wanted = np.trapezoid(density * ratio, grid)
        np.testing.assert_allclose(vir.divergences(one), [wanted], rtol=1e-4)


class RemedyTest(absltest.TestCase):
    def test_weights_are_those_of_lds_or_none(self):
        targets = 1 + np.random.default_rng(0).exponential(2.0, 500)
        for variant in ('paper', 'published'):
            found = remedies.parse(f'vir(variant={variant!r})').tables(targets, None, None)
            np.testing.assert_array_equal(
                found['weights'], lds.weights(targets, power=0.5, variant=variant)
            )
        self.assertNotIn('weights', remedies.parse('vir(power=0)').tables(targets, None, None))

    def test_what_makes_no_sense_with_it_is_refused(self):
        for other, words in (
            ('fds', 'a map of features'),
            ('evidential', 'a loss of its own'),
            ('log_target', 'a loss of its own'),
            ('scale_augmentation', 'looks at the training targets'),
        ):
            with self.assertRaisesRegex(ValueError, words):
                remedies.parse(f'vir + {other}')
        with self.assertRaisesRegex(ValueError, 'vir has size = 4; it must be odd'):
            remedies.parse('vir(size=4)')
        for variant, least in (('paper', 2), ('published', 3)):
            with self.assertRaisesRegex(ConfigError, f'training.epochs must be at least {least}'):
                small_study.study(remedy=f'vir(variant={variant!r})', training__epochs=least - 1)
        with self.assertRaisesRegex(ConfigError, 'vir has a loss in the place of the objective'):
            small_study.study(remedy='vir', training__objective='relative_mse')

    @pytest.mark.slow
    def test_trains_alone_and_beside_others(self):
        study = small_study.study(
            {'both': {'remedy': 'vir(power=0, bins=4, size=3) + inverse(bins=4, high=1.0)'}},
            train_distribution='exponential(1, 2)', repeats=1,
        )  # fmt: skip
        trained = small_study.train(study)
        self.assertEqual(trained.diverged_step.tolist(), [-1])
        state = jax.tree.map(
            lambda part: part[0], trained.engine.axis.fetch(trained.state.remedy)['vir']
        )
        self.assertEqual(int(state.epochs), 2)
        self.assertEqual(state.maps.decoder.shape, (6, 400))
        first = vir.first_maps(6, 400)
        for part, before in zip(state.maps, first, strict=True):
            # Eight steps of Adam, each of up to its rate.
            moved = np.abs(part - np.asarray(before)).max()
            self.assertBetween(moved, 0.5e-3, 8.5e-3)


if __name__ == '__main__':
    absltest.main()
