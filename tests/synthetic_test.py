"""Tests of imbreg_jax.data.synthetic: images are the same, whatever of them a device keeps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest, parameterized

import small_study
from imbreg_jax.data import randomness
from imbreg_jax.data.source import KEPT, Place
from imbreg_jax.data.synthetic import Synthetic, table_of
from imbreg_jax.data.tasks import TASKS
from imbreg_jax.training.engine import Engine
from imbreg_jax.training.programs import place
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_DRAWN = [name for name, task in TASKS.items() if task.drawn]
# Whether anything is kept, and whether that is whole images.
_IMAGES, _NOISE, _NOTHING = (True, True), (True, False), (False, False)
# Two laws, and of each of them something that changes no image, one after another.
_CONDITIONS = {
    'balanced': {},
    'missing': {'train_distribution': 'u1_5'},
    'slow': {'training.learning_rate': 1e-4},
    'weighted': {'train_distribution': 'u1_5', 'remedy': 'inverse(bins=3)'},
    'three': {'remedy': 'ensemble(size=3)'},
    'generating': {'task.target': 'generating'},
}
_FOLDS = {
    'data__folds': 3,
    'data__validation_size': 12,
    'data__train_size': 24,
    'training__batch_size': 6,
}


def _study(task='disc_radius', conditions=None, **fields):
    given = {'task__name': task, 'data__image_size': 27, 'evaluation__dense_high': 10.9}
    return small_study.study(conditions, **(given | fields))


def _engine(study, kept, devices=1, **planned) -> Engine:
    cached, rendered = kept
    return small_study.engine(study, devices, cached=cached, rendered=rendered, **planned)


def _seen(engine: Engine) -> dict[str, np.ndarray]:
    """{split: [runs, n, H, W, channels]}: the images that a unit's runs have."""
    source = engine.programs.learner.source

    def look(_, run, device, shared):
        at = place(run, device, shared)
        # In another order than that in which they lie.
        return {split: source.images(at, split, np.arange(source.count(split))[::-1])
                for split in KEPT}  # fmt: skip

    program = engine.programs.compile(look)
    return engine.axis.fetch(program((), engine.run_data, engine.resident, engine.shared))


class ImagesTest(parameterized.TestCase):
    @parameterized.parameters(*_DRAWN)
    @pytest.mark.slow
    def test_kept_ones_are_those_that_each_step_would_make_bit_for_bit(self, task):
        study = _study(task, data__train_size=600)
        root, repeat = randomness.root_key(study.seed), jnp.int32(1)
        condition = study.conditions[0]
        source = Synthetic(study, condition, rendered=True)
        rows = {split: jnp.array(row) for split, row in source.rows(condition, 1).items()}
        kept = jax.jit(source.resident)(root, repeat, {split: rows[split] for split in KEPT})
        order = np.random.default_rng(0).permutation(600)[:50]

        @jax.jit
        def seen(at, index):
            # With other work about them.
            images = source.images(at, 'train', index)
            return images, (2 * images).sum()

        at = Place(root, repeat, repeat, jnp.int32(0), rows, {}, {})
        made, _ = seen(at, order)
        self.assertEqual(made.shape, (50, 27, 27, 1))
        self.assertGreater(np.std(made), 0.5)
        np.testing.assert_array_equal(kept['train'][order], made[..., 0])
        found = source.images(at._replace(resident={'train': kept['train'][None]}), 'train', order)
        np.testing.assert_array_equal(found, made)


class TableTest(parameterized.TestCase):
    def test_is_of_a_law_and_a_repeat_where_images_are_kept(self):
        study = _study(conditions=_CONDITIONS)
        same = [
            {table_of(condition, 0, rendered) for condition in study.conditions}
            for rendered in (True, False)
        ]
        self.assertEqual(list(map(len, same)), [2, 1])
        first = study.conditions[0]
        for rendered in (True, False):
            self.assertNotEqual(table_of(first, 0, rendered), table_of(first, 1, rendered))
        # Noise that is scaled is all laws'.
        scaled = small_study.study({'a': {}, 'b': {'train_distribution': 'u1_5'}})
        self.assertLen({table_of(condition, 0, True) for condition in scaled.conditions}, 1)

    @parameterized.parameters((1, 16), (2, 5))
    def test_every_run_finds_its_own_images(self, devices, runs):
        """Laws take turns in the study, and units and devices part what runs share."""
        if jax.device_count() < devices:
            self.skipTest('one device, fixed before this test was loaded')
        study = _study(conditions=_CONDITIONS)
        self.assertLen(study.programs(), 1)
        kept = _engine(study, _IMAGES, devices, runs_per_unit=runs)
        # Four sets in all; of fewer runs fewer.
        held = kept.resident['train'].shape[0]
        self.assertEqual(held, devices * kept.programs.tables)
        self.assertLessEqual(kept.programs.tables, {16: 4, 5: 2}[runs])
        self.assert_same(_seen(kept), _seen(_engine(study, _NOTHING, devices, runs_per_unit=runs)))

    def test_of_folds(self):
        """Repeats of a data set have its images, and each leaves out others."""
        conditions = {'a': {}, 'b': {'train_distribution': 'u1_5'}}
        study = _study(conditions=conditions, repeats=6, **_FOLDS)
        kept = _engine(study, _IMAGES)
        self.assertEqual(kept.resident['train'].shape[0], 12)
        seen = _seen(kept)
        self.assert_same(seen, _seen(_engine(study, _NOTHING)))
        wholes = [
            {image.tobytes() for split in KEPT for image in seen[split][run]} for run in range(12)
        ]
        for run, other in ((0, 2), (1, 3), (0, 4)):
            self.assertEqual(wholes[run], wholes[other])
        for run, other in ((0, 1), (0, 6)):
            self.assertEmpty(wholes[run] & wholes[other])

    def assert_same(self, found, wanted):
        for split in KEPT:
            np.testing.assert_array_equal(found[split], wanted[split])


@functools.cache
def _trained(kept, mapping):
    study = _study(conditions={'a': {}, 'b': {'train_distribution': 'u1_5'}}, training__epochs=1)
    with small_study.precision():
        return small_study.train_unit(_engine(study, kept, mapping=mapping))


class TrainingTest(parameterized.TestCase):
    @parameterized.parameters((_IMAGES, 'map'), (_NOISE, 'map'), (_IMAGES, 'vmap'))
    @pytest.mark.slow
    def test_is_the_same_whatever_is_kept(self, kept, mapping):
        """One run after the other bit for bit; together to rounding."""
        found, wanted = _trained(kept, mapping), _trained(_NOTHING, mapping)
        delta = 0 if mapping == 'map' else small_study.rounding(found.engine.study, 4)
        for name, values in wanted.params.items():
            np.testing.assert_allclose(found.params[name], values, rtol=0, atol=delta)
        for split, targets in wanted.engine.targets.items():
            np.testing.assert_array_equal(found.engine.targets[split], targets)


if __name__ == '__main__':
    absltest.main()
