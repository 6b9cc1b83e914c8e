"""Figures show what the numbers say, alike in every study."""

import dataclasses
import functools
import json
import pathlib
import re
import warnings
from unittest import mock
from xml.etree import ElementTree

import numpy as np
from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import canvas, decomposition, figures, loading


def _draw(study):
    return figures.draw(study, decomposition.table(study), decomposition.shrinkage(study))


def _sketch(study):
    """Returns (name, title, caption, drawing) of each figure, without the time to render it."""
    found = []

    def keep(*parts):
        found.append(parts)
        return figures.Figure(*parts[:3], svg='', png=b'')

    with mock.patch.object(canvas, 'finish', keep):
        _draw(study)
    return found


def _legend(drawing):
    return [text.get_text() for legend in drawing.legends for text in legend.get_texts()]


@functools.cache
def _balanced():
    """A study of one condition and its figures."""
    folder = pathlib.Path(absltest.TEST_TMPDIR.value) / 'figures_test' / 'balanced'
    options = {'conditions': {'u1_10': {}}, 'images': 60, 'repeats': 3}
    study = loading.load([simulated_study.write(folder, **options)])
    return study, _draw(study)


class FiguresTest(absltest.TestCase):
    def _study(self, **options):
        options = {'images': 60, 'repeats': 3, **options}
        return loading.load([simulated_study.write(self.create_tempdir().full_path, **options)])

    def test_the_papers_figures_and_ours_are_all_drawn_as_svg_and_png(self):
        found = {figure.name: figure for figure in _draw(self._study())}
        for name in (
            'figure_1_network',
            'figure_2_samples',
            'figure_3_target_densities',
            'figure_4_performance_u1_10',
            'figure_5_performance_u1_5',
            'figure_6_performance_n5_5_1',
            'figure_7_performance_on_u1_10',
            'figure_8_performance_all_tests',
            'learning_curves',
            'predicted_against_true',
            'error_curve',
            'decomposition',
            'shrinkage',
        ):
            self.assertIn(name, found)
            ElementTree.fromstring(found[name].svg)
            self.assertEqual(found[name].png[:8], b'\x89PNG\r\n\x1a\n')

    def test_ids_of_one_page_never_collide_and_nothing_is_fetched(self):
        drawn = [figure.inline_svg() for figure in _balanced()[1]]
        ids = [i for svg in drawn for i in set(re.findall(r'\bid="([^"]+)"', svg))]
        self.assertLen(set(ids), len(ids))
        for svg in drawn:
            used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)
            self.assertContainsSubset({a or b for a, b in used}, set(ids))
            for link in re.findall(r'href="([^#][^"]*)"', svg):
                self.assertStartsWith(link, 'data:')

    def test_drawing_twice_gives_the_same_bytes(self):
        study, drawn = _balanced()
        self.assertEqual([(f.svg, f.png) for f in _draw(study)], [(f.svg, f.png) for f in drawn])

    def test_a_law_looks_the_same_in_every_study(self):
        alone = figures.styles(self._study(conditions={'u1_5': {'train_distribution': 'u1_5'}}))
        together = figures.styles(self._study())
        self.assertEqual(alone['u1_5'], together['u1_5'])
        self.assertLen({style.color for style in together.values()}, 3)
        self.assertLen({style.marker for style in together.values()}, 3)

    def test_layers_are_those_of_the_papers_network(self):
        layers = figures.network_layers(simulated_study.config({}))
        self.assertEqual(
            [shape for _, shape, _ in layers],
            [
                (1, 52, 52),
                (10, 48, 48),
                (10, 24, 24),
                (20, 20, 20),
                (20, 10, 10),
                (2000,),
                (50,),
                (1,),
            ],
        )
        # 10·(25 + 1) + 20·(250 + 1) + 50·2001 + 51.
        self.assertEqual(sum(parameters for *_, parameters in layers), 105_381)

    def test_error_curve_finds_bias_and_spread(self):
        rng = np.random.default_rng(0)
        y = np.sort(rng.uniform(1, 10, 20_000))
        runs = np.array([[-0.1], [0.0], [0.1]])
        errors = -0.2 * y + runs + 0.5 * rng.standard_normal((3, y.size))
        curve = figures.error_curve(y, errors, bins=20)
        # A bin's mean error over 3 runs of 1,000 images: standard error 0.5/√3000.
        np.testing.assert_allclose(curve.bias, -0.2 * curve.target, atol=4 * 0.5 / np.sqrt(3000))
        # A standard deviation from 3,000 draws: relative error 1/√6000.
        np.testing.assert_allclose(curve.image_std, 0.5, rtol=4 / np.sqrt(6000))
        # Between repeats 0.1, blurred by the images of a bin: 0.5/√1000 for each run.
        np.testing.assert_allclose(curve.repeat_std, 0.1, atol=3 * 0.5 / np.sqrt(1000))

    def test_errors_on_the_dense_set_are_to_each_conditions_own_target(self):
        conditions = {'u1_10': {}, 'u1_5': {'train_distribution': 'u1_5'}}
        study = self._study(conditions=conditions)
        run = study.runs['u1_5', 0]
        runs = {
            key: dataclasses.replace(value, dense_target=2 * run.dense_target)
            if key[0] == 'u1_5'
            else value
            for key, value in study.runs.items()
        }
        study = dataclasses.replace(study, runs=runs)
        for name, factor in (('u1_10', 1), ('u1_5', 2)):
            targets, errors = figures._dense(study, name)
            np.testing.assert_array_equal(targets, factor * run.dense_target.astype(np.float64))
            np.testing.assert_allclose(
                targets + errors[0], study.runs[name, 0].dense_prediction, rtol=1e-12
            )

    def test_the_papers_values_are_drawn_where_the_settings_are_the_papers(self):
        def diamonds(training=None, **options):
            study = self._study(**options)
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
                name: ('paper ± std' in _legend(drawing), 'diamond' in caption)
                for name, _, caption, drawing in _sketch(study)
            }

        as_printed = diamonds()
        self.assertEqual(as_printed['figure_7_performance_on_u1_10'], (True, True))
        self.assertEqual(as_printed['figure_8_performance_all_tests'], (True, True))
        departing = diamonds(training={'epochs': 1})
        self.assertEqual(set(departing.values()), {(False, False)})
        fewer = diamonds(test_distributions=('u1_10', 'u1_5'))
        # The mean of other laws than the paper's is not what its Table 5 prints.
        self.assertEqual(fewer['performance_all_tests'], (False, False))
        self.assertNotIn('figure_8_performance_all_tests', fewer)
        self.assertEqual(fewer['figure_7_performance_on_u1_10'], (True, True))

    def test_the_average_says_over_which_laws_it_is(self):
        titles = {name: title for name, title, *_ in _sketch(self._study())}
        self.assertEqual(
            titles['figure_8_performance_all_tests'],
            'Figure 8: all networks, averaged over U(1, 10), U(1, 5) and N(5.5, 1)',
        )
        law = 'triangular(1, 5, 10)'
        study = self._study(conditions={'u1_10': {}}, test_distributions=('u1_10', law))
        titles = {name: title for name, title, *_ in _sketch(study)}
        self.assertEqual(
            titles['performance_all_tests'], f'All networks, averaged over U(1, 10) and {law}'
        )

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
            drawn = _draw(loading.load([workdir]))
        self.assertLen({f.name for f in drawn}, len(drawn))
        for figure in drawn:
            with self.subTest(figure.name):
                self.assertRegex(figure.name, r'^[A-Za-z0-9_]{1,80}$')
                self.assertLessEqual(len(figure.title), 200)
                inline = ElementTree.fromstring(figure.inline_svg())
                self.assertEqual(inline.get('aria-label'), figure.title)
                texts = [''.join(t.itertext()) for t in _elements(figure.svg, 'text')]
                self.assertEmpty(_elements(figure.svg, 'script'))
                self.assertLessEqual(max(map(len, texts)), 60)
        captions = {f.name: f.caption for f in drawn}
        self.assertIn(laws['long'], captions['decomposition'])
        svg = {f.name: f.svg for f in drawn}['learning_curves']
        self.assertIn("$-condition [table('/tmp/$\\frac$.csv')]", svg)
        self.assertIn("table('\\1\\g&lt;0&gt;.csv')", svg)

    def test_conditions_whose_names_differ_in_a_sign_have_files_of_their_own(self):
        conditions = {
            name: {'train_distribution': 'triangular(1, 5, 10)', 'training': {'batch_size': 10 * i}}
            for i, name in enumerate(('a-b', 'a_b', 'A.b'), start=1)
        }
        study = self._study(
            conditions=conditions, networks=dict.fromkeys(conditions, (0.9, 0.01, 0.03)), repeats=2
        )
        drawn = _sketch(study)
        self.assertLen({name.lower() for name, *_ in drawn}, len(drawn))
        self.assertLen([1 for _, title, *_ in drawn if title.startswith('Networks of')], 3)

    def test_one_epoch_is_a_mark_in_every_panel(self):
        study = self._study(conditions={'u1_10': {}}, repeats=2)
        metrics = study.metrics[study.metrics['epoch'] < 2]
        study = dataclasses.replace(study, metrics=metrics)
        drawing = figures._learning_curves(study, ['u1_10'])
        loss = drawing.axes[0]
        mean = study.metrics['train_loss'].mean()
        marked = [
            line
            for line in loss.lines
            if line.get_marker() not in ('', 'None', '_', '|') and len(line.get_xdata()) == 1
        ]
        self.assertLen(marked, 1)
        np.testing.assert_allclose(marked[0].get_xydata(), [[1, mean]])
        for axes in drawing.axes[1:]:
            self.assertLen(axes.lines[0].get_xdata(), 2)

    def test_what_diverged_altogether_leaves_no_empty_figure(self):
        study = self._study(
            conditions={'u1_10': {}}, repeats=2, diverged=[('u1_10', 0), ('u1_10', 1)]
        )
        self.assertEqual(
            [f.name for f in _draw(study)],
            ['figure_1_network', 'figure_2_samples', 'figure_3_target_densities'],
        )

    def test_no_file_is_opened_because_a_workdir_names_it(self):
        path = self.create_tempfile('targets.csv', '1\n2\n3\n').full_path
        targets = np.linspace(4, 5, 100)
        for spec in (f'table({path!r})', f'mixture(u1_10, 0.5, ｔａｂｌｅ({path!r}), 0.5)'):
            with self.subTest(spec), mock.patch('builtins.open', side_effect=AssertionError):
                density = figures._density(spec, np.array([2.0, 4.5]), targets)
                np.testing.assert_allclose(density, [0, 1], rtol=0.5)
        np.testing.assert_allclose(
            figures._density('uniform(1, 10)', np.array([2.0]), targets), [1 / 9]
        )

    def test_very_many_conditions_make_a_bounded_number_of_figures(self):
        laws = {f'normal({5 + i / 100:g}, 1)': i for i in range(120)}
        known = {law: (law, law, simulated_study.LAWS['u1_10'][2]) for law in laws}
        with mock.patch.dict(simulated_study.LAWS, known):
            study = self._study(
                conditions={f'c{i}': {'train_distribution': law} for law, i in laws.items()},
                networks={f'c{i}': (0.9, 0.01, 0.03) for i in laws.values()},
                test_distributions=('u1_10',),
                repeats=1,
                images=8,
            )
        groups = figures._curve_groups(study)
        self.assertLen(groups, figures._MOST_GROUPS)
        self.assertLessEqual(max(len(names) for *_, names in groups), 12)
        drawn = sum((names for *_, names in groups), [])
        self.assertEqual(drawn, list(study.conditions)[: len(drawn)])


def _elements(svg, tag):
    return ElementTree.fromstring(svg).findall(f'.//{{http://www.w3.org/2000/svg}}{tag}')


if __name__ == '__main__':
    absltest.main()
