"""Tests of imbreg_jax.training.engine: what training may depend on, and what it must not."""

import contextlib
import dataclasses
import functools

import jax
import numpy as np
import pytest
from absl.testing import absltest, parameterized

import plain_training
import small_study
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.compute import units
from imbreg_jax.data import randomness
from imbreg_jax.data.randomness import Purpose
from imbreg_jax.data.tasks.scaled_noise import scaled_noise
from imbreg_jax.evaluation import evaluator, metrics
from imbreg_jax.study import Run
from imbreg_jax.training.engine import Engine
from imbreg_jax.training.programs import Programs

# The small study's second repeat, trained alone. See GoldenTest.
_GOLDEN = {
    'noise': 0.7226881980895996,
    'target': 1.8058050870895386,
    'loss': 119.91658020019531,
    'last loss': 43.02079391479492,
    'conv1/bias': -0.0845341756939888,
    'conv1/kernel': -0.2971785089466721,
    'conv2/bias': -0.19961573742330074,
    'conv2/kernel': -0.05196959205204621,
    'dense1/bias': -0.035119809210300446,
    'dense1/kernel': -2.0805551884695888,
    'dense2/bias': -0.35077136754989624,
    'dense2/kernel': -0.16608372330665588,
}


def _bits(array):
    array = np.asarray(array)
    return array.view(f'u{array.itemsize}') if array.dtype.kind == 'f' else array


def _data(engine):
    """Everything random that a unit's runs train on, on the host: {name: [runs, ...]}."""
    run = engine.run_data
    tree = {
        'generating': run.rows,
        'targets': engine.targets,
        'rate': run.dials['training.learning_rate'],
    }
    leaves, _ = jax.tree_util.tree_flatten_with_path(engine.axis.fetch(tree))
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


_CONDITIONS = {
    'balanced': {},
    'normal': {'train_distribution': 'n5_5_1'},
    # At rates that move no weight, losses are functions of weights, images and masks alone.
    'still': {'training.learning_rate': 1e-30},
    'also_still': {'training.learning_rate': 2e-30},
    'no_dropout': {
        'training.learning_rate': 1e-30,
        'model.conv_dropout_rate': 0.0,
        'model.dense_dropout_rate': 0.0,
    },
    'generating': {'task.target': 'generating'},
    'sample': {'task.ddof': 1},
    'wild': {'training.learning_rate': 1.0},
    'jammed': {'training.learning_rate': 2.0},
}
# More than a config allows. Whatever makes a loss overflow, its run alone stops; and so it does
# where loss and weights stay finite and a gradient's square does not: weights of 2e3 make
# predictions of 1e13 and more, squared errors of 1e26 and gradients of 1e22.
_RATES = {'wild': 1e30, 'jammed': 2e3}


@functools.cache
def _programs(mapping='map', cached=True, chunk=2):
    """Compiled once, for units of up to one run of each condition."""
    study = small_study.study(_CONDITIONS, repeats=2)
    conditions = [
        dataclasses.replace(
            c,
            training=dataclasses.replace(
                c.training, learning_rate=_RATES.get(c.name, c.training.learning_rate)
            ),
        )
        for c in study.conditions
    ]
    return small_study.programs(
        dataclasses.replace(study, conditions=tuple(conditions)),
        parts=[units.Unit(0, (Run(0, 0), Run(0, 1)))],
        mapping=mapping,
        cached=cached,
        chunk_steps=(chunk,),
        runs_per_unit=len(_CONDITIONS),
    )


@functools.cache
def _trained(*runs, **programs):
    """A unit of (condition, repeat)."""
    places = tuple(Run(_place(name), repeat) for name, repeat in runs)
    return small_study.train_unit(Engine(_programs(**programs), units.Unit(0, places)))


def _many():
    return _trained(*((name, 0) for name in _CONDITIONS))


def _both(**programs):
    """Both repeats of the default study."""
    return _trained(('balanced', 0), ('balanced', 1), **programs)


def _place(name):
    return list(_CONDITIONS).index(name)


def _drawn_like(shape):
    return np.random.default_rng(0).normal(size=shape.shape).astype(shape.dtype)


class EngineTest(parameterized.TestCase):
    def assert_same_bits(self, found, wanted):
        self.assertEqual(found.keys(), wanted.keys())
        for name in wanted:
            np.testing.assert_array_equal(_bits(found[name]), _bits(wanted[name]), name)

    def assert_same_to_rounding(self, found, wanted, study, steps):
        """Weights agree to rounding, and moved far further than that."""
        delta = small_study.rounding(study, steps)
        self.assertEqual(found.keys(), wanted.keys())
        for name in wanted:
            np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=delta, err_msg=name)


def _drawn():
    """The same on images that are drawn anew in every step, in chunks of three steps and one."""
    return _both(cached=False, chunk=3)


@functools.cache
def _alone():
    """The second repeat of the default study by itself, in chunks of three steps and one."""
    return small_study.train(small_study.study(repeats=1, first_repeat=1), chunk_steps=(3,))


class RepeatTest(EngineTest):
    def test_alone_is_the_same_as_among_several(self):
        among = _both()
        alone = _alone()
        self.assertEqual(among.engine.unit.runs[1], alone.engine.unit.runs[0])
        data = {name: values[1:] for name, values in _data(among.engine).items()}
        self.assert_same_bits(_data(alone.engine), data)
        self.assert_same_to_rounding(
            alone.params, {n: v[1:] for n, v in among.params.items()}, alone.engine.study, 8
        )
        np.testing.assert_allclose(alone.losses.sum(1), among.losses[..., 1:].sum(1), rtol=1e-4)

    def test_is_its_own(self):
        trained = _both()
        for name, values in _data(trained.engine).items():
            if 'rate' not in name and 'dense' not in name:
                self.assertFalse((values[0] == values[1]).any(), name)
        start = small_study.flat(trained.engine.axis.fetch(trained.engine.initialize().params))
        for name, values in start.items():
            self.assertFalse((values[0] == values[1]).any(), name)
            # Every weight went somewhere: agreement to rounding says something.
            way = np.abs(trained.params[name] - values).max()
            self.assertGreater(way, 10 * small_study.rounding(trained.engine.study, 8), name)


class DataTest(EngineTest):
    def test_is_what_its_definition_says(self):
        engine = _both().engine
        study = engine.study
        law = study.conditions[0].distribution
        fetched = engine.axis.fetch({'g': engine.run_data.rows, 't': engine.targets})
        for split, targets, pictures, count in (
            ('train', Purpose.TRAIN_TARGETS, Purpose.TRAIN_IMAGES, 24),
            ('validation', Purpose.VALIDATION_TARGETS, Purpose.VALIDATION_IMAGES, 30),
        ):
            for i, (_, repeat, _) in enumerate(engine.unit.runs):
                uniforms = randomness.uniforms(study.seed, repeat, targets, count)
                generating = law.ppf(uniforms).astype(np.float32)
                np.testing.assert_array_equal(fetched['g'][split][i], generating)
                noise = small_study.noise(study, repeat, pictures, count)
                pixels = generating[:, None, None] * noise
                # Sums of 400 in float32: 9 roundings or so, of which the root keeps half.
                np.testing.assert_allclose(
                    fetched['t'][split][i],
                    pixels.astype(np.float64).std((1, 2)),
                    rtol=9 * 2.0**-24,
                )

    def test_cached_is_uncached_bit_for_bit(self):
        cached, drawn = _both(), _drawn()
        self.assertNotEmpty(cached.engine.resident)
        self.assertEmpty(drawn.engine.resident)
        self.assert_same_bits(_data(cached.engine), _data(drawn.engine))
        self.assert_same_bits(cached.params, drawn.params)

    @parameterized.parameters((16, 1), (20, 5))
    @pytest.mark.slow
    def test_cached_is_uncached_for_splits_of_any_size(self, size, count):
        """Small sums are fused with whatever made their numbers, wherever a compiler may."""
        small = small_study.study(
            repeats=1,
            data__image_size=size,
            data__validation_size=count,
            data__train_size=max(count, 6),
        )
        found = []
        for cached in (True, False):
            with small_study.precision():
                engine = small_study.engine(small, mapping='map', cached=cached)
                shapes = jax.eval_shape(
                    engine.programs.initialize,
                    (), (engine.run_data, engine.lessons.tables), (), engine.shared,
                )  # fmt: skip
                # Any weights do, and none is drawn on the device, which would be compiled.
                state = jax.tree.map(_drawn_like, shapes)
                predictions = evaluator.Evaluator(engine).validation(state)
            found.append(_data(engine) | {'predictions': predictions})
        self.assert_same_bits(*found)

    @pytest.mark.slow
    def test_cached_is_uncached_when_runs_step_together(self):
        cached = _both(mapping='vmap').engine
        drawn = Engine(_programs('vmap', cached=False), cached.unit)
        self.assert_same_bits(_data(cached), _data(drawn))


class PairedConditionsTest(EngineTest):
    """Conditions of a repeat differ in what they say they differ in, and in nothing else."""

    def test_are_one_program(self):
        self.assertLen(_many().engine.study.programs(), 1)

    def test_share_the_start(self):
        engine = _many().engine
        start = small_study.flat(engine.axis.fetch(engine.initialize().params))
        for name, values in start.items():
            for other in values[1:]:
                np.testing.assert_array_equal(values[0], other, name)

    def test_share_uniforms_and_noise(self):
        engine = _many().engine
        fetched = engine.axis.fetch({'g': engine.run_data.rows, 't': engine.targets})
        for split in fetched['t']:
            values = fetched['g'][split]
            # Two quantile functions of one draw; a float32 of about 5 keeps a uniform to 1e-6.
            laws = [condition.distribution for condition in engine.study.conditions]
            np.testing.assert_allclose(laws[0].cdf(values[0]), laws[1].cdf(values[1]), atol=1e-6)
            # Measured over generating is a function of the noise alone.
            ratio = np.float64(fetched['t'][split]) / values
            np.testing.assert_allclose(ratio[0], ratio[1], rtol=20 * 2.0**-24)

    def test_share_shuffles_and_masks(self):
        losses = _many().losses
        np.testing.assert_array_equal(
            losses[..., _place('still')], losses[..., _place('also_still')]
        )
        self.assertLen(np.unique(losses[..., _place('still')]), losses[..., 0].size)

    def test_do_not_depend_on_their_place_or_company(self):
        # Nor on a run beside them that diverges.
        few, many = _trained(('normal', 0), ('balanced', 0)), _many()
        for i, name in enumerate(('normal', 'balanced')):
            self.assert_same_bits(
                {n: v[i] for n, v in few.params.items()},
                {n: v[_place(name)] for n, v in many.params.items()},
            )
            np.testing.assert_array_equal(few.losses[..., i], many.losses[..., _place(name)])

    def test_dropout_rates_are_their_own(self):
        losses = _many().losses
        with_masks, without = losses[..., _place('still')], losses[..., _place('no_dropout')]
        self.assertFalse((with_masks == without).any())

    def test_each_epoch_has_its_own_order_of_all_images(self):
        # Without masks and with weights that stay, an epoch's losses sum to the same.
        losses = _many().losses[..., _place('no_dropout')]
        np.testing.assert_allclose(losses[0].sum(), losses[1].sum(), rtol=1e-5)
        self.assertFalse((losses[0] == losses[1]).any())

    def test_target_may_be_the_generating_value_or_the_samples(self):
        engine = _many().engine
        fetched = engine.axis.fetch({'g': engine.run_data.rows, 't': engine.targets})
        place = _place('generating')
        for split, targets in fetched['t'].items():
            np.testing.assert_array_equal(targets[place], fetched['g'][split][place])
            # n - 1 for n, of 400 pixels.
            ratio = np.float64(targets[_place('sample')]) / targets[0]
            np.testing.assert_allclose(ratio, np.sqrt(400 / 399), rtol=4 * 2.0**-24)

    def test_a_run_that_diverges_stays_at_its_last_finite_state(self):
        trained, wild, jammed = _many(), _place('wild'), _place('jammed')
        expected = np.full(len(_CONDITIONS), -1)
        # The first step moves every weight by 1e30, which is finite; the second's loss is not, or,
        # with 2e3, is, but not the second moment, which no later step would leave.
        expected[[wild, jammed]] = 1
        self.assertTrue(np.isfinite(trained.losses[..., jammed]).all())
        np.testing.assert_array_equal(trained.diverged_step, expected)
        for name, values in trained.params.items():
            self.assertTrue(np.isfinite(values).all(), name)
        for place, rate in ((wild, 1e30), (jammed, 2e3)):
            bias = np.abs(trained.params['dense2/bias'][place])
            np.testing.assert_allclose(bias, rate, rtol=1e-4)
        moments = trained.engine.axis.fetch(trained.state.optimizer[0])
        np.testing.assert_array_equal(moments.count, np.where(expected < 0, 8, 1))
        for leaf in jax.tree.leaves(moments):
            self.assertTrue(np.isfinite(leaf).all())


class PlanTest(EngineTest):
    """How a study is computed changes no number beyond rounding."""

    @pytest.mark.slow
    def test_map_and_vmap(self):
        mapped, together = _both(), _both(mapping='vmap')
        self.assert_same_to_rounding(together.params, mapped.params, mapped.engine.study, 8)

    @pytest.mark.slow
    def test_two_devices_and_shorter_chunks(self):
        if jax.device_count() < 2:
            self.skipTest('one device, fixed before this test was loaded')
        # Three runs: the second device has one of them. The first two are the study's own.
        one, study = _both(), small_study.study(repeats=3)
        two = small_study.train(study, devices=2, chunk_steps=(1,))
        self.assertEqual([len(block) for block in two.engine.axis.blocks], [2, 1])
        for name, values in _data(one.engine).items():
            np.testing.assert_array_equal(_bits(_data(two.engine)[name])[:2], _bits(values), name)
        self.assertEqual({len(values) for values in two.params.values()}, {3})
        self.assert_same_to_rounding(
            {n: v[:2] for n, v in two.params.items()}, one.params, study, 8
        )
        np.testing.assert_allclose(two.losses.sum(1)[:, :2], one.losses.sum(1), rtol=1e-4)


@contextlib.contextmanager
def _events(ending):
    """Names of JAX's timed events that end so and happen meanwhile."""
    heard = []

    def listen(event, duration, **_):
        if event.endswith(ending):
            heard.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield heard
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


class CompilationTest(EngineTest):
    def test_happens_once_whatever_the_chunk_and_epoch(self):
        engine = _both().engine
        with small_study.precision():
            evaluation = evaluator.Evaluator(engine)
            state = engine.initialize()
            evaluation.validation(state)
            with _events('backend_compile_duration') as compiled:
                jax.jit(lambda x: x + 1)(1.5)
                self.assertNotEmpty(compiled)  # The listener hears.
                compiled.clear()
                for epoch, step in ((0, 0), (0, 2), (1, 0), (1, 2)):
                    state, loss = engine.train_chunk(state, epoch, step)
                    engine.axis.fetch(loss)
                    evaluation.validation(state)
                # As a resume puts a state back.
                state = jax.tree.map(
                    lambda a: jax.device_put(np.asarray(a), engine.programs.layout.sharding),
                    state,
                )
                engine.train_chunk(state, 1, 0)
                self.assertEmpty(compiled)

    def test_happens_once_for_all_units_and_chunks_of_a_program(self):
        # Two units, and epochs of four steps in chunks of three and one.
        study = small_study.study()
        available = jax.devices()[:1]
        plan = dataclasses.replace(
            plan_lib.make(study, available), runs_per_unit=1, chunk_steps=(3,)
        )
        parts = units.cut(study, plan.runs_per_unit)
        programs = evaluator.Programs(Programs(study, 0, plan, available, parts))

        def train(unit):
            engine = Engine(programs.training, unit)
            evaluation = evaluator.Evaluator(engine, programs)
            state = engine.initialize()
            for epoch, step in ((0, 0), (0, 3), (1, 0), (1, 3)):
                state, _ = engine.train_chunk(state, epoch, step)
            found = evaluation.finish(state) | small_study.flat(engine.axis.fetch(state.params))
            engine.release()
            return found

        with small_study.precision():
            found = [train(parts[0])]
            with (
                _events('jaxpr_trace_duration') as traced,
                _events('backend_compile_duration') as compiled,
            ):
                found.append(train(parts[1]))
            self.assertEmpty(traced)
            self.assertEmpty(compiled)
        # Each unit's own numbers, to the last bit those of programs that it alone has.
        for name, value in _alone().params.items():
            np.testing.assert_array_equal(_bits(found[1][name]), _bits(value), name)
            self.assertFalse((found[0][name] == found[1][name]).all(), name)


class ChunkTest(EngineTest):
    def test_of_an_epoch_need_not_be_equal(self):
        """Chunks of three steps and one are those of two and two."""
        equal, uneven = _both(), _drawn()
        self.assertEqual([uneven.engine.next_step(step) for step in (0, 3)], [3, 4])
        self.assert_same_bits(uneven.params, equal.params)
        # The same losses, in other sums of float32.
        np.testing.assert_allclose(uneven.losses.sum(1), equal.losses.sum(1), rtol=1e-6)


class PlainTrainingTest(EngineTest):
    """The engine against a loop that a reader can check line by line."""

    def test_gives_the_same_weights_losses_and_metrics(self):
        trained = _both()
        engine, study = trained.engine, trained.engine.study
        with small_study.precision():
            evaluation = evaluator.Evaluator(engine)
            predictions = evaluation.validation(trained.state)
            found = metrics.metrics(predictions, evaluation.validation_targets())
            network, params, losses = plain_training.train(study, study.conditions[0], 1, 2)
            generating = engine.axis.fetch(engine.run_data.rows)['validation'][1]
            noise = small_study.noise(study, 1, Purpose.VALIDATION_IMAGES, len(generating))
            pictures = scaled_noise(generating, noise, None)
            plain = network.apply({'params': params}, pictures)[:, 0]
        self.assert_same_to_rounding(
            {n: v[1] for n, v in trained.params.items()}, small_study.flat(params), study, 8
        )
        # A chunk is two steps; a loss follows weights that agree to a thousandth of their way.
        np.testing.assert_allclose(
            trained.losses[..., 1], losses.reshape(2, 2, 2).sum(-1), rtol=1e-4
        )
        wanted = metrics.metrics(plain, evaluation.validation_targets()[1])
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name][1], value, rtol=1e-4, err_msg=name)


class GoldenTest(EngineTest):
    """Numbers written down once: what no comparison of two halves of this code can see."""

    def test_of_a_run(self):
        trained = _alone()
        data = _data(trained.engine)
        noise = small_study.noise(trained.engine.study, 1, Purpose.TRAIN_IMAGES, 1)
        found = {
            'noise': float(noise[0, 0, 0]),
            'target': float(data["['targets']['train']"][0, 0]),
            'loss': float(trained.losses[0, 0, 0]),
            'last loss': float(trained.losses[-1, -1, 0]),
            **{name: float(np.float64(value).sum()) for name, value in trained.params.items()},
        }
        message = (
            f'\nfound: {found}\nTraining gives other numbers than every version before. If a key, '
            'the order of draws, the initialisation or the arithmetic was changed on purpose, '
            'say so in the release notes (old workdirs cannot be resumed) and copy the numbers '
            'above into _GOLDEN; otherwise something broke.'
        )
        self.assertEqual(found.keys(), _GOLDEN.keys(), message)
        for name, value in _GOLDEN.items():
            # Another machine may round sums of a few hundred float32 otherwise, in eight steps.
            self.assertAlmostEqual(found[name], value, delta=1e-4 * max(1, abs(value)), msg=message)


if __name__ == '__main__':
    absltest.main()
