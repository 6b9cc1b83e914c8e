"""Tests of the files in configs/: each loads, is valid, and says how it is started."""

import dataclasses
import pathlib

import numpy as np
from absl.testing import absltest, parameterized

from imbreg_jax import remedies, study

_FOLDER = pathlib.Path(__file__).resolve().parent.parent / 'configs'
_NAMES = sorted(path.stem for path in _FOLDER.glob('*.py'))


def _study(name: str, argument: str = '') -> study.Study:
    return study.resolve(study.load_config_file(f'{_FOLDER / name}.py{argument}'))


class ConfigsTest(parameterized.TestCase):
    def test_the_papers_configs_exist(self):
        self.assertContainsSubset(
            {'u1_10', 'u1_5', 'n5_5_1', 'paper', 'smoke', 'sensitivity'}, _NAMES
        )

    @parameterized.parameters(*_NAMES)
    def test_is_valid_and_named_after_its_file(self, name):
        self.assertEqual(_study(name).name, name)

    @parameterized.parameters(*_NAMES)
    def test_docstring_gives_its_command_and_time(self, name):
        text = (_FOLDER / f'{name}.py').read_text()
        docstring = text.split('"""')[1]
        self.assertIn(f'./launch.sh --config=configs/{name}.py', docstring)
        self.assertIn(f'python -m imbreg_jax.main --config=configs/{name}.py', docstring)
        self.assertRegex(docstring, r'\nTime: ')
        self.assertIn('Expect', docstring)

    @parameterized.parameters('u1_10', 'u1_5', 'n5_5_1')
    def test_a_single_condition_is_the_same_in_the_whole_paper(self, name):
        alone, paper = _study(name), _study('paper')
        self.assertEqual(alone.conditions, (paper.condition(name),))
        self.assertEqual(alone.repeats, paper.repeats)
        self.assertEqual((alone.evaluation, alone.seed), (paper.evaluation, paper.seed))

    @parameterized.parameters('u1_10', 'paper')
    def test_the_committed_results_name_its_conditions(self, name):
        rows = (_FOLDER.parent / 'results' / name / 'results.csv').read_text().splitlines()[1:]
        self.assertEqual(
            list(dict.fromkeys(row.split(',')[0] for row in rows if not row.startswith(','))),
            [condition.name for condition in _study(name).conditions],
        )

    def test_the_paper_is_thirty_networks_in_one_program(self):
        paper = _study('paper')
        self.assertLen(paper.runs, 30)
        self.assertEqual(paper.programs(), ((0, 1, 2),))
        self.assertEqual(paper.conditions[0].training.learning_rate, 5e-7)

    def test_smoke_takes_the_papers_path(self):
        smoke, paper = _study('smoke'), _study('paper')
        self.assertEqual([c.name for c in smoke.conditions], [c.name for c in paper.conditions])
        self.assertEqual(smoke.conditions[0].model, paper.conditions[0].model)
        images = len(smoke.runs) * smoke.conditions[0].images
        self.assertLess(images, 10_000)

    def test_sensitivity_takes_four_programs(self):
        sensitivity, paper = _study('sensitivity'), _study('paper')
        self.assertLen(sensitivity.conditions, 18)
        self.assertLen(sensitivity.programs(), 4)
        for ours, theirs in zip(sensitivity.conditions[:3], paper.conditions, strict=True):
            self.assertEqual(ours.program_key(), theirs.program_key())
            self.assertEqual(ours.distribution, theirs.distribution)

    @parameterized.parameters(
        ('missing_targets', ':disc_radius', 'disc_radius'),
        ('network', ':grating_period', 'grating_period'),
        ('imbalance_by_task', ':std,disc_radius', 'std'),
        ('remedies', ':std,disc_radius', 'std'),
        ('remedies', ':disc_radius/inverse,fds', 'disc_radius'),
    )
    def test_of_the_laboratory_take_a_task(self, name, argument, task):
        whole, some = _study(name), _study(name, argument)
        self.assertStartsWith(some.name, f'{name}-')
        self.assertEqual(some.conditions[0].task.name, task)
        tasks = argument.partition('/')[0]
        self.assertEqual(len({c.task.name for c in some.conditions}), 2 if ',' in tasks else 1)
        self.assertGreaterEqual(len(whole.conditions), len(some.conditions))

    def test_every_remedy_stands_beside_none_and_differs_from_it_in_nothing_else(self):
        conditions = {c.name: c for c in _study('remedies').conditions}
        for name, condition in conditions.items():
            none = conditions[f'{name.rpartition("-")[0]}-none']
            self.assertEqual(none.remedy, remedies.NONE)
            self.assertEqual(condition.distribution, none.distribution)
            for section in ('task', 'data', 'model', 'training'):
                ours, others = getattr(condition, section), getattr(none, section)
                own = [field for field in condition.remedy.sets if field.startswith(f'{section}.')]
                same = {field.partition('.')[2]: condition.value(field) for field in own}
                self.assertEqual(ours, dataclasses.replace(others, **same), name)
        for task in ('std', 'disc_radius', 'needle_angle'):
            own = {name.rpartition('-')[2] for name in conditions if name.startswith(f'{task}-')}
            wanted = {'none', 'inverse', 'balanced_mse', 'gaussian_noise', 'smoter', 'smogn'}
            self.assertContainsSubset(wanted, own)
        some = _study('remedies', ':std/inverse,balanced_mse')
        methods = {c.name.rpartition('-')[2] for c in some.conditions}
        self.assertEqual(methods, {'none', 'inverse', 'balanced_mse'})
        with self.assertRaisesRegex(study.ConfigError, "there is no remedy 'invers'"):
            _study('remedies', ':std/invers')

    def test_rates_are_tried_beside_remedies_and_parts_fit_one_another(self):
        first = _study('remedies', ':std/inverse/rates')
        second = _study('remedies', ':std/fds/rates,alone')
        plain = _study('remedies', ':std/inverse')
        others = _study('remedies', ':std/inverse/other_rates')
        self.assertLen({first.name, second.name, plain.name, others.name}, 4)
        self.assertEqual(first.evaluation, plain.evaluation)
        self.assertTrue(first.evaluation.validation_under_test)
        self.assertCountEqual(
            [c.name for c in first.conditions],
            [c.name for c in (*plain.conditions, *others.conditions)],
        )
        for condition in plain.conditions:
            rates = [
                first.condition(f'{condition.name}{end}').training.learning_rate
                for end in ('-rate_third', '', '-rate_triple')
            ]
            own = condition.training.learning_rate
            np.testing.assert_allclose(rates, [own / 3, own, 3 * own])
            self.assertEqual(rates[1], own)
        # No remedy is in the first part alone, and either part has the other's rates.
        self.assertFalse([c.name for c in second.conditions if c.remedy == remedies.NONE])
        self.assertEmpty({c.name for c in first.conditions} & {c.name for c in second.conditions})
        self.assertEqual(
            {c.training.learning_rate for c in first.conditions},
            {c.training.learning_rate for c in second.conditions},
        )
        of_laws = _study('remedies', ':std/inverse/other_rates,tail,missing')
        self.assertEqual(
            [c.name for c in of_laws.conditions],
            [c.name for c in others.conditions if c.name.split('-')[1] in ('missing', 'tail')],
        )
        farther = _study('remedies', ':std/inverse/farther_rates')
        self.assertEqual(
            [c.name for c in farther.conditions],
            [f'{c.name}-rate_ninefold' for c in plain.conditions],
        )
        for condition, own in zip(farther.conditions, plain.conditions, strict=True):
            rate = condition.training.learning_rate
            np.testing.assert_allclose(rate, 9 * own.training.learning_rate)
        # What a choice leaves to be trained is some conditions, which are the same ones alone.
        left = ['tail-inverse-rate_triple', 'normal-none-rate_third', 'missing-inverse']
        single = _study('remedies', f':std/{",".join(left)}')
        self.assertEqual([c.name for c in single.conditions], [f'std-{name}' for name in left])
        for condition in (*of_laws.conditions, *single.conditions):
            self.assertEqual(condition, first.condition(condition.name))
        both = _study('remedies', ':std/wercs,tail-inverse-rate_triple')
        self.assertContainsSubset(
            {'std-normal-none', 'std-normal-wercs', 'std-tail-inverse-rate_triple'},
            {c.name for c in both.conditions},
        )
        self.assertNotIn('std-tail-inverse', {c.name for c in both.conditions})
        for fault in (':std/inverse/rate', ':std/inverse/rates/alone', ':std//rates,other_rates'):
            with self.assertRaisesRegex(ValueError, 'is none of its choices'):
                _study('remedies', fault)
        for fault in ('long-inverse', 'tail-inverse-rate_double', 'rate_triple-inverse', 'tail-'):
            with self.assertRaisesRegex(ValueError, 'is no condition|there is no remedy'):
                _study('remedies', f':std/{fault}')

    def test_a_remedy_that_refuses_a_laws_targets_is_left_out_of_it_alone(self):
        @remedies.register
        class NeedsGap(remedies.Remedy):
            name = 'needs_gap_of_this_test'

            def tables(self, targets, law, generator):
                if targets.max() > 6:
                    raise ValueError('there is no gap')
                return {}

        self.addCleanup(remedies.REMEDIES.pop, NeedsGap.name)
        some = _study('remedies', f':disc_radius/{NeedsGap.name}')
        having = [c.distribution.spec for c in some.conditions if c.remedy.name == NeedsGap.name]
        self.assertEqual(having, ['uniform(1, 5)'])
        self.assertLen(some.conditions, 5)

    @parameterized.parameters('missing', 'labels', 'symmetry', 'dropout', 'gains', 'mean')
    def test_an_answer_has_what_it_is_held_against(self, question):
        some = _study('remedy_answers', f':{question}')
        self.assertEqual(some.name, f'remedy_answers-{question}')
        # An hour on two cores, at ten seconds a network.
        self.assertLessEqual(len(some.runs), 360)
        none = {
            (c.task, c.distribution.spec, c.model, c.training)
            for c in some.conditions
            if c.remedy is remedies.NONE
        }
        of = [c for c in some.conditions if c.remedy is not remedies.NONE]
        for condition in of:
            if not condition.remedy.sets:
                key = condition.task, condition.distribution.spec, condition.model
                self.assertIn((*key, condition.training), none, condition.name)
        if question == 'labels':
            measured = [c for c in of if c.remedy.relabels]
            self.assertLen(of, 2 * len(measured))
            self.assertLen(measured, 10)
        if question in ('dropout', 'gains'):
            rates = {c.model.conv_dropout_rate for c in of}
            self.assertEqual(rates, {0.0, 0.5})
        if question == 'mean':
            self.assertIn(2, {c.remedy.members for c in of})

    def test_answers_may_be_asked_together(self):
        both = _study('remedy_answers', ':missing,labels')
        alone = [_study('remedy_answers', f':{name}') for name in ('missing', 'labels')]
        names = [{c.name for c in each.conditions} for each in alone]
        self.assertEqual({c.name for c in both.conditions}, names[0] | names[1])
        with self.assertRaisesRegex(study.ConfigError, "there is no question 'label'"):
            _study('remedy_answers', ':label')

    def test_fresh_repeats_decide_the_paper(self):
        quick, decided, paper = map(_study, ('quick', 'paper_decided', 'paper'))
        self.assertEmpty(set(decided.repeats) & set(paper.repeats))
        self.assertEqual(quick.repeats, paper.repeats)
        for ours, theirs in zip(quick.conditions, decided.conditions, strict=True):
            self.assertEqual(ours.training, theirs.training)
        # As much weight is moved as in 15 passes.
        self.assertEqual(quick.programs(), paper.programs())
        first, second = quick.conditions[0].training, paper.conditions[0].training
        self.assertAlmostEqual(
            first.learning_rate * first.epochs, second.learning_rate * second.epochs
        )

    def test_sensitivity_for_some_distributions_only(self):
        one = _study('sensitivity', ':u1_10')
        whole = _study('sensitivity')
        self.assertEqual(one.conditions, whole.conditions[::3])
        self.assertNotEqual(one.name, whole.name)
        with self.assertRaisesRegex(study.ConfigError, "there is no distribution 'u1_11'"):
            _study('sensitivity', ':u1_5,u1_11')


if __name__ == '__main__':
    absltest.main()
