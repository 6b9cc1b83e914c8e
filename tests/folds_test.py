"""Tests of imbreg_jax.data.folds: k repeats share a data set, and each leaves out another part."""

import numpy as np
from absl.testing import absltest, parameterized

import small_study
from imbreg_jax import study as study_lib
from imbreg_jax.data import folds
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

# Three parts of 12 images, of which two are trained on.
_SIZES = {
    'data__folds': 3,
    'data__validation_size': 12,
    'data__train_size': 24,
    'training__batch_size': 6,
}


class PlacesTest(parameterized.TestCase):
    @parameterized.parameters((2, 5, 0), (3, 4, 7), (5, 1, 4))
    def test_splits_are_the_whole_data_set_and_parts_are_all_of_it(self, count, part, first):
        held_out = []
        for repeat in range(first * count, (first + 1) * count):
            train = folds.places(count, part, 'train', repeat, np.arange((count - 1) * part))
            left = folds.places(count, part, 'validation', repeat, np.arange(part))
            self.assertCountEqual([*train, *left], range(count * part))
            self.assertEqual(folds.data_set(count, repeat), first)
            held_out += list(left)
        self.assertCountEqual(held_out, range(count * part))


class LackingTest(parameterized.TestCase):
    @parameterized.parameters(
        (3, range(6), {0: [], 1: []}),
        (3, range(2), {0: [2]}),
        (3, range(1, 4), {0: [0], 1: [4, 5]}),
        (2, [5, 0, 1, 8], {0: [], 2: [4], 4: [9]}),
        (2, [], {}),
    )
    def test_data_sets_are_told_what_they_lack(self, count, repeats, wanted):
        self.assertEqual(folds.lacking(count, repeats), wanted)
        text = folds.told(count, repeats)
        self.assertEqual(bool(text), any(wanted.values()))
        for number, own in wanted.items():
            named = f'data set {number} lacks repeat{"s" if len(own) > 1 else ""} '
            self.assertEqual(named + ', '.join(map(str, own)) in text, bool(own))

    def test_many_are_one_sentence(self):
        text = folds.told(2, range(0, 2000, 2))
        self.assertLess(len(text), 400)
        self.assertIn('; 996 more lack some: ', text)


class DataTest(parameterized.TestCase):
    def _images(self, cached, repeats=6):
        """{split: [repeats, n, ...]} images and targets of a study's repeats."""
        made = small_study.study(repeats=repeats, evaluation__validation_under_test=True, **_SIZES)
        engine = small_study.engine(made, cached=cached)
        source = engine.programs.learner.source

        def look(_, run, device, shared):
            from imbreg_jax.training.programs import place

            at = place(run, device, shared)
            return {
                split: source.examples(at, split, np.arange(source.count(split)))
                for split in ('train', 'validation', 'test', 'selection')
            }

        seen = engine.programs.compile(look)((), engine.run_data, engine.resident, engine.shared)
        return engine.axis.fetch(seen)

    @parameterized.parameters(True, False)
    def test_repeats_share_their_data_sets_images_and_leave_out_their_own(self, cached):
        seen = self._images(cached)
        sets = []
        for repeat in range(6):
            parts = [seen[split][0][repeat].reshape(-1, 400) for split in ('train', 'validation')]
            whole = np.concatenate(parts)
            self.assertLen(np.unique(whole, axis=0), 36)
            sets.append({row.tobytes() for row in whole})
        for first in (0, 3):
            self.assertEqual(sets[first], sets[first + 1])
            self.assertEqual(sets[first], sets[first + 2])
            left = [{row.tobytes() for row in seen['validation'][0][first + i]} for i in range(3)]
            self.assertEqual(set.union(*left), sets[first])
        self.assertEmpty(sets[0] & sets[3])
        # Tests are each repeat's own, and so is what could be chosen by under their laws.
        for split in ('test', 'selection'):
            tests = {seen[split][0][repeat].tobytes() for repeat in range(6)}
            self.assertLen(tests, 6)
        chosen_by = {row.tobytes() for row in seen['selection'][0].reshape(-1, 400)}
        self.assertEmpty(chosen_by & (sets[0] | sets[3]))

    def test_kept_images_are_those_that_are_drawn_anew(self):
        kept, drawn = self._images(True, 3), self._images(False, 3)
        for split, parts in kept.items():
            for one, other in zip(parts, drawn[split], strict=True):
                np.testing.assert_array_equal(one, other)

    def test_a_data_set_is_the_training_set_of_its_number(self):
        seen = self._images(True)
        plain = small_study.study(
            repeats=2, data__train_size=36, data__validation_size=12, training__batch_size=6
        )
        engine = small_study.engine(plain)
        targets = engine.axis.fetch(engine.targets['train'])
        for number in (0, 1):
            found = [seen[split][1][3 * number] for split in ('train', 'validation')]
            self.assertCountEqual(np.concatenate(found), targets[number])


class RulesTest(absltest.TestCase):
    def test_sizes_that_are_no_parts_are_refused(self):
        for change, message in (
            ({'data__train_size': 25}, 'leave 24 images to train on, and data.train_size is 25'),
            ({'data__folds': 1}, 'it must be 0, or at least 2'),
        ):
            with self.assertRaisesRegex(study_lib.ConfigError, message):
                small_study.study(**{**_SIZES, **change})


if __name__ == '__main__':
    absltest.main()
