"""The decomposition adds up and names the right part; the mechanism predicts what it should."""

import itertools

import numpy as np
from absl.testing import absltest, parameterized

import simulated_study
from imbreg_jax.analysis import decomposition, loading


def _targets(runs=8, images=4000, seed=0):
    return np.random.default_rng(seed).uniform(1, 10, (runs, images))


class DecompositionTest(parameterized.TestCase):
    def test_parts_add_up_to_the_mse_whatever_the_predictions(self):
        rng = np.random.default_rng(1)
        y = _targets(5, 700)
        predicted = np.sin(y) * rng.standard_normal((5, 1)) + 3 + rng.standard_normal(y.shape)
        found = decomposition.decompose(y, predicted)
        # Projections by least squares in float64: a few hundred ulps of the sum.
        self.assertAlmostEqual(found['total'] / found['mse'], 1, places=12)
        self.assertTrue(all(found[part] >= 0 for part in decomposition.PARTS))
        # The other order shares out the same line.
        reversed_order = sum(found[part] for part in decomposition.REVERSED)
        self.assertAlmostEqual(reversed_order, found['scale'] + found['offset'], places=12)

    def test_a_common_factor_is_all_scale(self):
        y = _targets()
        found = decomposition.decompose(y, 0.9 * y)
        self.assertAlmostEqual(found['scale'], 0.01 * np.mean(y**2), places=12)
        self.assertAlmostEqual(found['factor'], 0.9, places=12)
        for part in ('offset', 'bias', 'repeats', 'images'):
            self.assertLess(found[part], 1e-20)

    def test_a_constant_is_what_of_it_no_factor_explains(self):
        y = _targets()
        found = decomposition.decompose(y, y + 0.5)
        # The part of 0.5 along y is a factor; the rest is offset.
        along = np.mean(y) ** 2 / np.mean(y**2)
        self.assertAlmostEqual(found['scale'], 0.25 * along, places=12)
        self.assertAlmostEqual(found['offset'], 0.25 * (1 - along), places=12)
        # Taken first, the constant has it all.
        self.assertAlmostEqual(found['offset_first'], 0.25, places=12)
        self.assertLess(found['scale_last'], 1e-20)
        self.assertLess(found['bias'] + found['repeats'] + found['images'], 1e-20)

    def test_a_kink_at_a_node_is_target_dependent_bias(self):
        y = _targets()
        nodes = np.quantile(y, np.linspace(0, 1, decomposition.NODES))
        found = decomposition.decompose(y, y + np.maximum(y - nodes[5], 0))
        self.assertGreater(found['bias'], 0.05)
        self.assertLess(found['repeats'] + found['images'], 1e-18)

    def test_noise_is_scatter_between_images_but_for_the_nodes(self):
        y = _targets(runs=10, images=4000)
        noise = np.random.default_rng(2).standard_normal(y.shape)
        found = decomposition.decompose(y, y + noise)
        nodes, n = decomposition.NODES, 4000
        # Each run's K nodes take K/n of the variance; χ² of R·(n − K) degrees of freedom.
        expected = 1 - nodes / n
        self.assertAlmostEqual(found['images'], expected, delta=4 * np.sqrt(2 / (10 * n)))
        self.assertLess(found['repeats'], 2 * nodes / n)

    def test_factors_that_differ_between_runs_are_differences_between_repeats(self):
        y = _targets(runs=4, images=2000)
        factors = np.array([[0.8], [0.9], [1.1], [1.2]])
        found = decomposition.decompose(y, factors * y)
        self.assertAlmostEqual(found['repeats'], found['mse'], delta=0.01 * found['mse'])
        self.assertLess(found['images'], 1e-20)

    def test_one_run_has_no_differences_between_repeats(self):
        y = _targets(1, 500)
        found = decomposition.decompose(y, y + np.random.default_rng(3).standard_normal(y.shape))
        self.assertLess(found['repeats'], 1e-20)

    def test_table_agrees_with_the_results_and_skips_diverged_runs(self):
        workdir = simulated_study.write(
            self.create_tempdir().full_path, repeats=3, images=200, diverged=[('u1_5', 1)]
        )
        study = loading.load([workdir])
        for predictor in study.predictors:
            table = decomposition.table(study, predictor)
            self.assertLen(table, 9)
            # results.csv comes from float64 predictions, the arrays hold float32: 2^-24 each.
            np.testing.assert_allclose(table['total'], table['mse'], rtol=1e-5)
        self.assertEqual(set(table['runs'][table['condition'] == 'u1_5']), {2})


class ShrinkageTest(absltest.TestCase):
    def _features(self, channels=4, width=6, images=300):
        rng = np.random.default_rng(4)
        y = rng.uniform(1, 10, images)
        maps = (
            y[:, None]
            * rng.uniform(0.2, 1, channels)
            * (1 + 0.2 * rng.standard_normal((images, channels)))
        )
        mixing = rng.standard_normal((channels, width)) + 0.5
        masks = np.array(list(itertools.product((0.0, 2.0), repeat=channels)))
        # [M, n, width]: features under every channel mask (rate one half, kept channels doubled).
        masked = np.maximum(np.einsum('mc,nc,cw->mnw', masks, maps, mixing), 0)
        return y, np.maximum(maps @ mixing, 0), masked

    def _moments(self, w, b, y, plain, masked):
        a, s = plain @ w + 0.0, ((plain * w) ** 2).sum(-1)
        am, sm = masked @ w, ((masked * w) ** 2).sum(-1)
        return {
            'b': b,
            'mean_y': y.mean(),
            'mean_a': a.mean(),
            'mean_a2': (a**2).mean(),
            'mean_ay': (a * y).mean(),
            'mean_s': s.mean(),
            'channel_mean_a': am.mean(),
            'channel_mean_a2': (am**2).mean(),
            'channel_mean_ay': (am * y).mean(),
            'channel_mean_s': sm.mean(),
            'channel_mean_abar2': (am.mean(0) ** 2).mean(),
        }

    def test_predicts_all_of_it_where_training_has_ended_with_dense_dropout_alone(self):
        y, plain, masked = self._features()
        for rate in (0.2, 0.5):
            penalty = rate / (1 - rate)
            gram = plain.T @ plain / len(y)
            w = np.linalg.solve(
                gram + penalty * np.diag(np.diag(gram)), plain.T @ (y - 0.3) / len(y)
            )
            found = decomposition.shrinkage_factors(self._moments(w, 0.3, y, plain, masked), rate)
            self.assertLess(found['measured'], 0.99)
            self.assertAlmostEqual(found['predicted_dense'], found['measured'], places=10)

    def test_predicts_all_of_it_with_channel_dropout_too(self):
        y, plain, masked = self._features()
        gram = np.einsum('mnw,mnv->wv', masked, masked) / (masked.shape[0] * len(y))
        right = np.einsum('mnw,n->w', masked, y - 0.3) / (masked.shape[0] * len(y))
        w = np.linalg.solve(gram + np.diag(np.diag(gram)), right)
        found = decomposition.shrinkage_factors(self._moments(w, 0.3, y, plain, masked), 0.5)
        self.assertAlmostEqual(found['stationary'], 1, places=10)
        self.assertAlmostEqual(found['predicted_both'], found['mean_prediction'], places=10)
        self.assertLess(found['predicted_both'], found['predicted_dense'])

    def test_no_dropout_predicts_no_shrinkage(self):
        y, plain, masked = self._features()
        w = np.linalg.lstsq(plain, y, rcond=None)[0]
        found = decomposition.shrinkage_factors(self._moments(w, 0.0, y, plain, masked), 0.0)
        self.assertEqual(found['predicted_dense'], 1.0)
        self.assertAlmostEqual(found['measured'], 1.0, places=10)

    def test_study_is_summed_up_condition_by_condition(self):
        study = loading.load([simulated_study.write(self.create_tempdir().full_path, images=100)])
        runs = decomposition.shrinkage(study)
        summary = decomposition.shrinkage_summary(runs).set_index('condition')
        self.assertLen(runs, 30)
        # The simulated moments are stationary under dense dropout alone.
        np.testing.assert_allclose(summary['share_dense'], 100, rtol=1e-9)
        self.assertAlmostEqual(
            summary.loc['u1_10', 'measured'],
            100 * (1 - runs['measured'][runs['condition'] == 'u1_10'].mean()),
            places=9,
        )


if __name__ == '__main__':
    absltest.main()
