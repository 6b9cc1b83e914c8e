"""Tests of imbreg_jax.study.study."""

import json
import subprocess
import sys

from absl.testing import absltest, parameterized

from imbreg_jax import study

_TRAIN = ('u1_10', 'u1_5', 'n5_5_1')


def _config(conditions=None, **fields):
    config = study.default_config()
    config.conditions = conditions or {}
    config.update_from_flattened_dict(fields)
    return config


def _three():
    return {name: {'train_distribution': name} for name in _TRAIN}


class StudyTest(parameterized.TestCase):
    def test_no_conditions_mean_one_named_after_its_distribution(self):
        self.assertEqual([c.name for c in study.resolve(_config()).conditions], ['u1_10'])
        config = _config(train_distribution='mixture(u1_5, 0.9, u1_10, 0.1)')
        (condition,) = study.resolve(config).conditions
        self.assertEqual(condition.name, 'mixture_uniform_1_5_0.9_uniform_1_10_0.1')
        self.assertEqual(
            condition.distribution.name, 'mixture(uniform(1, 5), 0.9, uniform(1, 10), 0.1)'
        )

    def test_conditions_keep_the_order_in_which_they_are_written(self):
        conditions = study.resolve(_config(_three())).conditions
        self.assertEqual(tuple(c.name for c in conditions), _TRAIN)

    def test_runs_are_condition_major_and_numbered_from_the_first_repeat(self):
        resolved = study.resolve(_config(_three(), repeats=2, first_repeat=5))
        self.assertEqual(resolved.repeats, (5, 6))
        self.assertEqual(
            resolved.runs,
            tuple(study.Run(index, repeat) for index in range(3) for repeat in (5, 6)),
        )
        self.assertEqual(resolved.results, tuple(run.result for run in resolved.runs))

    def test_members_of_an_ensemble_are_runs_and_have_one_result(self):
        resolved = study.resolve(
            _config({'one': {}, 'three': {'remedy': 'ensemble(size=3)'}}, repeats=2)
        )
        three = [study.Run(1, repeat, member) for repeat in (0, 1) for member in (0, 1, 2)]
        self.assertEqual(resolved.runs, (study.Run(0, 0), study.Run(0, 1), *three))
        self.assertEqual(resolved.results, ((0, 0), (0, 1), (1, 0), (1, 1)))
        self.assertEqual(resolved.programs(), ((0, 1),))
        repeats = [run.repeat for run in resolved.runs_of(0)]
        self.assertEqual(repeats, [0] * 4 + [1] * 4)
        self.assertCountEqual(resolved.runs_of(0), resolved.runs)

    def test_runs_of_a_law_come_together_in_a_repeat(self):
        changes = {
            'a': {},
            'b': {'train_distribution': 'u1_5'},
            'c': {'training': {'learning_rate': 1e-4}},
            'd': {'train_distribution': 'u1_5', 'training': {'learning_rate': 1e-4}},
        }
        resolved = study.resolve(_config(changes, repeats=2))
        found = [(run.repeat, run.condition_index) for run in resolved.runs_of(0)]
        self.assertEqual(found, [(0, 0), (0, 2), (0, 1), (0, 3), (1, 0), (1, 2), (1, 1), (1, 3)])
        self.assertEqual([run.condition_index for run in resolved.runs], [0, 0, 1, 1, 2, 2, 3, 3])

    def test_a_condition_changes_its_own_fields_only(self):
        changes = {'a': {}, 'b': {'model': {'order': 'relu_pool'}, 'training': {'epochs': 3}}}
        a, b = study.resolve(_config(changes)).conditions
        self.assertEqual((a.model.order, a.training.epochs), ('pool_relu', 15))
        self.assertEqual((b.model.order, b.training.epochs), ('relu_pool', 3))
        self.assertEqual((b.model.kernel_size, b.distribution), (5, a.distribution))

    def test_dotted_and_nested_changes_mean_the_same(self):
        plain = study.resolve(_config()).resolved
        dotted = {**plain, 'conditions': {'a': {}, 'b': {'model.order': 'relu_pool'}}}
        nested = {**plain, 'conditions': {'a': {}, 'b': {'model': {'order': 'relu_pool'}}}}
        self.assertEqual(study.resolve(dotted), study.resolve(nested))

    def test_is_hashable_plain_data(self):
        resolved = study.resolve(_config(_three()))
        self.assertEqual(hash(resolved), hash(study.resolve(_config(_three()))))
        self.assertIsInstance(resolved.conditions[0].model.conv_features, tuple)

    def test_image_passes_of_a_run_are_of_each_view_and_not_of_other_members(self):
        config = study.default_config()
        specs = {'none': '', 'viewed': 'conr()', 'many': 'ensemble(size=3)'}
        config.conditions = {name: {'remedy': spec} for name, spec in specs.items()}
        none, viewed, many = (c.images for c in study.resolve(config).conditions)
        self.assertEqual(none, 15 * 50_000)
        self.assertEqual((viewed, many), (2 * none, none))

    def test_moment_images_are_at_most_the_training_images(self):
        config = _config(**{'data.train_size': 600})
        self.assertEqual(study.resolve(config).evaluation.moment_images, 600)

    @parameterized.parameters(
        {},
        {'conditions': _three()},
        {'conditions': {'x': {}}},
        {'train_distribution': 'uniform(1, 3)'},
    )
    def test_the_resolved_config_survives_json_and_gives_the_same_study(self, **fields):
        resolved = study.resolve(_config(**fields))
        again = study.resolve(json.loads(json.dumps(resolved.resolved)))
        self.assertEqual(again, resolved)
        self.assertEqual(again.resolved, resolved.resolved)
        self.assertEqual(study.identity(again), study.identity(resolved))

    def test_needs_no_jax(self):
        code = 'import sys, imbreg_jax.study.command_line; sys.exit("jax" in sys.modules)'
        self.assertEqual(subprocess.run([sys.executable, '-c', code], check=False).returncode, 0)


class ProgramsTest(parameterized.TestCase):
    @parameterized.parameters(
        {'train_distribution': 'u1_5'},
        {'task': {'target': 'generating'}},
        {'task': {'ddof': 1}},
        {'training': {'learning_rate': 1e-3}},
        {'model': {'conv_dropout_rate': 0.0, 'dense_dropout_rate': 0.1}},
    )
    def test_data_shares_a_program(self, **changes):
        resolved = study.resolve(_config({'a': {}, 'b': changes}))
        self.assertEqual(resolved.programs(), ((0, 1),))

    @parameterized.parameters(
        {'model': {'order': 'relu_pool'}},
        {'model': {'conv_dropout': 'element'}},
        {'model': {'initialization': 'flax'}},
        {'model': {'conv_features': (8, 20)}},
        {'model': {'kernel_size': 3}},
        {'model': {'dense_features': 20}},
        {'training': {'batch_size': 25}},
        {'training': {'epochs': 2}},
        {'training': {'adam_b1': 0.5}},
    )
    def test_shapes_and_code_make_another(self, **changes):
        resolved = study.resolve(_config({'a': {}, 'b': changes, 'c': {'task': {'ddof': 1}}}))
        self.assertEqual(resolved.programs(), ((0, 2), (1,)))


class IdentityTest(parameterized.TestCase):
    @parameterized.parameters(
        ('name', 'other'),
        ('analysis.confidence', 0.9),
        ('compute.steps_per_chunk', 7),
        ('compute.checkpoint_seconds', 1.0),
        ('data.cache', 'never'),
        ('train_distribution', 'uniform(1.0, 10)'),
    )
    def test_leaves_out_what_changes_no_result(self, field, value):
        self.assertEqual(study.differences(_config(), _config(**{field: value})), [])
        self.assertEqual(study.identity(_config()), study.identity(_config(**{field: value})))

    @parameterized.parameters(
        ('seed', 1, 'seed: 0 -> 1'),
        ('repeats', 3, 'repeats: 10 -> 3'),
        ('first_repeat', 3, 'first_repeat: 0 -> 3'),
        ('train_distribution', 'u1_5', 'train_distribution: uniform(1, 10) -> uniform(1, 5)'),
        ('task.ddof', 1, 'task.ddof: 0 -> 1'),
        ('data.train_size', 100, 'data.train_size: 50000 -> 100'),
        ('model.order', 'relu_pool', 'model.order: pool_relu -> relu_pool'),
        ('training.epochs', 3, 'training.epochs: 15 -> 3'),
        ('evaluation.dense_size', 9, 'evaluation.dense_size: 4000 -> 9'),
        ('compute.matmul_precision', 'high', 'compute.matmul_precision: highest -> high'),
    )
    def test_names_what_does(self, field, value, line):
        self.assertIn(line, study.differences(_config(), _config(**{field: value})))
        self.assertNotEqual(study.identity(_config()), study.identity(_config(**{field: value})))
        # In a study of several conditions the line is the same, and comes once.
        if field != 'train_distribution':
            several = study.differences(_config(_three()), _config(_three(), **{field: value}))
            self.assertEqual(several.count(line), 1)

    def test_names_the_condition_that_changed(self):
        changed = _three()
        changed['u1_5'] = {'train_distribution': 'u1_5', 'training': {'epochs': 3}}
        self.assertEqual(
            study.differences(_config(_three()), _config(changed)),
            ['conditions.u1_5.training.epochs: 15 -> 3'],
        )

    def test_names_conditions_that_come_go_or_move(self):
        two = {name: {'train_distribution': name} for name in _TRAIN[:2]}
        three, turned = _three(), dict(reversed(_three().items()))
        self.assertEqual(
            study.differences(_config(three), _config(two)),
            ['conditions.n5_5_1: present -> absent'],
        )
        self.assertEqual(
            study.differences(_config(two), _config(three)),
            ['conditions.n5_5_1: absent -> present'],
        )
        self.assertEqual(
            study.differences(_config(three), _config(turned)),
            ['conditions: u1_10, u1_5, n5_5_1 -> n5_5_1, u1_5, u1_10'],
        )
        self.assertEqual(
            study.differences(_config(), _config({'x': {}})), ['conditions: u1_10 -> x']
        )

    def test_tells_whether_a_table_has_changed(self):
        file = self.create_tempfile(content='1\n2\n')
        config = _config(train_distribution=f'table({file.full_path!r})')
        before = study.resolve(config)
        file.write_text('1\n3\n')
        (line,) = study.differences(before, study.resolve(config))
        self.assertStartsWith(line, 'train_distribution: table(')

    def test_what_an_earlier_version_wrote_down_is_the_same_study(self):
        held = json.loads(json.dumps(study.resolve(_config(_three())).resolved))
        del held['analysis']['reference']
        held['analysis']['bootstrap_resamples'] = 999
        self.assertEmpty(study.differences(study.restore({'config': held}), _config(_three())))
        held['analysis']['bootstrap'] = 999
        with self.assertRaisesRegex(study.ConfigError, 'no such field'):
            study.restore({'config': held})

    def test_is_ready_for_json(self):
        identity = study.identity(_config(_three()))
        self.assertEqual(json.loads(json.dumps(identity)), identity)


if __name__ == '__main__':
    absltest.main()
