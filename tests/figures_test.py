"""Figures show what the numbers say, alike in every study."""

import dataclasses
import re
from xml.etree import ElementTree

import numpy as np
from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import decomposition, figures, loading


def _draw(study):
    return figures.draw(study, decomposition.table(study), decomposition.shrinkage(study))


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
        drawn = [f.inline_svg() for f in _draw(self._study(conditions={'u1_10': {}}))]
        ids = [i for svg in drawn for i in set(re.findall(r'\bid="([^"]+)"', svg))]
        self.assertLen(set(ids), len(ids))
        for svg in drawn:
            used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)
            self.assertContainsSubset({a or b for a, b in used}, set(ids))
            for link in re.findall(r'href="([^#][^"]*)"', svg):
                self.assertStartsWith(link, 'data:')

    def test_drawing_twice_gives_the_same_bytes(self):
        study = self._study(conditions={'u1_10': {}}, test_distributions=('u1_10',), repeats=2)
        self.assertEqual(
            [(f.svg, f.png) for f in _draw(study)], [(f.svg, f.png) for f in _draw(study)]
        )

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


if __name__ == '__main__':
    absltest.main()
