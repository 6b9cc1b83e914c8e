"""Tests of imbreg_jax.study.naming: what studies and conditions are called."""

import itertools
import pathlib
import re

import ml_collections
from absl.testing import absltest

from imbreg_jax import study
from imbreg_jax.study import command_line

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}')

# A config's fields, what its study is called, and its condition.
_DERIVED = (
    ({}, 'u1_10', 'u1_10'),
    ({'repeats': 3}, 'u1_10-repeats_3', 'u1_10'),
    ({'training__epochs': 30}, 'u1_10-epochs_30', 'u1_10-epochs_30'),
    (
        {'training__learning_rate': 1e-3, 'model__order': 'relu_pool', 'seed': 1},
        'u1_10-seed_1-order_relu_pool-learning_rate_0.001',
        'u1_10-order_relu_pool-learning_rate_0.001',
    ),
    ({'train_distribution': 'uniform(1, 10.0)'}, 'u1_10', 'u1_10'),
    ({'train_distribution': 'normal(5, 0.5)'}, 'normal_5_0.5', 'normal_5_0.5'),
    (
        {'train_distribution': 'mixture(u1_5, 0.9, u1_10, 0.1)'},
        'mixture_uniform_1_5_0.9_uniform_1_10_0.1',
        'mixture_uniform_1_5_0.9_uniform_1_10_0.1',
    ),
    (
        {'test_distributions': ('u1_10', 'uniform(1, 3)')},
        'u1_10-test_distributions_u1_10_uniform_1_3',
        'u1_10',
    ),
    ({'test_distributions': ('uniform(1, 10)', 'u1_5', 'n5_5_1')}, 'u1_10', 'u1_10'),
    ({'model__conv_features': (8, 20)}, 'u1_10-conv_features_8_20', 'u1_10-conv_features_8_20'),
    ({'training__batch_size': 25}, 'u1_10-batch_size_25', 'u1_10-batch_size_25'),
    ({'evaluation__batch_size': 25}, 'u1_10-evaluation_batch_size_25', 'u1_10'),
    ({'task__ddof': 1}, 'u1_10-ddof_1', 'u1_10-ddof_1'),
    ({'compute__matmul_precision': 'high'}, 'u1_10-matmul_precision_high', 'u1_10'),
    # What changes no number is no part of a name.
    ({'compute__steps_per_chunk': 7, 'data__cache': 'never'}, 'u1_10', 'u1_10'),
    ({'analysis__seed': 3}, 'u1_10', 'u1_10'),
    ({'evaluation__moment_images': 60_000}, 'u1_10-moment_images_50000', 'u1_10'),
    ({'data__train_size': 600}, 'u1_10-train_size_600', 'u1_10-train_size_600'),
)  # fmt: skip
# A config file, its overrides, and what the study is then called.
_OVERRIDDEN = (
    ('u1_10', [], 'u1_10'),
    ('u1_10', ['repeats=3'], 'u1_10-repeats_3'),
    ('u1_10', ['repeats=10'], 'u1_10'),
    ('u1_10', ['repeats=3', 'repeats=10'], 'u1_10'),
    ('u1_10', ['training.learning_rate=0.0000005'], 'u1_10'),
    ('u1_10', ['train_distribution=u1_5'], 'u1_5'),
    ('u1_10', ['train_distribution=normal(5, 0.5)', 'repeats=3'], 'normal_5_0.5-repeats_3'),
    ('paper', [], 'paper'),
    ('paper', ['repeats=3', 'training.epochs=1'], 'paper-repeats_3-epochs_1'),
    ('paper', ["test_distributions=('u1_10',)"], 'paper-test_distributions_u1_10'),
    ('paper', ['conditions.u1_5.train_distribution=uniform(1, 3)'],
     'paper-u1_5.train_distribution_uniform_1_3'),
    ('smoke', ['training.batch_size=25', 'evaluation.batch_size=10'],
     'smoke-batch_size_25-evaluation_batch_size_10'),
    ('smoke', ['evaluation.moment_images=700'], 'smoke-moment_images_600'),
    ('smoke', ['evaluation.moment_images=10000'], 'smoke-moment_images_600'),
    ('sensitivity', ['repeats=2'], 'sensitivity-repeats_2'),
    # What changes no number, and a name that is given.
    ('paper', ['compute.profile', 'data.cache=never', 'analysis.seed=3'], 'paper'),
    ('paper', ['repeats=3', 'name=mine'], 'mine'),
    ('paper', ['repeats=3', 'name='], 'u1_10-u1_5-n5_5_1-repeats_3'),
)  # fmt: skip


def _config(conditions=None, **fields) -> ml_collections.ConfigDict:
    config = study.default_config()
    config.conditions = conditions or {}
    config.update_from_flattened_dict({k.replace('__', '.'): v for k, v in fields.items()})
    return config


def _names(config) -> tuple[str, list[str]]:
    made = study.resolve(config)
    for name in (made.name, *(condition.name for condition in made.conditions)):
        assert _NAME.fullmatch(name), name
    return made.name, [condition.name for condition in made.conditions]


class DerivedNameTest(absltest.TestCase):
    """What a study is called that nobody names."""

    def test_tells_the_law_and_what_departs_from_the_defaults(self):
        for fields, name, condition in _DERIVED:
            with self.subTest(str(fields)):
                self.assertEqual(_names(_config(**fields)), (name, [condition]))

    def test_every_field_that_determines_results_and_no_other_is_told(self):
        values = {int: lambda v: v + 2, float: lambda v: v / 2 + 0.125, bool: lambda v: not v}
        for name, field in study.FIELDS.items():
            choices = [choice for choice in field.choices if choice != field.default]
            # Of a sweep its conditions tell.
            if name in ('name', 'sweep') or len(field.choices) == 1:
                continue
            # Two parts of as many validation images as there are to train on.
            more = {'data.validation_size': 50_000} if name == 'data.folds' else {}
            plain = study.resolve(_config({'x': {}}, **more))
            value = choices[0] if choices else {
                'distribution': 'u1_5', 'distributions': ('u1_5',), 'ints': (7, 8),
                'signals': ('SIGHUP',), 'str': 'x', 'remedy': 'inverse(bins=3)',
            }.get(field.kind) or values[type(field.default)](field.default)  # fmt: skip
            with self.subTest(name):
                changed = study.resolve(_config({'x': {}}, **more, **{name: value}))
                same = study.identity(changed) == study.identity(plain)
                self.assertEqual(changed.name == plain.name, same)

    def test_a_table_is_told_by_its_values(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / 'a.csv').write_text('1\n2\n')
        (folder / 'b.csv').write_text('std\n2.0\n1.0\n')
        a, b = (_names(_config(train_distribution=f"table('{folder}/{n}.csv')")) for n in 'ab')
        self.assertEqual(a, b)
        self.assertRegex(a[0], r'^table_[0-9a-f]{16}$')

    def test_several_conditions_are_told_by_their_names(self):
        laws = {name: {'train_distribution': name} for name in ('u1_10', 'u1_5', 'n5_5_1')}
        self.assertEqual(_names(_config(laws))[0], 'u1_10-u1_5-n5_5_1')
        self.assertEqual(
            _names(_config(laws, repeats=3, training__epochs=30))[0],
            'u1_10-u1_5-n5_5_1-repeats_3-epochs_30',
        )
        self.assertEqual(
            _names(_config({'u1_10': {}, 'u1_10-ddof_1': {'task': {'ddof': 1}}}))[0],
            'u1_10-u1_10-ddof_1',
        )

    def test_conditions_whose_names_say_nothing_are_told_by_a_digest(self):
        one = _names(_config({'a': {}, 'b': {'task': {'ddof': 1}}}))[0]
        other = _names(_config({'a': {}, 'b': {'model': {'order': 'relu_pool'}}}))[0]
        self.assertRegex(one, '^a-b-[0-9a-f]{8}$')
        self.assertNotEqual(one, other)
        self.assertRegex(_names(_config({'x': {}}))[0], '^x-[0-9a-f]{8}$')

    def test_long_names_are_shortened_and_still_differ(self):
        laws = [
            f'mixture({", ".join(f"uniform({i}, {i + 1}), 1" for i in range(1, 20))}, u1_5, {w})'
            for w in (1, 2)
        ]
        names = [_names(_config(train_distribution=law)) for law in laws]
        self.assertNotEqual(*[name for name, _ in names])
        self.assertNotEqual(*[condition for _, condition in names])
        for name, (condition,) in names:
            self.assertLen(name, 100)
            self.assertRegex(name, '-[0-9a-f]{8}$')
            self.assertEqual(condition, name)

    def test_a_given_name_stays(self):
        self.assertEqual(_names(_config(name='mine', repeats=3)), ('mine', ['u1_10']))
        self.assertEqual(study.resolve(_config(repeats=3)).resolved['name'], 'u1_10-repeats_3')


class CommandLineNameTest(absltest.TestCase):
    """What a study is called whose fields were overridden on the command line."""

    def _name(self, config: str, *overrides: str) -> str:
        path = config if '/' in config else str(_ROOT / 'configs' / f'{config}.py')
        arguments = [f'--config.{text}' for text in overrides]
        made, _ = command_line.read_config(['main', f'--config={path}', *arguments])
        return _names(made)[0]

    def test_carries_what_was_overridden(self):
        for config, overrides, name in _OVERRIDDEN:
            with self.subTest(str(overrides)):
                for order in (
                    itertools.permutations(overrides)
                    if 'repeats=10' not in overrides
                    else [overrides]
                ):
                    self.assertEqual(self._name(config, *order), name)

    def test_two_studies_do_not_meet_in_a_folder_and_one_finds_its_own(self):
        seen: dict[str, dict] = {}
        for texts in ([], ['repeats=3'], ['seed=3'], ['training.epochs=3'], ['task.ddof=1'],
                      ['repeats=3', 'seed=3'], ['train_distribution=u1_5'],
                      ['train_distribution=uniform(1, 5)'], ['evaluation.dense_size=3'],
                      ['data.test_size=3']):  # fmt: skip
            path = str(_ROOT / 'configs' / 'u1_10.py')
            arguments = [f'--config.{text}' for text in texts]
            config, _ = command_line.read_config(['main', f'--config={path}', *arguments])
            made = study.resolve(config)
            identity = study.identity(made)
            self.assertEqual(seen.setdefault(made.name, identity), identity)
        self.assertLen(seen, 9)

    def _file(self, body: str) -> str:
        return self.create_tempfile(
            'config.py',
            content='from imbreg_jax import study\ndef get_config():\n'
            f'  c = study.default_config()\n  {body}\n  return c\n',
        ).full_path

    def test_a_file_without_a_name_leaves_it_to_the_fields(self):
        path = self._file('c.repeats = 2')
        self.assertEqual(self._name(path), 'u1_10-repeats_2')
        self.assertEqual(self._name(path, 'task.ddof=1'), 'u1_10-repeats_2-ddof_1')

    def test_a_file_that_needs_its_overrides_is_named_after_them(self):
        path = self._file('c.name = "mine"; c.train_distribution = "table(\'nowhere.csv\')"')
        self.assertEqual(
            self._name(path, 'train_distribution=u1_5'), 'mine-train_distribution_u1_5'
        )

    def test_long_overrides_are_shortened_and_still_differ(self):
        laws = [f'mixture({"u1_5, 1, " * 20}u1_10, {w})' for w in (1, 2)]
        names = [self._name('paper', f"test_distributions=('{law}',)") for law in laws]
        self.assertNotEqual(*names)
        for name in names:
            self.assertLen(name, 100)
            self.assertStartsWith(name, 'paper-test_distributions_mixture')

    def test_what_cannot_work_is_left_to_its_refusal(self):
        path = str(_ROOT / 'configs' / 'paper.py')
        config, _ = command_line.read_config(['m', f'--config={path}', '--config.repeats=0'])
        self.assertEqual(config.name, 'paper')
        with self.assertRaisesRegex(study.ConfigError, 'config.repeats = 0'):
            study.resolve(config)


class RestoreTest(absltest.TestCase):
    """Studies that were begun when their only condition had another name."""

    def _held(self, name: str, **fields) -> dict:
        """What an earlier version wrote down, which called conditions after their law alone."""
        return {
            'config': study.resolve(_config(**fields)).resolved | {'conditions': {}},
            'conditions': {name: {}},
        }

    def test_an_only_condition_keeps_the_name_that_its_results_have(self):
        held = study.restore(self._held('u1_10', training__epochs=30))
        asked = study.resolve(_config(training__epochs=30))
        self.assertEqual([c.name for c in held.conditions], ['u1_10'])
        self.assertEqual([c.name for c in asked.conditions], ['u1_10-epochs_30'])
        self.assertEqual(study.differences(held, asked), [])
        adopted = study.adopt(asked, held)
        self.assertEqual([c.name for c in adopted.conditions], ['u1_10'])
        # As it is written down, it is restored and goes on again.
        again = study.restore({'config': adopted.resolved, 'conditions': {'u1_10': {}}})
        self.assertEqual(again, adopted)
        self.assertEqual(study.adopt(asked, again), adopted)
        self.assertEqual(study.resolve(adopted.resolved), adopted)

    def test_a_name_that_somebody_gave_is_a_difference(self):
        held = study.restore(self._held('u1_10', training__epochs=30))
        named = study.resolve(_config({'mine': {}}, training__epochs=30))
        self.assertEqual(study.differences(held, named), ['conditions: u1_10 -> mine'])
        self.assertEqual(
            study.differences(named, study.resolve(_config(training__epochs=30))),
            ['conditions: mine -> u1_10-epochs_30'],
        )

    def test_fields_within_the_only_condition_stay_there(self):
        within = study.resolve(_config({'u1_10-ddof_1': {'task': {'ddof': 1}}}))
        held = study.restore(self._held('u1_10', task__ddof=1))
        self.assertEqual(study.differences(held, within), [])
        adopted = study.adopt(within, held)
        self.assertEqual(adopted.conditions, held.conditions)
        self.assertEqual(study.resolve(adopted.resolved), adopted)

    def test_several_conditions_are_left_as_they_are(self):
        two = study.resolve(_config({'a': {}, 'b': {'task': {'ddof': 1}}}))
        self.assertIs(study.adopt(two, two), two)
        held = {'config': two.resolved, 'conditions': {'a': {}, 'b': {}}}
        self.assertEqual(study.restore(held), two)


if __name__ == '__main__':
    absltest.main()
