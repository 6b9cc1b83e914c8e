"""Tests of imbreg_jax.training.remedy: what it may change, against a plain loop that has it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from absl.testing import absltest
from jax.scipy.stats import laplace
from jax.scipy.stats import t as student

import plain_training
import small_study
from imbreg_jax import remedies
from imbreg_jax.data import randomness
from imbreg_jax.data.randomness import Purpose, purpose_key
from imbreg_jax.remedies import balanced_mse, conr, ranksim
from imbreg_jax.remedies.registry import REMEDIES
from imbreg_jax.study import ConfigError
from imbreg_jax.training.remedy import Schedule, check_prediction, checked_tables
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_SPECS = {
    'none': '',
    'weights': 'inverse(bins=4, high=1.0)',
    'loss': 'balanced_mse(noise=2.0, learnable=True, noise_rate=0.05)',
    'features': 'inverse(bins=4, high=1.0) + fds(bins=4, size=3, momentum=0.5)',
    'views': 'inverse(bins=4, high=1.0) + conr(strength=0.5, window=2.0)'
    ' + ranksim(strength=3.0, interpolation=2.0)',
    'varied': 'scale_augmentation(low=2.0, high=4.0)',
    'noise': 'gaussian_noise(bins=4, perturbation=0.3)',
    'mix': 'smogn(points=((1, 0), (7, 1)), k=2, perturbation=0.3, neighbours="target")',
    'heads': 'inverse(bins=4, high=1.0) + uvote(heads=3, bins=4, scale_rate=0.5)',
    'evidence': 'inverse(bins=4, high=1.0) + evidential(strength=0.05, sharpness=0.5)',
}


@functools.cache
def _study():
    conditions = {
        name: {'remedy': spec, 'train_distribution': 'exponential(1, 2)'}
        for name, spec in _SPECS.items()
    }
    return small_study.study(conditions, repeats=1, first_repeat=1)


@functools.cache
def _trained(program):
    """The runs of one program of the study above."""
    study = _study()
    group = study.programs()[program]
    return small_study.train(
        dataclasses.replace(study, conditions=tuple(study.conditions[c] for c in group))
    )


def _made_of(pictures, tables, seed, repeat):
    """The images [N, H, W, 1] of a recipe, from those of the training set."""
    first = pictures[tables['first']]
    if 'share' in tables:
        share = tables['share'][:, None, None, None]
        first = share * first + (1 - share) * pictures[tables['second']]
    key = purpose_key(randomness.root_key(seed), repeat, Purpose.RECIPE_NOISE)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(len(first)))
    noise = jax.vmap(lambda k: jax.random.normal(k, first.shape[1:]))(keys)
    spread = first.std((1, 2), keepdims=True) * tables['noise'][:, None, None, None]
    return first + spread * noise


class RemedyTest(absltest.TestCase):
    def _assert_as_plain(self, name, **parts):
        return self._assert_condition_as_plain(_study(), name, **parts)

    def _assert_condition_as_plain(self, study, name, zeros=False, **parts):
        """`zeros`: whether a weight's gradient may be 0; see `small_study.assert_trained_alike`."""
        place = next(i for i, c in enumerate(study.conditions) if c.name == name)
        program = next(p for p, group in enumerate(study.programs()) if place in group)
        trained = _trained(program) if study is _study() else small_study.train(study)
        run = study.programs()[program].index(place)
        with small_study.precision():
            learned, params, losses = plain_training.train(
                study, study.conditions[place], 1, 2, **parts
            )
        delta = small_study.rounding(study, 8)
        for layer, wanted in small_study.flat(params).items():
            found = trained.params[layer][run]
            if zeros:
                small_study.assert_trained_alike(found, wanted, study, 8)
            else:
                np.testing.assert_allclose(found, wanted, rtol=0, atol=delta)
        np.testing.assert_allclose(trained.losses[..., run].sum(1), losses.sum(-1), rtol=1e-4)
        return trained, run, learned

    def _tables(self, name):
        """A remedy's arrays, from the training targets as numpy has them."""
        study = _study()
        condition = next(c for c in study.conditions if c.name == name)
        _, targets = plain_training.training_set(study, condition, 1)
        seeds = [study.seed, 1, int(Purpose.RESAMPLING)]
        return condition.remedy.tables(
            np.float64(targets), condition.distribution, np.random.default_rng(seeds)
        )

    def test_programs_are_shared_where_arrays_and_dials_are_all(self):
        self.assertEqual(_study().programs(), ((0, 1), *((i,) for i in range(2, len(_SPECS)))))

    def test_none(self):
        self._assert_as_plain('none')

    def test_weights(self):
        tables = self._tables('weights')
        self.assertGreater(np.ptp(tables['weights']), 0.5)
        self._assert_as_plain('weights', weights=tables['weights'])

    def test_loss_with_a_dial_and_a_number_that_is_learnt(self):
        def loss(outputs, targets, weights, noise):
            return jnp.mean(weights * balanced_mse.batch_losses(outputs, targets, noise))

        trained, run, (noise,) = self._assert_as_plain(
            'loss', loss=loss, learned=(jnp.float32(2.0),), learner=optax.adam(0.05)
        )
        found = 2.0 + trained.engine.axis.fetch(trained.state.remedy).more[run]
        # Eight steps of up to its rate, in which it went somewhere.
        self.assertAlmostEqual(found, float(noise), delta=1e-3 * 8 * 0.05)
        self.assertGreater(abs(found - 2.0), 0.1)

    def test_outputs_of_several_heads_with_weights_of_their_own(self):
        tables = self._tables('heads')
        of_heads = tables['weights'][:, None] * tables['uvote.head_weights']
        self.assertGreater(np.ptp(of_heads, axis=0).min(), 0.5)

        def weights(epoch):
            # Of two epochs the first is the first head's alone.
            return of_heads * [1.0, (epoch / 2) ** 2, (epoch / 2) ** 2]

        def loss(outputs, targets, weights):
            found = 0.0
            for head in range(3):
                scale = jnp.exp(0.5 * outputs[:, 3 + head])
                each = -laplace.logpdf(targets, outputs[:, head], scale)
                found += jnp.mean(weights[:, head] * each)
            return found

        self._assert_as_plain('heads', outputs=6, weights=weights, loss=loss)

    def test_outputs_that_are_the_parts_of_a_law(self):
        weights = self._tables('evidence')['weights']

        def loss(outputs, targets, weights):
            location, count, width = outputs.T
            observations = weights * (2 * jnp.log1p(jnp.exp(count / 2)) + 2)
            alpha, beta = 0.3 + observations / 2, 2 * jnp.log1p(jnp.exp(width / 2))
            scale = jnp.sqrt(beta * (1 + observations) / (observations * alpha))
            each = -student.logpdf(targets, 2 * alpha, location, scale)
            evidence = 2 * observations + alpha
            return jnp.mean(each + 0.05 * jnp.abs(targets - location) * evidence)

        self._assert_as_plain('evidence', outputs=3, weights=weights, loss=loss)

    @pytest.mark.slow
    def test_images_and_targets_of_a_step_may_vary(self):
        def vary(pictures, targets, key):
            wanted = jax.random.uniform(key, targets.shape, minval=2.0, maxval=4.0)
            return pictures * (wanted / targets)[:, None, None, None], wanted

        self._assert_as_plain('varied', vary=vary)

    def test_views_and_penalties(self):
        weights = self._tables('views')['weights']
        self.assertGreater(np.ptp(weights), 0.5)

        def penalty(features, outputs, targets, weights, encoded):
            del encoded
            flat = features.reshape(outputs.size, -1)
            twice = [jnp.tile(part, 2) for part in (targets, weights)]
            contrast = conr.batch_loss(flat, twice[0], outputs.ravel(), twice[1], 2.0, 0.1, 0.2)
            ranks = [ranksim.penalty(one, targets, 2.0) for one in features]
            return 0.5 * contrast + 3.0 * (ranks[0] + ranks[1]) / 2

        def seen(pictures, key):
            order = jax.random.permutation(key, pictures[0].size)
            moved = pictures.reshape(len(pictures), -1)[:, order].reshape(pictures.shape)
            return jnp.stack([pictures, moved])

        self._assert_as_plain('views', weights=weights, views=seen, penalty=penalty)

    @pytest.mark.slow
    def test_features_may_be_drawn_and_those_of_the_network_are_known(self):
        @dataclasses.dataclass(frozen=True)
        class Drawn(remedies.Remedy):
            name = 'drawn_of_this_test'

            def start(self, features, tables, image=()):
                return jnp.float32([features, *image])

            def map_features(self, features, batch):
                return features * jax.random.uniform(batch.key, features.shape)

            def penalty(self, batch):
                return jnp.mean(batch.encoded**2)

        self.addCleanup(REMEDIES.pop, Drawn.name)
        self.addCleanup(remedies.parse.cache_clear)
        remedies.register(Drawn)

        def map_features(features, chosen, state, key):
            del chosen, state
            return features * jax.random.uniform(key, (1, *features.shape))[0]

        trained, run, _ = self._assert_condition_as_plain(
            small_study.study({'drawn': {'remedy': Drawn.name}}, repeats=1, first_repeat=1),
            'drawn',
            map_features=map_features,
            penalty=lambda features, outputs, targets, weights, encoded: jnp.mean(encoded**2),
        )
        state = trained.engine.axis.fetch(trained.state.remedy)[run]
        np.testing.assert_array_equal(state, [6, 20, 20, 1])

    @pytest.mark.slow
    def test_recipes(self):
        for name in ('noise', 'mix'):
            tables = self._tables(name)
            self.assertNotEmpty(np.flatnonzero(tables['noise' if name == 'noise' else 'share'] % 1))

            def recipe(pictures, targets, tables=tables):
                del targets
                return (
                    _made_of(pictures, tables, _study().seed, 1), jnp.asarray(tables['target'])
                )  # fmt: skip

            self._assert_as_plain(name, zeros=True, recipe=recipe)

    def test_state_with_an_end_of_epoch_pass_and_a_map_of_features(self):
        method = remedies.parse('fds(bins=4, size=3)')
        own = self._tables('features')
        tables = {'bin': jnp.asarray(own['fds.bin'])}
        dials = {'momentum': 0.5}

        def map_features(features, chosen, state, key):
            del key
            bins = tables['bin'][chosen]
            parts = (state.mean, state.variance, state.smooth_mean, state.smooth_variance)
            moved = remedies.fds.calibrate(features, *(part[bins] for part in parts))
            return jnp.where(state.epochs > 0, moved, features)

        fold = jax.jit(lambda state, features: method.fold(state, features, None, tables, dials, 0))
        trained, run, _ = self._assert_as_plain(
            'features',
            map_features=map_features,
            fold=lambda state, features: fold(state, features()),
            state=method.start(6, tables),
            weights=own['weights'],
        )
        state = trained.engine.axis.fetch(trained.state.remedy['fds'])
        self.assertEqual(int(state.epochs[run]), 2)


class ImagesTest(absltest.TestCase):
    """What a remedy may see of a run's images, against those of a plain loop."""

    def _seen(self, tables):
        """The study of a remedy that makes its tables with a function of targets and images."""

        @dataclasses.dataclass(frozen=True)
        class Seeing(remedies.Remedy):
            name = 'seeing_of_this_test'
            recipe = 'mix'
            sees_images = True

            def tables(self, targets, law, generator, images=None):
                return tables(targets, images)

        self.addCleanup(REMEDIES.pop, Seeing.name)
        self.addCleanup(remedies.parse.cache_clear)
        remedies.register(Seeing)
        condition = {'remedy': Seeing.name, 'train_distribution': 'exponential(1, 2)'}
        study = small_study.study({'seeing': condition}, repeats=2)
        with small_study.precision():
            return study, small_study.engine(study, devices=1)

    def test_are_drawn_and_measured_as_they_are_trained_on(self):
        count = 24
        second = np.roll(np.arange(count), 1)
        made = {
            'first': np.arange(count, dtype=np.int32),
            'second': second.astype(np.int32),
            'share': np.linspace(0, 1, count, dtype=np.float32),
            'noise': np.where(np.arange(count) % 2, 0.5, 0.0).astype(np.float32),
        }
        chosen = np.array([23, 4, 5, 5])
        seen = []

        def tables(targets, images):
            recipe = made | {'target': targets.astype(np.float32)}
            seen.append((targets, images[chosen], images.measured(recipe, chosen)))
            return recipe

        study, engine = self._seen(tables)
        self.assertLen(seen, 2)
        for repeat, (targets, pictures, measured) in enumerate(seen):
            wanted, true = plain_training.training_set(study, study.conditions[0], repeat)
            np.testing.assert_allclose(targets, true, rtol=1e-6)
            np.testing.assert_allclose(pictures, wanted[chosen], rtol=1e-6, atol=1e-6)
            mixed = np.asarray(_made_of(wanted, made, study.seed, repeat))
            np.testing.assert_allclose(measured, mixed.std((1, 2, 3))[chosen], rtol=1e-5)
        held = engine.axis.fetch(engine.lessons.tables['second'])
        np.testing.assert_array_equal(held, [second, second])

    def test_mixtures_of_images_have_measured_targets_where_that_is_asked_for(self):
        spec = 'smoter(points=((1, 0), (4, 1)), k=2, relabel={})'
        conditions = {
            name: {'remedy': spec.format(name), 'train_distribution': 'exponential(1, 2)'}
            for name in ('False', 'True')
        }
        study = small_study.study(conditions, repeats=1)
        self.assertLen(study.programs(), 1)
        with small_study.precision():
            engine = small_study.engine(study, devices=1)
        tables = engine.axis.fetch(engine.lessons.tables)
        for name in ('first', 'second', 'share'):
            np.testing.assert_array_equal(*tables[name])
        new = tables['share'][0] < 1
        self.assertNotEmpty(np.flatnonzero(new))
        pictures, _ = plain_training.training_set(study, study.conditions[0], 0)
        made = {name: values[0] for name, values in tables.items()}
        mixed = np.asarray(_made_of(pictures, made, study.seed, 0))
        published, measured = tables['target']
        np.testing.assert_array_equal(published[~new], measured[~new])
        np.testing.assert_allclose(measured, mixed.std((1, 2, 3)), rtol=1e-5)
        # As mixtures of noise they are weaker than their published targets.
        self.assertLess((measured[new] / published[new]).max(), 1)

    def test_what_a_remedy_refuses_names_the_condition(self):
        def tables(targets, images):
            raise ValueError('there is nothing to be done')

        with self.assertRaisesRegex(
            ConfigError, 'remedy = .*: in condition seeing, repeat 0, there is nothing to be done'
        ):
            self._seen(tables)

    def test_arrays_that_training_can_do_nothing_with_name_the_condition(self):
        def tables(targets, images):
            return {'weights': np.zeros(len(targets)), 'first': np.arange(len(targets))}

        with self.assertRaisesRegex(
            ConfigError, 'in condition seeing, repeat 0, its tables lack second, .* of its recipe'
        ):
            self._seen(tables)


class CheckedTest(absltest.TestCase):
    def test_arrays_are_of_the_images_and_read_by_something(self):
        plain, count = remedies.Remedy(), 4
        ones, first = np.ones(count), np.arange(count)
        right = {'weights': ones, 'first': first}
        self.assertEqual(list(checked_tables(plain, right, count)), list(right))
        for made, sentence in (
            (None, 'its tables are NoneType'),
            (ones, 'its tables are ndarray'),
            ({'weight': ones}, "table 'weight' is read by nothing, .* known are weights, first"),
            ({'weights': ones[1:]}, r'weights have the shape \(3,\); .* each of the 4 images'),
            ({'weights': ones[:, None]}, r'weights have the shape \(4, 1\)'),
            ({'weights': 5 * ones}, 'weights are 5 at least and 5 in the mean'),
            ({'weights': np.array([-1.0, 2, 2, 1])}, 'weights are -1 at least'),
            ({'weights': ones * np.nan}, 'weights are not all finite'),
            ({'first': first + 1}, 'first must be whole numbers from 0 to 3'),
            ({'first': first * 1.0}, 'first must be whole numbers'),
            ({'first': first[:2]}, r'first have the shape \(2,\)'),
        ):
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                checked_tables(plain, made, count)

    def test_a_prediction_is_one_number_an_image(self):
        for name in REMEDIES:
            check_prediction(remedies.parse(name))

        @dataclasses.dataclass(frozen=True)
        class Whole(remedies.Remedy):
            def predict(self, outputs):
                return outputs

        with self.assertRaisesRegex(
            ValueError, r'it predicts the shape \[3, 1\]; it must be \[3\]'
        ):
            check_prediction(Whole())

        # Before anything is drawn.
        study = small_study.study({'a': {'remedy': 'inverse'}}, repeats=1)
        (condition,) = study.conditions
        whole = dataclasses.replace(condition, remedy=Whole())
        with self.assertRaisesRegex(ConfigError, 'it predicts the shape'):
            small_study.engine(dataclasses.replace(study, conditions=(whole,)))


@pytest.mark.slow
class ScheduleTest(absltest.TestCase):
    """Layers that stay, layers that are drawn anew, and weights that hold for some epochs."""

    def _params(self, study):
        """Before training, and after each of two epochs."""
        with small_study.precision():
            engine = small_study.engine(study)
            state = engine.initialize()
            found = [small_study.flat(engine.axis.fetch(state.params))]
            for epoch in range(2):
                for step in range(0, engine.steps_per_epoch, engine.chunk_steps):
                    state, _ = engine.train_chunk(state, epoch, step)
                state = engine.end_epoch(state, epoch)
                found.append(small_study.flat(engine.axis.fetch(state.params)))
        return found

    def test_of_a_contrast_of_the_encoder_and_then_the_objective(self):
        study = small_study.study({'contrast': {'remedy': 'rnc'}}, repeats=1)
        start, first, second = self._params(study)
        for name in start:
            last = name.startswith('dense2')
            self.assertEqual((first[name] == start[name]).all(), last, name)
            self.assertEqual((second[name] == first[name]).all(), not last, name)

    def test_of_layers_and_weights(self):
        @dataclasses.dataclass(frozen=True)
        class Retrained(remedies.Remedy):
            name = 'retrained_of_this_test'

            def tables(self, targets, law, generator):
                return {'weights': targets / targets.mean()}

            def schedule(self, epochs, layers):
                rates = np.ones((epochs, len(layers)), np.float32)
                rates[1:, : layers.index('dense2')] = 0
                redrawn = np.zeros((epochs, len(layers)), bool)
                redrawn[1, layers.index('dense2')] = True
                return Schedule(rates, redrawn, np.arange(epochs) > 0)

        self.addCleanup(REMEDIES.pop, Retrained.name)
        self.addCleanup(remedies.parse.cache_clear)
        remedies.register(Retrained)
        study = small_study.study({'none': {}, 'retrained': {'remedy': Retrained.name}}, repeats=1)
        self.assertLen(study.programs(), 1)
        start, first, second = self._params(study)
        for name in start:
            # Weights hold from the second epoch on, so that the first is that of no remedy.
            np.testing.assert_array_equal(first[name][0], first[name][1], name)
            moved = (second[name][1] != first[name][1]).any()
            self.assertEqual(moved, name.startswith('dense2'), name)
            self.assertTrue((second[name][0] != first[name][0]).any(), name)
        # Drawn anew: four steps move a weight by four learning rates at most.
        far = np.abs(second['dense2/kernel'][1] - first['dense2/kernel'][1]).max()
        self.assertGreater(far, 10 * 4 * study.conditions[0].training.learning_rate)


if __name__ == '__main__':
    absltest.main()
