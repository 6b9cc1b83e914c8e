"""Tests of imbreg_jax.evaluation.evaluator: against the network applied to images by definition."""

import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest

import small_study
from imbreg_jax.data import images, randomness, synthetic
from imbreg_jax.data.randomness import Purpose
from imbreg_jax.evaluation import evaluator, references
from imbreg_jax.evaluation.evaluator import MOMENTS
from imbreg_jax.study import relevance
from imbreg_jax.training.step import TrainState
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

# The reference sums in another order: outputs of size 1 to 10, sums of up to 10^3 products in
# float32 of 6e-8 each, which errors of random sign leave at some 1e-6. Wrong images differ by 1e-1.
_CLOSE = {'rtol': 1e-4, 'atol': 1e-5}


@functools.cache
def _finished(batch_size=5, asked=False):
    """A unit of two conditions and two repeats as it starts, and what is kept of it."""
    study = small_study.study(
        {
            'normal': {'train_distribution': 'n5_5_1'},
            # Masks of rate 0 keep everything.
            'undropped': {'model.conv_dropout_rate': 0.0},
        },
        evaluation__batch_size=batch_size,
        evaluation__validation_under_test=asked,
    )
    with small_study.precision():
        engine = small_study.engine(study)
        state = engine.initialize()
        return engine, engine.axis.fetch(state.params), evaluator.Evaluator(engine).finish(state)


def _run(place):
    """Condition, repeat and parameters of the run at a place."""
    engine, params, _ = _finished()
    condition, repeat, _ = engine.unit.runs[place]
    return engine.study.conditions[condition], repeat, jax.tree.map(lambda a: a[place], params)


def _predict(place, pictures):
    """[n] predictions and [n, features] last hidden features, dropout off."""
    engine, _, _ = _finished()
    with small_study.precision():
        network, variables = engine.programs.learner.network, {'params': _run(place)[2]}
        features, outputs = _applied(network, variables, pictures)
    return np.float64(outputs[:, 0]), np.float64(features)


@functools.partial(jax.jit, static_argnums=0)
def _applied(network, variables, pictures):
    features = network.apply(variables, pictures, method='encode')
    return features, network.apply(variables, features, method='head')


def _scaled(generating, noise):
    return (np.float32(generating)[:, None, None] * noise)[..., None]


@pytest.mark.slow
class MemoryTest(absltest.TestCase):
    def test_that_runs_out_is_met_with_fewer_runs_at_a_time(self):
        mapped, params, whole = _finished()
        with small_study.precision():
            engine = small_study.engine(mapped.study, mapping='vmap')
            state = TrainState(engine.axis.spread(params), (), (), ())
            tight = evaluator.Evaluator(engine)
            tried = []
            compile_ = tight.programs.compile

            def compile_for_a_small_device(at_once):
                compile_(at_once)
                finish = tight.programs.finish

                def too_many(*arguments):
                    tried.append(at_once)
                    if at_once > 1:
                        raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: out of memory')
                    return finish(*arguments)

                tight.programs.finish = too_many

            with mock.patch.object(tight.programs, 'compile', compile_for_a_small_device):
                tight.programs.compile(5)
                found = tight.finish(state)
        self.assertEqual(tried, [5, 2, 1])
        for name, value in whole.items():
            np.testing.assert_allclose(found[name], value, **_CLOSE, err_msg=name)


class PredictionTest(absltest.TestCase):
    def test_of_the_test_sets_is_the_networks_on_each_laws_images(self):
        engine, _, out = _finished()
        study = engine.study
        for place in range(4):
            _, repeat, _ = _run(place)
            noise = small_study.noise(
                study, repeat, Purpose.TEST_IMAGES, study.conditions[0].data.test_size
            )
            uniforms = randomness.uniforms(
                study.seed, repeat, Purpose.TEST_TARGETS, study.conditions[0].data.test_size
            )
            for i, law in enumerate(study.test_distributions):
                generating = np.float32(law.ppf(uniforms))
                np.testing.assert_array_equal(out['test_generating'][place, i], generating)
                pictures = _scaled(generating, noise)
                measured = pictures.astype(np.float64).std((1, 2, 3))
                np.testing.assert_allclose(out['test_target'][place, i], measured, rtol=1e-6)
                np.testing.assert_allclose(
                    out['test_prediction'][place, i], _predict(place, pictures)[0], **_CLOSE
                )

    def test_of_the_validation_split_follows_the_conditions_law(self):
        engine, _, out = _finished()
        study = engine.study
        for place in range(4):
            condition, repeat, _ = _run(place)
            count = study.conditions[0].data.validation_size
            noise = small_study.noise(study, repeat, Purpose.VALIDATION_IMAGES, count)
            uniforms = randomness.uniforms(study.seed, repeat, Purpose.VALIDATION_TARGETS, count)
            pictures = _scaled(condition.distribution.ppf(uniforms), noise)
            measured = pictures.astype(np.float64).std((1, 2, 3))
            np.testing.assert_allclose(out['validation_target'][place], measured, rtol=1e-6)
            np.testing.assert_allclose(
                out['validation_prediction'][place], _predict(place, pictures)[0], **_CLOSE
            )

    @pytest.mark.slow
    def test_of_the_dense_set_is_on_the_same_images_for_all_runs(self):
        engine, _, out = _finished()
        study = engine.study
        for place in range(1, 4):
            np.testing.assert_array_equal(out['dense_target'][place], out['dense_target'][0])
        key = randomness.purpose_key(
            randomness.root_key(study.seed), synthetic.COMMON_REPEAT, Purpose.DENSE_IMAGES
        )
        settings = study.evaluation
        indices = np.arange(settings.dense_size, dtype=np.int32)
        noise = np.asarray(images.noise(key, indices, study.conditions[0].data.image_size))
        generating = np.linspace(settings.dense_low, settings.dense_high, settings.dense_size)
        np.testing.assert_allclose(
            out['dense_prediction'][2], _predict(2, _scaled(generating, noise))[0], **_CLOSE
        )

    def test_sets_are_the_same_for_all_conditions_and_each_repeats_own(self):
        engine, _, out = _finished()
        self.assertEqual([run.result for run in engine.unit.runs], [(0, 0), (1, 0), (0, 1), (1, 1)])
        for name in ('test_generating', 'test_target'):
            for first, second in ((0, 1), (2, 3)):
                np.testing.assert_array_equal(out[name][first], out[name][second])
            self.assertFalse((out[name][0] == out[name][2]).any())


class SelectionTest(absltest.TestCase):
    def test_is_of_validation_images_of_each_test_law_and_changes_nothing_else(self):
        _, _, plain = _finished()
        engine, _, out = _finished(asked=True)
        study = engine.study
        self.assertEqual(out.keys() - plain.keys(), {'selection_target', 'selection_prediction'})
        for name, value in plain.items():
            np.testing.assert_allclose(out[name], value, **_CLOSE, err_msg=name)
        count = study.conditions[0].data.validation_size
        for place in range(4):
            _, repeat, _ = _run(place)
            noise = small_study.noise(study, repeat, Purpose.SELECTION_IMAGES, count)
            uniforms = randomness.uniforms(study.seed, repeat, Purpose.SELECTION_TARGETS, count)
            for i, law in enumerate(study.test_distributions):
                pictures = _scaled(law.ppf(uniforms), noise)
                measured = pictures.astype(np.float64).std((1, 2, 3))
                np.testing.assert_allclose(out['selection_target'][place, i], measured, rtol=1e-6)
                np.testing.assert_allclose(
                    out['selection_prediction'][place, i], _predict(place, pictures)[0], **_CLOSE
                )
                # Neither the test images nor the validation images of the training law.
                for other in (out['test_target'][place, i], out['validation_target'][place]):
                    self.assertEmpty(set(measured.round(4)) & set(other.round(4)))


class ReferencesTest(absltest.TestCase):
    def test_are_of_the_training_images_of_the_run(self):
        engine, _, out = _finished()
        study = engine.study
        count, used = study.conditions[0].data.train_size, study.evaluation.moment_images
        for place in range(4):
            condition, repeat, _ = _run(place)
            noise = small_study.noise(study, repeat, Purpose.TRAIN_IMAGES, count)
            uniforms = randomness.uniforms(study.seed, repeat, Purpose.TRAIN_TARGETS, count)
            pictures = _scaled(condition.distribution.ppf(uniforms), noise)
            targets = pictures.astype(np.float64).std((1, 2, 3))
            np.testing.assert_allclose(out['best_constant'][place], targets.mean(), rtol=1e-6)
            # Of a few hundred pixels to the rounding of float32.
            np.testing.assert_allclose(
                out['relevance_points'][place], relevance.whiskers(targets), rtol=1e-6
            )
            noise = small_study.noise(study, repeat, Purpose.TEST_IMAGES, study.test_size)
            tests = [_scaled(row, noise) for row in out['test_generating'][place]]
            expected = references.linear(
                references.pixel_moments(pictures[:used]),
                targets[:used],
                references.pixel_moments(jnp.stack(tests)),
            )
            np.testing.assert_allclose(out['linear_moments'][place], expected, **_CLOSE)


class BatchTest(absltest.TestCase):
    def test_of_any_size_gives_the_same(self):
        """Each image's prediction and mask are its own, whatever is looked at beside it."""
        (_, _, found), (_, _, other) = _finished(), _finished(8)
        self.assertEqual(other.keys(), found.keys())
        for name, value in found.items():
            np.testing.assert_allclose(other[name], value, **_CLOSE, err_msg=name)


class MomentsTest(absltest.TestCase):
    def test_of_masks_are_the_networks_with_each_images_own_key(self):
        engine, _, out = _finished()
        study = engine.study
        count, masks = study.evaluation.moment_images, study.evaluation.moment_masks
        for place in (0, 2):
            condition, repeat, params = _run(place)
            noise = small_study.noise(study, repeat, Purpose.TRAIN_IMAGES, count)
            uniforms = randomness.uniforms(
                study.seed, repeat, Purpose.TRAIN_TARGETS, study.conditions[0].data.train_size
            )
            pictures = jnp.asarray(_scaled(condition.distribution.ppf(uniforms)[:count], noise))
            rate = condition.model.conv_dropout_rate
            root = randomness.purpose_key(
                randomness.root_key(study.seed), repeat, Purpose.MOMENT_MASKS
            )

            def output(mask, i, root=root, params=params, pictures=pictures, rate=rate):
                key = jax.random.fold_in(jax.random.fold_in(root, mask), i)
                features = engine.programs.learner.network.apply(
                    {'params': params}, pictures[i][None], rate, key, method='encode'
                )
                return features[0] @ params['dense2']['kernel'][:, 0]

            images_of_mask = jax.vmap(output, (None, 0))
            with small_study.precision():
                outputs = jax.jit(jax.vmap(images_of_mask, (0, None)))(
                    jnp.arange(masks), jnp.arange(count)
                )
            outputs = np.asarray(outputs, np.float64)
            found = dict(zip(MOMENTS, out['moments'][place], strict=True))
            np.testing.assert_allclose(found['channel_mean_a'], outputs.mean(), **_CLOSE)
            np.testing.assert_allclose(found['channel_mean_a2'], (outputs**2).mean(), **_CLOSE)

    def test_without_dropout_are_numpys(self):
        engine, _, out = _finished()
        study = engine.study
        count = study.evaluation.moment_images
        for place in range(4):
            condition, repeat, params = _run(place)
            noise = small_study.noise(study, repeat, Purpose.TRAIN_IMAGES, count)
            uniforms = randomness.uniforms(
                study.seed, repeat, Purpose.TRAIN_TARGETS, study.conditions[0].data.train_size
            )
            pictures = _scaled(condition.distribution.ppf(uniforms)[:count], noise)
            predictions, features = _predict(place, pictures)
            terms = features * np.float64(params['dense2']['kernel'][:, 0])
            bias = float(params['dense2']['bias'][0])
            y, a = pictures.astype(np.float64).std((1, 2, 3)), predictions - bias
            wanted = {
                'images': count,
                'b': bias,
                'mean_y': y.mean(),
                'mean_y2': (y**2).mean(),
                'mean_a': a.mean(),
                'mean_a2': (a**2).mean(),
                'mean_ay': (a * y).mean(),
                'mean_s': (terms**2).sum(-1).mean(),
            }
            found = dict(zip(MOMENTS, out['moments'][place], strict=True))
            for name, value in wanted.items():
                np.testing.assert_allclose(found[name], value, err_msg=name, **_CLOSE)

    def test_of_masks_that_keep_everything_are_those_without(self):
        _, _, out = _finished()
        for place in (1, 3):
            found = dict(zip(MOMENTS, out['moments'][place], strict=True))
            for name in ('a', 'a2', 'ay', 's'):
                np.testing.assert_allclose(
                    found[f'channel_mean_{name}'], found[f'mean_{name}'], **_CLOSE
                )
            np.testing.assert_allclose(
                found['channel_mean_abar2'], found['channel_mean_a2'], **_CLOSE
            )

    def test_of_masks_that_drop_scatter(self):
        _, _, out = _finished()
        for place in (0, 2):
            found = dict(zip(MOMENTS, out['moments'][place], strict=True))
            self.assertGreater(
                found['channel_mean_a2'] - found['channel_mean_abar2'],
                1e-3 * found['channel_mean_a2'],
            )

    def test_from_parts_are_means_over_images_and_over_pairs_of_masks(self):
        generator = np.random.default_rng(0)
        masks, runs, count = 4, 2, 6
        y, a, s = generator.standard_normal((3, runs, count))
        mask_a, mask_s = generator.standard_normal((2, masks, runs, count))
        parts = np.stack([y, a, s, mask_a.mean(0), (mask_a**2).mean(0), mask_s.mean(0)], axis=-1)
        bias = np.array([0.5, -0.5])
        # (Mean over masks)^2 without bias: the mean over pairs of two masks.
        pairs = [mask_a[i] * mask_a[j] for i in range(masks) for j in range(masks) if i != j]
        wanted = {
            'images': np.full(runs, count),
            'b': bias,
            'mean_y': y.mean(-1),
            'mean_y2': (y**2).mean(-1),
            'mean_a': a.mean(-1),
            'mean_a2': (a**2).mean(-1),
            'mean_ay': (a * y).mean(-1),
            'mean_s': s.mean(-1),
            'channel_mean_a': mask_a.mean((0, 2)),
            'channel_mean_a2': (mask_a**2).mean((0, 2)),
            'channel_mean_ay': (mask_a * y).mean((0, 2)),
            'channel_mean_s': mask_s.mean((0, 2)),
            'channel_mean_abar2': np.mean(pairs, (0, 2)),
        }
        self.assertEqual(tuple(wanted), MOMENTS)
        found = evaluator.moments(parts, bias, masks)
        self.assertEqual(found.dtype, np.float64)
        # A few sums of float64.
        np.testing.assert_allclose(found, np.stack(list(wanted.values()), -1), rtol=1e-12)

    def test_of_one_mask_say_that_they_know_no_spread(self):
        parts = np.ones((1, 3, 6))
        found = dict(zip(MOMENTS, evaluator.moments(parts, np.zeros(1), 1)[0], strict=True))
        self.assertTrue(np.isnan(found.pop('channel_mean_abar2')))
        self.assertTrue(np.isfinite(list(found.values())).all())


if __name__ == '__main__':
    absltest.main()
