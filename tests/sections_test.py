"""Every section says, shows and draws what the study's numbers say."""

import dataclasses
import functools
import json
import pathlib
import warnings
from unittest import mock
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import canvas, comparison, decomposition, finished, loading, look
from imbreg_jax.analysis.paper import section as paper_section
from imbreg_jax.analysis.registry import SECTIONS
from imbreg_jax.analysis.render import inline
from imbreg_jax.analysis.sections import (
    comparisons,
    error_curve,
    learning_curves,
    network,
    results,
    shrinkage,
    targets,
)
from imbreg_jax.analysis.sections import decomposition as decomposition_section
from imbreg_jax.study.config import completed, flatten


def _contents(study):
    return {s.name: s.build(study) for s in SECTIONS if s.applies(study)}


def _figures(study):
    """Returns name of its files -> figure, of every section, drawn or not."""
    return {f.name: f for content in _contents(study).values() for f in content.figures}


def _draw(figure):
    with canvas.settings():
        return figure.draw()


def _legend(drawing):
    return [text.get_text() for legend in drawing.legends for text in legend.get_texts()]


def _lines(axes, color):
    return [line for line in axes.lines if line.get_color() == color]


@functools.cache
def _study(**options):
    folder = pathlib.Path(absltest.TEST_TMPDIR.value) / f'sections_test_{len(options)}'
    return loading.load([simulated_study.write(folder, **{'images': 60, 'repeats': 3, **options})])


# Nothing is to be warned of; a simulated study has no references, and no remedies.
_ABSENT = ('warnings', 'references', 'leaderboard', 'remedies-')


class SectionsTest(absltest.TestCase):
    def _study(self, **options):
        options = {'images': 60, 'repeats': 3, **options}
        return loading.load([simulated_study.write(self.create_tempdir().full_path, **options)])

    def test_every_section_has_a_sentence_and_its_tables_and_figures_have_names_of_their_own(self):
        contents = _contents(_study())
        self.assertEqual(
            list(contents),
            [s.name for s in SECTIONS if not s.name.startswith(_ABSENT)],
        )
        tables = [table for content in contents.values() for table in content.tables]
        self.assertLen({table.name for table in tables}, len(tables))
        for name, content in contents.items():
            with self.subTest(name):
                self.assertRegex(content.headline, r'^[^\n]{10,200}\.$')
                self.assertNotRegex(content.headline, r'\bnan\b|n/a')
                for table in content.tables:
                    self.assertNotEmpty(table.frame, table.name)
                    self.assertEqual({len(row) for row in table.rows()}, {len(table.columns)})

    def test_every_number_says_where_it_is_from(self):
        # But for the numbers of claims, tables and the like, which are no measurements.
        bare = ('claim', 'table')
        for content in _contents(_study()).values():
            for table in content.tables:
                for row in table.rows():
                    for heading, cell in zip(table.headings, row, strict=True):
                        if cell.kind == 'number' and heading not in bare and cell.key != '':
                            self.assertNotEmpty(cell.source, f'{table.name}: {heading}')

    def test_the_papers_section_is_of_studies_with_its_conditions_alone(self):
        law = 'triangular(1, 5, 10)'
        options = {'networks': {'tri': (0.9, 0.01, 0.03)}, 'test_distributions': ('u1_10', law)}
        study = self._study(conditions={'tri': {'train_distribution': law}}, **options)
        contents = _contents(study)
        self.assertNotIn('paper', contents)
        said = ' '.join(f'{c.headline} {c.notes} {c.tables}' for c in contents.values())
        self.assertNotRegex(said, r'(?i)\bpaper|not tested')
        names = {figure for content in contents.values() for figure in content.figures}
        self.assertEmpty([f for f in names if 'Figure ' in f.title])

    def test_no_section_of_a_study_in_which_all_diverged_draws_an_error(self):
        study = self._study(
            conditions={'u1_10': {}}, repeats=2, diverged=[('u1_10', 0), ('u1_10', 1)]
        )
        self.assertEqual(
            list(_contents(study)),
            ['warnings', 'results', 'paper', 'targets', 'network', 'provenance'],
        )
        self.assertEqual(set(_figures(study)), {'figure_2_samples', 'target_densities', 'network'})


class DrawnValuesTest(absltest.TestCase):
    """What artists hold equals what the frames hold."""

    def test_performance(self):
        study = _study()
        rows = [results.Row(name, name, 'u1_10') for name in study.conditions]
        rows[0] = dataclasses.replace(rows[0], printed={'mse': (0.375, 0.057, True)})
        with canvas.settings():
            drawing = results.draw(study, rows, 'paper', 'u1_10')
        styles = look.styles(study)
        for axes, metric in zip(drawing.axes, ('mse', 'mape'), strict=True):
            for i, row in enumerate(rows):
                values = study.values('cnn', row.condition, 'u1_10', metric)
                repeats, interval, mean = _lines(axes, styles[row.condition].color)
                np.testing.assert_array_equal(repeats.get_xdata(), values)
                np.testing.assert_allclose(mean.get_xydata(), [[values.mean(), i + 0.1]])
                np.testing.assert_allclose(np.mean(interval.get_xdata()), values.mean())
        self.assertEqual(drawing.axes[0].containers[0].lines[0].get_xdata(), [0.375])
        self.assertEmpty(drawing.axes[1].containers)
        self.assertIn('paper ± std', _legend(drawing))

    def test_comparisons(self):
        study = _study()
        frame = comparisons.judged(comparison.table(study), comparison.level(study))
        frame = frame[frame['metric'].isin(['mse', 'mape'])]
        with canvas.settings():
            drawing = comparisons.draw(study, frame)
        for axes, metric in zip(drawing.axes, ('mse', 'mape'), strict=True):
            rows = frame[frame['metric'] == metric]
            intervals, marks = axes.lines[:-1:2], axes.lines[1::2]
            drawn = [line.get_xdata() for line in intervals]
            np.testing.assert_array_equal(drawn, rows[['low', 'high']])
            drawn = [mark.get_xdata()[0] for mark in marks]
            np.testing.assert_array_equal(drawn, rows['effect'])
            filled = [mark.get_markerfacecolor() != 'none' for mark in marks]
            self.assertEqual(filled, list(rows['answer'] == 'differs'))

    def test_a_comparison_shows_a_difference_or_sameness_or_neither(self):
        p_values = pd.DataFrame({'holm_p': [0.01, 0.01, 0.2, 0.2, np.nan]})
        frame = comparisons.judged(
            p_values.assign(holm_same_p=[0.9, 0.01, 0.01, 0.9, np.nan]), 0.05
        )
        expected = ['differs', 'differs', 'same within the margin', 'undecided', 'undecided']
        self.assertEqual(list(frame['answer']), expected)

    def test_error_curve_and_predictions(self):
        study = _study()
        names = list(study.conditions)
        frame, styles = error_curve.table(study, names), look.styles(study)
        with canvas.settings():
            drawing = error_curve.draw(study, frame, names)
            predictions = error_curve.draw_predictions(study, frame, names)
        absolute, relative, spread, _ = drawing.axes
        for i, name in enumerate(names):
            curve = frame[frame['condition'] == name]
            color, target = styles[name].color, curve['target']
            for axes, expected in (
                (absolute, [curve['bias']]),
                (relative, [100 * curve['bias'] / target]),
                (spread, [100 * curve[k] / target for k in ('image_std', 'repeat_std')]),
            ):
                drawn = _lines(axes, color)
                self.assertLen(drawn, len(expected))
                for line, values in zip(drawn, expected, strict=True):
                    np.testing.assert_array_equal(line.get_xdata(), target)
                    np.testing.assert_allclose(line.get_ydata(), values, rtol=1e-12)
            dots, line = _lines(predictions.axes[i], color)
            order = np.argsort(study.runs[name, 0].dense_target)
            expected = study.runs[name, 0].dense_prediction[order]
            np.testing.assert_allclose(dots.get_ydata(), expected, rtol=1e-12)
            np.testing.assert_allclose(line.get_ydata(), target + curve['bias'], rtol=1e-12)

    def test_learning_curves(self):
        study = _study()
        frame, styles = learning_curves.table(study), look.styles(study)
        with canvas.settings():
            drawing = learning_curves.draw(study, frame, list(study.conditions))
        for name in study.conditions:
            rows = study.metrics[study.metrics['condition'] == name]
            for axes, metric in zip(
                drawing.axes, ('train_loss', 'validation_mse', 'validation_mape'), strict=True
            ):
                (line,) = _lines(axes, styles[name].color)
                expected = rows.groupby('epoch')[metric].mean().dropna()
                np.testing.assert_array_equal(line.get_xdata(), expected.index)
                np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-12)

    def test_one_epoch_is_a_mark_in_every_panel(self):
        study = _study()
        study = dataclasses.replace(study, metrics=study.metrics[study.metrics['epoch'] < 2])
        drawing = learning_curves.draw(study, learning_curves.table(study), ['u1_10'])
        mark = drawing.axes[0].containers[0].lines[0]
        np.testing.assert_allclose(mark.get_xydata(), [[1, study.metrics['train_loss'].mean()]])
        for axes in drawing.axes[1:]:
            self.assertLen(axes.lines[0].get_xdata(), 2)

    def test_decomposition(self):
        study = _study()
        frame = decomposition.table(study)
        with canvas.settings():
            drawing = decomposition_section.draw(study, frame)
        (axes,) = drawing.axes
        left = np.zeros(len(frame))
        for part, bars in zip(decomposition.PARTS, axes.containers, strict=True):
            share = 100 * frame[part] / frame['total']
            np.testing.assert_allclose([bar.get_width() for bar in bars], share)
            np.testing.assert_allclose([bar.get_x() for bar in bars], left, atol=1e-12)
            left += share
        np.testing.assert_allclose(left, 100)

    def test_shrinkage(self):
        study = _study()
        runs, styles = decomposition.shrinkage(study), look.styles(study)
        with canvas.settings():
            drawing = shrinkage.draw(study, runs, list(study.conditions))
        for name in study.conditions:
            rows = runs[runs['condition'] == name]
            drawn = _lines(drawing.axes[0], styles[name].color)
            pairs = (('predicted_dense', 'measured'), ('predicted_both', 'mean_prediction'))
            for line, keys in zip(drawn, pairs, strict=True):
                np.testing.assert_allclose(line.get_xydata(), 100 * (1 - rows[[*keys]]))

    def test_shrinkage_by_dropout_is_asked_about_where_there_is_dropout(self):
        study = _study()
        self.assertTrue(shrinkage.SECTION.applies(study))
        without = {'model.conv_dropout_rate': 0.0, 'model.dense_dropout_rate': 0.0}
        conditions = {
            name: dataclasses.replace(condition, settings={**condition.settings, **without})
            for name, condition in study.conditions.items()
        }
        study = dataclasses.replace(study, conditions=conditions)
        self.assertFalse(shrinkage.SECTION.applies(study))

    def test_densities(self):
        study = _study()
        (axes,) = targets.draw(study, list(study.conditions)).axes
        for line, inside in zip(axes.lines, (1 / 9, 1 / 4), strict=False):
            x, y = line.get_data()
            np.testing.assert_allclose(y[(x > 1) & (x < 5)], inside)
        x, y = axes.lines[2].get_data()
        np.testing.assert_allclose(y, np.exp(-((x - 5.5) ** 2) / 2) / np.sqrt(2 * np.pi))

    def test_imbalance_is_what_was_written_down_or_else_what_the_laws_say(self):
        study = _study()
        frame = targets.imbalance_table(study).frame.set_index(['law', 'test'])
        row = frame.loc['U(1, 5)', 'U(1, 10)']
        np.testing.assert_allclose(row[['wasserstein', 'missing_share', 'effective_share']].astype(
            float), [2.5, 5 / 9, 1])  # fmt: skip
        self.assertEqual(row['kullback_leibler'], np.inf)
        self.assertLen(frame, 9)
        written = {'wasserstein': 1, 'kullback_leibler': 'infinity', 'missing_share': 0.25,
                   'effective_share': 0.5, 'bins': 7}  # fmt: skip
        for held, expected in (
            ({'u1_10': written}, ['1.000', '∞', '25 %', '50 %']),
            ({'u1_10': 3}, ['n/a'] * 4),
            ([], ['n/a'] * 4),
        ):
            # A law of somebody's config file, which is not known here.
            entry = {'label': 'Own', 'spec': 'own(1)', 'imbalance': held}
            header = study.headers[0] | {'conditions': {'own': entry}}
            law = finished.Distribution('own(1)', 'Own', 'own(1)')
            own = dataclasses.replace(
                study,
                headers=(header,),
                conditions={'own': finished.Condition('own', law, {})},
            )
            table = targets.imbalance_table(own)
            cells = [[cell.text for cell in row] for row in table.rows()]
            self.assertEqual(cells[0], ['Own', 'U(1, 10)', *expected])
            self.assertEqual(cells[1], ['Own', 'U(1, 5)', *['n/a'] * 4])
            self.assertLen(table.notes, 2 if expected[0] == '1.000' else 1)

    def test_network(self):
        frame = network.layers(flatten(completed(simulated_study.config({}))))
        self.assertEqual(
            list(frame['shape']),
            ['1@52×52', '10@48×48', '10@24×24', '20@20×20', '20@10×10', '2,000', '50', '1'],
        )
        # 10·(25 + 1) + 20·(250 + 1) + 50·2001 + 51.
        self.assertEqual(frame['parameters'].sum(), 105_381)
        (axes,) = network.draw(frame).axes
        texts = [text.get_text() for text in axes.texts]
        for shape in frame['shape']:
            self.assertIn(shape, texts)

    def test_network_of_another_form(self):
        config = simulated_study.config({})
        config['model'] |= {'conv_features': [2, 3, 4], 'pool': 'none', 'activation': 'tanh'}
        config['model'] |= {'bias': False, 'normalization': 'batch'}
        frame = network.layers(flatten(completed(config)))
        self.assertEqual(
            list(frame['operation'][1:7:2]) + list(frame['operation'][2:7:2]),
            ['convolution 5×5'] * 3
            + ['batch normalisation, tanh'] * 2
            + ['batch normalisation, channel dropout 0.5, tanh'],
        )
        self.assertEqual(
            list(frame['shape'][1:7:2]),
            ['2@48×48', '3@44×44', '4@40×40'],
        )
        # Kernels, and a scale a channel.
        convolutions = 2 * (25 + 1) + 3 * (50 + 1) + 4 * (75 + 1)
        self.assertEqual(frame['parameters'].sum(), convolutions + 50 * 4 * 40**2 + 50)


class ContentTest(absltest.TestCase):
    def _study(self, **options):
        options = {'images': 60, 'repeats': 3, **options}
        return loading.load([simulated_study.write(self.create_tempdir().full_path, **options)])

    def test_error_curve_finds_bias_and_spread(self):
        rng = np.random.default_rng(0)
        y = np.sort(rng.uniform(1, 10, 20_000))
        runs = np.array([[-0.1], [0.0], [0.1]])
        errors = -0.2 * y + runs + 0.5 * rng.standard_normal((3, y.size))
        curve = error_curve.error_curve(y, errors, bins=20)
        # A bin's mean error over 3 runs of 1,000 images: standard error 0.5/√3000.
        np.testing.assert_allclose(
            curve['bias'], -0.2 * curve['target'], atol=4 * 0.5 / np.sqrt(3000)
        )
        # A standard deviation from 3,000 draws: relative error 1/√6000.
        np.testing.assert_allclose(curve['image_std'], 0.5, rtol=4 / np.sqrt(6000))
        # Between repeats 0.1, blurred by the images of a bin: 0.5/√1000 for each run.
        np.testing.assert_allclose(curve['repeat_std'], 0.1, atol=3 * 0.5 / np.sqrt(1000))

    def test_errors_on_the_dense_set_are_to_each_conditions_own_target(self):
        study = _study()
        run = study.runs['u1_5', 0]
        runs = {
            key: dataclasses.replace(value, dense_target=2 * run.dense_target)
            if key[0] == 'u1_5'
            else value
            for key, value in study.runs.items()
        }
        study = dataclasses.replace(study, runs=runs)
        for name, factor in (('u1_10', 1), ('u1_5', 2)):
            found, errors = error_curve.dense(study, name)
            np.testing.assert_array_equal(found, factor * run.dense_target.astype(np.float64))
            np.testing.assert_allclose(
                found + errors[0], study.runs[name, 0].dense_prediction, rtol=1e-12
            )

    def test_of_a_condition_with_fewer_validation_images_those_it_has_count(self):
        study = _study()
        seen = study.runs['u1_5', 0].validation_target[:20]
        padded = np.concatenate([seen, np.full(40, np.nan)])
        runs = {
            key: dataclasses.replace(run, validation_target=padded) if key[0] == 'u1_5' else run
            for key, run in study.runs.items()
        }
        study = dataclasses.replace(study, runs=runs)
        row = targets.table(study).set_index('law').loc['U(1, 5)']
        self.assertEqual((row['targets'], row['high']), (60, seen.max()))
        self.assertAlmostEqual(row['mean'], seen.mean(dtype=np.float64), places=12)
        alone = error_curve.SECTION.build(
            dataclasses.replace(study, conditions={'u1_5': study.conditions['u1_5']})
        )
        self.assertIn('U(1, 5)', alone.headline)

    def test_the_papers_values_are_drawn_where_the_settings_are_the_papers(self):
        def beside(training=None, **options):
            study = _study(**options)
            (header,) = study.headers
            sections = {
                'data': {'test_size': 5000, 'validation_size': 5000},
                'training': training or {},
            }
            config = {
                **header['config'],
                **{name: {**header['config'][name], **new} for name, new in sections.items()},
            }
            study = dataclasses.replace(study, headers=({**header, 'config': config},))
            return {
                f.name: ('paper ± std' in _legend(_draw(f)), 'diamond' in f.caption)
                for f in paper_section.SECTION.build(study).figures
            }

        as_printed = beside()
        self.assertEqual(as_printed['figure_7_performance_on_u1_10'], (True, True))
        self.assertEqual(as_printed['figure_8_performance_all_tests'], (True, True))
        departing = beside(training={'epochs': 1})
        self.assertEqual(set(departing.values()), {(False, False)})
        fewer = beside(test_distributions=('u1_10', 'u1_5'))
        # The mean of other laws than the paper's is not what its Table 5 prints.
        self.assertNotIn('figure_8_performance_all_tests', fewer)
        self.assertEqual(fewer['figure_7_performance_on_u1_10'], (True, True))

    def test_no_file_is_opened_because_a_workdir_names_it(self):
        path = self.create_tempfile('targets.csv', '1\n2\n3\n').full_path
        seen = np.linspace(4, 5, 100)
        for spec in (f'table({path!r})', f'mixture(u1_10, 0.5, ｔａｂｌｅ({path!r}), 0.5)'):
            with self.subTest(spec), mock.patch('builtins.open', side_effect=AssertionError):
                density = targets.density(spec, np.array([2.0, 4.5]), seen)
                np.testing.assert_allclose(density, [0, 1], rtol=0.5)


class FilesTest(absltest.TestCase):
    """What becomes of the figures of a whole report."""

    @pytest.mark.slow
    def test_long_and_strange_labels_are_drawn_as_text_that_fits(self):
        laws = {
            '$': "table('/tmp/$\\frac$.csv')",  # No formula that there is.
            'template': "table('\\1\\g<0>.csv')",
            'markup': '</svg><script>alert(1)</script>" onload="alert(2)"&amp;\x1b[31m\x00\ud800',
            'long': 'mixture(' + ', '.join(['normal(5.5, 1), 0.01'] * 30) + ')',
            'one_word': 'w' * 300,
        }
        known = {text: (text, text, simulated_study.LAWS['u1_10'][2]) for text in laws.values()}
        with mock.patch.dict(simulated_study.LAWS, known), warnings.catch_warnings():
            # Among others of a layout that has no room left for its axes.
            warnings.simplefilter('error')
            workdir = pathlib.Path(self.create_tempdir().full_path)
            # A table of results cannot hold all of it, so it becomes a label afterwards.
            names = {f'{name}-condition': text for name, text in laws.items()}
            names['markup-condition'] = 'u1_10'
            simulated_study.write(
                workdir,
                {name: {'train_distribution': text} for name, text in names.items()},
                dict.fromkeys(names, (0.9, 0.01, 0.03)),
                test_distributions=('u1_10', laws['long']),
                images=60,
                repeats=2,
            )
            header = json.loads((workdir / 'config.json').read_text())
            header['conditions']['markup-condition']['label'] = laws['markup']
            (workdir / 'config.json').write_text(json.dumps(header))
            figures = _figures(loading.load([workdir]))
            drawn = {n: canvas.finish(n, f.title, f.caption, _draw(f)) for n, f in figures.items()}
        for name, figure in drawn.items():
            with self.subTest(name):
                self.assertLessEqual(len(figure.title), 200)
                shown = ElementTree.fromstring(inline.svg(figure, 'a'))
                self.assertEqual(shown.get('aria-label'), figure.title)
                texts = [''.join(t.itertext()) for t in _elements(figure.svg, 'text')]
                self.assertEmpty(_elements(figure.svg, 'script'))
                self.assertLessEqual(max(map(len, texts)), 60)
        self.assertIn(laws['long'], drawn['decomposition'].caption)
        svg = drawn['learning_curves'].svg
        self.assertIn("$-condition [table('/tmp/$\\frac$.csv')]", svg)
        self.assertIn("table('\\1\\g&lt;0&gt;.csv')", svg)


def _elements(svg, tag):
    return ElementTree.fromstring(svg).findall(f'.//{{http://www.w3.org/2000/svg}}{tag}')


if __name__ == '__main__':
    absltest.main()
