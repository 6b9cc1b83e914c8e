"""Which dials a study has, what its tests say along them, and that figures show that."""

import json
import math
import pathlib
import warnings
from unittest import mock

import numpy as np
import pandas as pd
from absl.testing import absltest, parameterized
from scipy import stats

import simulated_study
from imbreg_jax.analysis import canvas, comparison, dose_response, loading, look
from imbreg_jax.analysis.sections import dose_response as section
from imbreg_jax.analysis.sections import error_curve

_RATE, _WIDTH, _TASK = 'model.dense_dropout_rate', 'model.dense_features', 'task.name'
_LAWS = ('u1_10', 'u1_5', 'n5_5_1')
_CUTS = {
    f'uniform(1, {high})': (
        f'U(1, {high})',
        f'uniform(1, {high})',
        lambda u, high=high: 1 + (high - 1) * u,
    )
    for high in (9, 8, 4)
}
_OTHER_SIDE = 'uniform(2, 10)'
_INSIDE = {
    'gap(u1_10, 4, 5)': (
        'U(1, 10) without 4-5',
        'gap(u1_10, 4, 5)',
        lambda u: np.where(8 * u < 3, 1 + 8 * u, 2 + 8 * u),
    )
}
_TRIANGLES = {
    f'triangular(1, {peak}, 10)': (
        f'T(1, {peak}, 10)',
        f'triangular(1, {peak}, 10)',
        lambda u, peak=peak: stats.triang((peak - 1) / 9, 1, 9).ppf(u),
    )
    for peak in (1, 10, 4)
}
# As far from U(1, 10) as one another: mirror images of which no target is missing.
_TWINS = {name: law for name, law in _TRIANGLES.items() if '4' not in name}
_UNKNOWN = {'mine': ('mine', 'mine(3)', lambda u: 1 + 9 * u)}


def _of(law='u1_10', **fields):
    return {'train_distribution': law, **{k.replace('__', '.'): v for k, v in fields.items()}}


def _grid(field, values, laws=_LAWS):
    return {f'{law} {value}': {**_of(law), field: value} for law in laws for value in values}


class DoseResponseTest(parameterized.TestCase):
    def _study(
        self, conditions, bias=lambda condition: 0.1, reference='', constant=None, **options
    ):
        """Returns a study whose networks predict (1 − bias) of the target, with little noise.

        The best constant errs as many times as a network as `constant` says of its condition.
        """
        networks = {name: (1 - bias(own), 0.004, 0.01) for name, own in conditions.items()}
        workdir = pathlib.Path(self.create_tempdir().full_path)
        options = {'repeats': 4, 'images': 40, 'test_distributions': ('u1_10',), **options}
        other = {
            f'uniform({low}, 10)': (
                f'U({low}, 10)',
                f'uniform({low}, 10)',
                lambda u, low=low: low + (10 - low) * u,
            )
            for low in (2, 3, 4)
        }
        with mock.patch.dict(simulated_study.LAWS, _CUTS | other | _INSIDE | _TRIANGLES | _UNKNOWN):
            simulated_study.write(workdir, conditions, networks, **options)
        if constant:
            path = workdir / 'results.csv'
            rows = pd.read_csv(path, keep_default_na=False)
            networks = rows[(rows['predictor'] == 'cnn') & (rows['metric'] == 'mse')]
            values = networks['value'].astype(float) * networks['condition'].map(constant)
            networks = networks.assign(predictor='best_constant', value=values)
            pd.concat([rows, networks]).to_csv(path, index=False)
            simulated_study.seal(workdir)
        if reference:
            path = workdir / 'config.json'
            header = json.loads(path.read_text('utf-8'))
            header['config']['analysis']['reference'] = reference
            path.write_text(json.dumps(header), encoding='utf-8')
            simulated_study.seal(workdir)
        return loading.load([workdir])

    def test_dials_are_numbers_with_three_values_and_laws(self):
        rates = _grid(_RATE, (0.1, 0.5, 0.9))
        zipped = {
            f'{epochs}': _of(training__epochs=epochs, training__learning_rate=rate)
            for epochs, rate in ((1, 7.5e-6), (15, 5e-7), (30, 1e-7))
        }
        shares = dict.fromkeys(('u1_10', *_CUTS))
        law = comparison.LAW
        cases = {
            'a dial under three laws': (
                rates,
                {
                    law: [
                        (f'dense_dropout_rate = {rate}', [0, 1.4524, 2.5])
                        for rate in (0.1, 0.5, 0.9)
                    ],
                    _RATE: [
                        (label, [0.1, 0.5, 0.9]) for label in ('U(1, 10)', 'U(1, 5)', 'N(5.5, 1)')
                    ],
                },
            ),
            'settings that change together': (
                zipped,
                {'training.learning_rate, training.epochs': [('', [1e-7, 5e-7, 7.5e-6])]},
            ),
            # Named by what is a number, where one of them is.
            'widths in two fields': (
                {
                    f'{law} {width}': _of(law, **{_WIDTH: width, 'model.conv_features': [width]})
                    for law in _LAWS[:2]
                    for width in (5, 10, 20)
                },
                {
                    law: [(f'dense_features = {width}', [0, 2.5]) for width in (5, 10, 20)],
                    f'model.conv_features, {_WIDTH}': [
                        (label, [5, 10, 20]) for label in ('U(1, 10)', 'U(1, 5)')
                    ],
                },
            ),
            'laws by what they miss': (
                {name: _of(name) for name in shares},
                {law: [('', [0, 100 / 9, 200 / 9, 600 / 9])]},
            ),
            'an unknown law comes last': (
                {name: _of(name) for name in (*_UNKNOWN, *_LAWS)},
                {law: [('', [0, 1.4524, 2.5, math.nan])]},
            ),
            'two laws in categories': (
                _grid(_TASK, ('std', 'median'), _LAWS[:2]),
                {law: [('std', [0, 2.5]), ('median', [0, 2.5])]},
            ),
            'two values are no dial': (
                {str(rate): _of(**{_RATE: rate}) for rate in (0.1, 0.5)},
                {},
            ),
            'categories are none': (
                {name: _of(**{_TASK: name}) for name in ('std', 'median', 'mean')},
                {},
            ),
            'nor are three values under three laws': (
                {f'{i}': _of(own, **{_RATE: i / 10}) for i, own in enumerate(_LAWS)},
                {},
            ),
            'names alone set nothing apart': (
                {
                    name: _of(**{_RATE: rate})
                    for name, rate in zip('abcd', (0.5, 0.5, 0.1, 0.2), strict=True)
                },
                {_RATE: [('', [0.1, 0.2, 0.5])]},
            ),
        }
        for name, (conditions, expected) in cases.items():
            with self.subTest(name):
                study = self._study(conditions, repeats=1)
                found = section.dials(study)
                self.assertEqual(bool(found), section.SECTION.applies(study))
                self.assertEqual([dial.changed for dial in found], list(expected))
                for dial in found:
                    groups = expected[dial.changed]
                    self.assertEqual([g.label for g in dial.groups], [label for label, _ in groups])
                    for group, (_, values) in zip(dial.groups, groups, strict=True):
                        own = [dial.values[condition] for condition in group.conditions]
                        np.testing.assert_allclose(own, values, rtol=1e-3)

    def test_table_has_the_ratios_of_comparisons_and_no_others(self):
        study = self._study(_grid(_RATE, (0.1, 0.5, 0.9)), lambda own: own[_RATE] / 5)
        dials = section.dials(study)
        frame = dose_response.table(study, dials, ('mse', 'mape'))
        self.assertLen(frame, 2 * 9 * 2)
        compared = comparison.table(study).set_index(['first', 'changed', 'metric'])
        for row in frame.to_dict('records'):
            values = study.values('cnn', row['condition'], 'u1_10', row['metric']).to_numpy()
            self.assertAlmostEqual(row['mean'], values.mean(), places=12)
            interval = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
            np.testing.assert_allclose([row['mean_low'], row['mean_high']], interval, rtol=1e-9)
            key = row['condition'], row['dial'], row['metric']
            self.assertEqual(row['reference'], key not in compared.index)
            if not row['reference']:
                self.assertEqual(row['ratio'], compared.loc[key, 'effect'])
                self.assertEqual(row['holm_p'], compared.loc[key, 'holm_p'])
                self.assertIn('; ', row['source'])
            else:
                self.assertTrue(math.isnan(row['ratio']))
                self.assertIn('results.csv lines', row['source'])

    @parameterized.parameters(
        (_RATE, (0.0, 0.2, 0.4, 0.8), False, 0.8, 'step from 0 to 0.8'),
        (_RATE, (0.1, 0.2, 0.4, 0.8), False, 1.0, 'doubling'),
        (_WIDTH, (5, 10, 50, 500), True, 1.0, 'doubling'),
    )
    def test_costs_are_slopes_by_repeat(self, field, values, logarithmic, per, step):
        x = np.log2(values) if step == 'doubling' else np.array(values)
        places = dict(zip(values, (x - x[0]) / (x[-1] - x[0]), strict=True))
        study = self._study(
            _grid(field, values, _LAWS[:1]), lambda own: 0.05 * math.exp(1.5 * places[own[field]])
        )
        (dial,) = section.dials(study)
        self.assertEqual(dial.logarithmic, logarithmic)
        lines = dose_response.lines(study, [dial], dose_response.table(study, [dial], ['mse']))
        (row,) = lines.to_dict('records')
        errors = np.log(
            [study.values('cnn', name, 'u1_10', 'mse') for name in dial.groups[0].conditions]
        )
        slopes = [stats.linregress(x, column).slope * per for column in errors.T]
        interval = stats.t.interval(0.95, 3, np.mean(slopes), stats.sem(slopes))
        np.testing.assert_allclose(
            [row['cost'], row['low'], row['high']], np.exp([np.mean(slopes), *interval]), rtol=1e-9
        )
        explained = stats.linregress(x, errors.mean(axis=1)).rvalue ** 2
        self.assertAlmostEqual(row['explained'], explained, places=9)
        self.assertEqual((row['step'], row['values'], row['repeats']), (step, 4, 4))

    def test_costs_of_missing_targets_are_by_tenths_of_the_range(self):
        biases = dict(zip(('u1_10', *_CUTS), 0.05 * np.exp([0, 1, 2, 6]), strict=True))
        study = self._study(
            {name: _of(name) for name in biases}, lambda own: biases[own['train_distribution']]
        )
        (dial,) = section.dials(study)
        lines = dose_response.lines(study, [dial], dose_response.table(study, [dial], ['mse']))
        # A bias that grows e-fold per ninth makes an MSE that grows e^1.8-fold per tenth.
        self.assertAlmostEqual(math.log(lines['cost'].item()), 1.8, delta=0.1)
        self.assertEqual(lines['loss'].item(), 'from 11.1 on')
        self.assertIn('per 10 % of the test targets missing', section.SECTION.build(study).headline)

    def test_a_curve_that_is_no_line_has_no_cost(self):
        biases = dict(zip((0.1, 0.3, 0.5, 0.7, 0.9), (0.2, 0.1, 0.05, 0.1, 0.2), strict=True))
        study = self._study(_grid(_RATE, list(biases), _LAWS[:1]), lambda own: biases[own[_RATE]])
        (dial,) = section.dials(study)
        lines = dose_response.lines(study, [dial], dose_response.table(study, [dial], ['mse']))
        self.assertLess(lines['explained'].item(), 0.5)
        self.assertTrue(lines[['cost', 'low', 'high']].isna().all(axis=None))
        self.assertEqual(lines['loss'].item(), 'from 0.7 on; from 0.3 down')
        self.assertNotIn('factor', section.SECTION.build(study).headline)

    def test_what_cannot_be_fitted_is_undefined(self):
        x = np.array([0.0, 1.0, 2.0])
        for errors in (np.ones((3, 4)), np.ones((3, 0)), np.array([[1.0], [0.0], [2.0]])):
            slopes, explained = dose_response.fitted(x, errors)
            self.assertEqual(slopes.shape, errors.shape[1:])
            self.assertTrue(math.isnan(explained))

    @parameterized.parameters(
        ((1.0, 1.05, 1.2, 1.3), 0, 'from 2 on'),
        ((1.0, 1.2, 1.0, 1.3), 0, 'from 3 on; at 1 but not beyond'),
        ((1.0, 1.2, 1.3, 1.0), 0, 'at 1, 2 but not beyond'),
        ((1.0, 1.0, 1.0, 1.0), 0, 'nowhere'),
        ((1.3, 1.2, math.nan, 1.2), 2, 'from 3 on; from 1 down'),
        ((1.3, 1.0, 1.0, math.nan), 3, 'from 0 down'),
        ((math.nan,) * 4, 1, 'nowhere'),
    )
    def test_loss_begins_where_it_stays(self, lows, reference, expected):
        found = dose_response.loss(np.arange(4.0), np.array(lows), reference, 0.1)
        self.assertEqual(found, expected)

    def test_of_laws_alike_in_imbalance_all_must_lose(self):
        values, lows = np.array([0.0, 1, 1, 2]), np.array([math.nan, 1.2, 1.0, 1.2])
        self.assertEqual(dose_response.loss(values, lows, 0, 0.1), 'from 2 on')

    def test_errors_by_target_are_relative_and_of_all_repeats(self):
        study = self._study({'u1_10': {}})
        targets, errors = error_curve.dense(study, 'u1_10')
        edges = np.array([0.0, 5.0, 21.0, 30.0])
        found = section.target_errors(study, 'u1_10', edges)
        for i in range(2):
            own = (targets >= edges[i]) & (targets < edges[i + 1])
            expected = 100 * np.sqrt(np.mean((errors[:, own] / targets[own]) ** 2))
            self.assertAlmostEqual(found[i], expected, places=9)
        self.assertTrue(math.isnan(found[2]))

    def _draw(self, study):
        with canvas.settings():
            return {f.name: f.draw() for f in section.SECTION.build(study).figures}

    def test_figures_show_the_table(self):
        study = self._study(_grid(_WIDTH, (5, 10, 50, 500)), lambda own: own[_WIDTH] ** -0.5)
        frame = dose_response.table(study, section.dials(study), ('mse', 'mape'))
        drawings = self._draw(study)
        drawing = drawings[f'dose_response_{_WIDTH}']
        for axes, metric, key in zip(
            drawing.axes, ('mse', 'mse', 'mape', 'mape'), ('mean', 'ratio') * 2, strict=True
        ):
            self.assertEqual(axes.get_xscale(), 'log')
            own = frame[(frame['dial'] == _WIDTH) & (frame['metric'] == metric)]
            for container, law in zip(
                axes.containers, ('U(1, 10)', 'U(1, 5)', 'N(5.5, 1)'), strict=True
            ):
                part = own[own['group'] == law]
                expected = part['ratio'].fillna(1) if key == 'ratio' else part['mean']
                np.testing.assert_array_equal(container.lines[0].get_xdata(), part['value'])
                np.testing.assert_array_equal(container.lines[0].get_ydata(), expected)
        *panels, bar = drawings[f'dose_response_{_WIDTH}_by_target'].axes
        self.assertEqual(
            [axes.get_title(loc='left') for axes in panels], ['U(1, 10)', 'U(1, 5)', 'N(5.5, 1)']
        )
        self.assertIn('relative', bar.get_xlabel())
        for axes in panels:
            ticks = [text.get_text() for text in axes.get_yticklabels()]
            self.assertEqual(ticks, ['5', '10', '50', '500'])
            self.assertEqual(axes.collections[0].norm.vmin, panels[0].collections[0].norm.vmin)

    def test_laws_that_lack_as_much_are_told_apart_by_where_they_lack_it(self):
        names = ('u1_10', *_CUTS)
        study = self._study({name: _of(name) for name in names})
        (dial,) = section.dials(study)
        self.assertEqual([group.label for group in dial.groups], [''])
        study = self._study({name: _of(name) for name in (*names, _OTHER_SIDE, *_INSIDE)})
        (dial,) = section.dials(study)
        groups = {group.label: group.conditions for group in dial.groups}
        expected = {
            'missing above': names,
            'missing below': ('u1_10', _OTHER_SIDE),
            'missing inside': ('u1_10', *_INSIDE),
        }
        self.assertEqual(groups, expected)
        drawing = self._draw(study)[f'dose_response_{comparison.LAW}']
        for axes in drawing.axes:
            self.assertEmpty(axes.texts)
            for container in axes.containers:
                self.assertNotEqual(container.lines[0].get_linestyle(), 'None')
        self.assertEqual(
            [len(container.lines[0].get_xdata()) for container in drawing.axes[0].containers],
            [len(own) for own in expected.values()],
        )
        lines = section.SECTION.build(study).tables[0].frame
        self.assertEqual(set(lines['group']), {'missing above'})  # Three values make a line.

    def test_categories_that_are_numbers_are_drawn_by_value(self):
        study = self._study(
            _grid(_RATE, (0.5, 0.0, 0.25), _LAWS[:2]),
            lambda own: 0.1 + own[_RATE] * (1 - own[_RATE]) * (own['train_distribution'] == 'u1_5'),
        )
        (dial, _) = section.dials(study)
        frame = dose_response.table(study, [dial], ['mse'])
        values = ('0', '0.25', '0.5')
        expected = [f'dense_dropout_rate = {value}' for value in values]
        self.assertEqual(section.by_value(dial, frame), expected)
        self.assertEqual(section.order(frame), expected[::-1])

    def test_what_is_missing_is_told_by_side(self):
        biases = {
            'u1_10': 0.05, 'uniform(1, 9)': 0.05, 'uniform(1, 8)': 0.2, 'uniform(1, 4)': 0.4,
            _OTHER_SIDE: 0.1, 'uniform(3, 10)': 0.2, 'uniform(4, 10)': 0.4,
        }  # fmt: skip
        study = self._study(
            {name: _of(name) for name in biases}, lambda own: biases[own['train_distribution']]
        )
        self.assertRegex(
            section.SECTION.build(study).headline,
            r'; in % of test targets, a ratio above 1\.1 is shown with those missing above from '
            r'22\.2 on and missing below from 11\.1 on \(a factor \d\.\d+ per 10 % of the test '
            r'targets missing\)\.$',
        )

    def test_laws_of_equal_distance_or_of_other_shapes_are_rows_with_names(self):
        for names in (('u1_10', 'n5_5_1', *_TWINS), ('u1_10', *_TRIANGLES), _LAWS):
            with self.subTest(names):
                study = self._study({name: _of(name) for name in names})
                (dial,) = section.dials(study)
                self.assertTrue(dial.unordered)
                drawing = self._draw(study)[f'dose_response_{comparison.LAW}']
                rows = [text.get_text() for text in drawing.axes[0].get_yticklabels()]
                of = dial.groups[0].conditions
                titles = [f'{study.titles[name]}\n{dial.values[name]:.3g}' for name in of]
                self.assertEqual(rows, titles)
                frame = dose_response.table(study, [dial], ('mse', 'mape'))
                for axes, (metric, key) in zip(
                    drawing.axes,
                    [(metric, key) for metric in ('mse', 'mape') for key in ('mean', 'ratio')],
                    strict=True,
                ):
                    own = frame[frame['metric'] == metric].set_index('condition').loc[[*of]]
                    drawn = axes.containers[0].lines[0].get_xdata()
                    np.testing.assert_array_equal(drawn, own[key].fillna(1))
                self.assertIn('between laws', section.SECTION.build(study).headline)

    def test_laws_of_one_shape_have_a_line_and_what_a_step_of_distance_costs(self):
        names = 'u1_10', *(f'uniform(1, {high})' for high in (9, 8))
        measured = dict(zip(names, ((0.0, 0.0, ''), (0.0, 0.5, ''), (0.0, 1.0, '')), strict=True))
        study = self._study(
            {name: _of(name) for name in names},
            lambda own: 0.1 * 2 ** measured[own['train_distribution']][1],
        )
        (dial,) = dose_response.dials(study, measured.get)
        self.assertFalse(dial.unordered)
        lines = dose_response.lines(study, [dial], dose_response.table(study, [dial], ['mse']))
        self.assertAlmostEqual(lines['cost'].item(), 4, delta=0.2)

    def test_remedies_are_groups_by_their_short_names(self):
        remedies = '', "lds(bins=100, kernel='gaussian', size=5)", 'inverse(bins=100, power=1.0)'
        study = self._study(
            {f'{law} {i}': _of(law, remedy=own) for law in _LAWS for i, own in enumerate(remedies)}
        )
        (dial,) = section.dials(study)
        self.assertEqual([group.label for group in dial.groups], ['no remedy', 'lds', 'inverse'])
        self.assertNotIn(
            f'dose_response_{comparison.LAW}', self._draw(study)
        )  # Laws of several shapes in several groups stand by name in 'when imbalance matters'.

    def test_where_one_thing_at_a_time_is_changed_it_alone_tells_a_group(self):
        one = {'paper': {}, 'median': {_TASK: 'median'}, 'wide': {_WIDTH: 100}}
        both = one | {'both': {_TASK: 'median', _WIDTH: 100}}
        for settings, expected in (
            (one, ['as the reference', 'median', 'dense_features = 100']),
            (
                both,
                ['std, dense_features = 50', 'median, dense_features = 50',
                 'std, dense_features = 100', 'median, dense_features = 100'],
            ),
        ):  # fmt: skip
            conditions = {
                f'{name} {law}': {**_of(law), _TASK: 'std', _WIDTH: 50, **own}
                for name, own in settings.items()
                for law in _LAWS[:2]
            }
            (dial,) = section.dials(self._study(conditions, repeats=1))
            self.assertEqual([group.label for group in dial.groups], expected)

    def test_networks_no_better_than_a_constant_are_named_and_cost_neither_most_nor_least(self):
        costs = {'mean': 0.05, 'std': 0.0, 'median': 0.3}
        study = self._study(
            _grid(_TASK, list(costs), _LAWS[:2]),
            lambda own: 0.1 + costs[own[_TASK]] * (own['train_distribution'] == 'u1_5'),
            constant={
                f'{law} {task}': 10 if task == 'mean' else 0.5
                for law in _LAWS[:2]
                for task in costs
            },
        )
        said = section.SECTION.build(study).headline
        self.assertRegex(said, r'of 1 ratio of MSE .* cost most with mean \([^;]*\)\. Not counted')
        self.assertIn(
            'Not counted are networks with std and median, which err under U(1, 10)', said
        )

    def test_categories_are_rows_by_what_imbalance_costs_them(self):
        costs = {'mean': 0.1, 'std': 0.0, 'median': 0.3}
        study = self._study(
            _grid(_TASK, list(costs), _LAWS[:2]),
            lambda own: 0.1 + costs[own[_TASK]] * (own['train_distribution'] == 'u1_5'),
        )
        content = section.SECTION.build(study)
        self.assertEqual([figure.name for figure in content.figures], ['when_imbalance_matters'])
        self.assertRegex(
            content.headline,
            r'^Tested on U\(1, 10\), of 3 ratios of MSE under each law to that under U\(1, 10\), '
            r'2 under U\(1, 5\) have an interval above 1\.1, and 1 under U\(1, 5\) are the same '
            r'within the margin\. '
            r'Imbalance is shown to cost most with median \(1\d\.\d times under U\(1, 5\), '
            r'1\d\.\d+ to 1\d\.\d+\); of the largest ratios of each the least is that with std '
            r'\([01]\.\d+ times under U\(1, 5\), '
            r'.*\)\.$',
        )
        (drawing,) = self._draw(study).values()
        ratios = comparison.table(study)
        ratios = ratios[ratios['changed'] == comparison.LAW].set_index(['first', 'metric'])[
            'effect'
        ]
        for axes, metric in zip(drawing.axes, ('mse', 'mape'), strict=True):
            (container,) = axes.containers
            drawn = dict(
                zip(container.lines[0].get_ydata(), container.lines[0].get_xdata(), strict=True)
            )
            expected = [ratios[f'u1_5 {task}', metric] for task in ('median', 'mean', 'std')]
            np.testing.assert_array_equal([drawn[row] for row in (0, 1, 2)], expected)
            self.assertEqual(axes.get_xscale(), 'log')
        rows = [text.get_text() for text in drawing.axes[0].get_yticklabels()]
        self.assertEqual(rows, ['median\na constant', 'mean\na constant', 'std\na factor'])
        self.assertEqual([t.get_text() for t in drawing.legends[0].get_texts()], ['U(1, 5)'])

    def test_a_cost_is_shown_where_a_larger_ratio_is_not(self):
        study = self._study(_grid(_TASK, ('std', 'median'), _LAWS))
        (dial,) = section.dials(study)
        frame = dose_response.table(study, [dial], ['mse']).set_index('condition')
        frame.loc[frame['ratio'].notna(), ['ratio', 'low', 'high', 'holm_p']] = 1, 0.9, 1.1, 1
        columns = ['ratio', 'low', 'high', 'holm_p']
        frame.loc['n5_5_1 std', columns] = 3, 0.5, 18, 0.4
        frame.loc['u1_5 std', columns] = 1.5, 1.2, 1.9, 0.01
        said = section._costs_sentence(study, frame.reset_index(), 'MSE')
        self.assertIn(
            'shown to cost most with std (1.50 times under U(1, 5), 1.200 to 1.900)', said
        )
        frame.loc['u1_5 std', 'holm_p'] = 0.4
        said = section._costs_sentence(study, frame.reset_index(), 'MSE')
        self.assertIn('No ratio is shown to be above 1; the largest is that with std (3.00', said)

    def test_what_imbalance_costs_stands_in_a_table_in_the_order_of_the_figure(self):
        study = self._study(
            _grid(_TASK, ('std', 'blob_count', 'mine'), _LAWS[:2]),
            lambda own: 0.2 if own[_TASK] != 'std' and own['train_distribution'] == 'u1_5' else 0.1,
        )
        content = section.SECTION.build(study)
        table = next(t for t in content.tables if t.name == 'when_imbalance_matters')
        own = table.frame[table.frame['metric'] == 'mse']
        self.assertEqual(list(own['symmetry'])[-1:], ['a factor'])
        self.assertCountEqual(own['group'], ['std', 'blob_count', 'mine'])
        self.assertEqual(sorted(own['ratio'], reverse=True), list(own['ratio']))
        self.assertEqual(set(own['law']), {'U(1, 5)'})
        self.assertEqual(list(own['symmetry'])[:2], ['', ''])

    def test_what_cannot_be_said_is_left_out(self):
        conditions = _grid(_RATE, (0.1, 0.5, 0.9))
        cases = {
            'one repeat': {'repeats': 1},
            'a condition diverged': {
                'repeats': 2,
                'diverged': [('u1_10 0.1', 0), ('u1_10 0.1', 1), ('u1_5 0.5', 0)],
            },
            # Nothing has the reference's rate and is like it in the law.
            'a reference apart': {
                'reference': 'c',
                'conditions': {'c': _of('n5_5_1', **{_RATE: 0.2})},
            },
        }
        for name, options in cases.items():
            more = options.pop('conditions', {})
            kept = {k: v for k, v in conditions.items() if not more or not k.startswith('n5')}
            with self.subTest(name), warnings.catch_warnings():
                warnings.simplefilter('error')
                study = self._study(kept | more, **options)
                content = section.SECTION.build(study)
                self.assertRegex(content.headline, r'^[^\n]{10,}\.$')
                self.assertNotRegex(content.headline, r'\bnan\b|n/a')
                self._draw(study)

    def test_large_studies_are_drawn_as_far_as_can_be_read(self):
        study = self._study(
            _grid(_RATE, np.linspace(0, 0.9, look.MOST_ROWS + 1).round(3).tolist(), _LAWS[:2]),
            repeats=2,
        )
        captions = {f.name: f.caption for f in section.SECTION.build(study).figures}
        self.assertIn('first 24 of 25 values', captions[f'dose_response_{_RATE}_by_target'])
        self.assertIn('first 24 of 25 groups', captions['when_imbalance_matters'])
        drawing = self._draw(study)[f'dose_response_{_RATE}_by_target']
        self.assertLen(drawing.axes[0].get_yticks(), look.MOST_ROWS)


if __name__ == '__main__':
    absltest.main()
