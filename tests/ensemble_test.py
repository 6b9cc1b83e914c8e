"""Tests of imbreg_jax.remedies.ensemble: members are runs, and one result is their mean."""

import json
import pathlib

import numpy as np
from absl.testing import absltest

import imbreg_jax
import small_study
from imbreg_jax.analysis import loading
from imbreg_jax.runner.study_run import StudyRun
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_CONDITIONS = {
    'one': {},
    'three': {'remedy': 'ensemble(size=3)'},
    'bagged': {'remedy': 'ensemble(size=2) + inverse(bins=4)'},
}


class EnsembleTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = pathlib.Path(absltest.TEST_TMPDIR.value) / 'ensemble_test'
        cls.folder = folder / 'whole'
        cls.study = small_study.study(
            _CONDITIONS, repeats=2, training__epochs=1, compute__tensorboard=True
        )
        StudyRun(cls.study, cls.folder).finish()
        # Units of two runs cut ensembles of three and of two.
        cls.cut = folder / 'cut'
        study = small_study.study(
            _CONDITIONS, repeats=2, training__epochs=1, compute__runs_per_program=2
        )
        StudyRun(study, cls.cut).finish()
        cls.networks = imbreg_jax.load(cls.folder).networks

    def test_the_first_member_is_the_single_network_and_the_others_are_not(self):
        for repeat in (0, 1):
            (one, three) = (self.networks.params[name, repeat] for name in ('one', 'three'))
            for layer, kinds in one.items():
                for kind, values in kinds.items():
                    members = three[layer][kind]
                    np.testing.assert_array_equal(members[0], values)
                    for other in (members[1], members[2]):
                        self.assertTrue((other != values).any(), (layer, kind))
                    self.assertTrue((members[1] != members[2]).any(), (layer, kind))

    def test_its_prediction_is_the_mean_of_its_members(self):
        images = np.random.default_rng(0).normal(0, 4, (3, 20, 20)).astype(np.float32)
        params = self.networks.params['three', 1]
        of_members = []
        for member in range(3):
            own = {
                layer: {kind: values[member] for kind, values in kinds.items()}
                for layer, kinds in params.items()
            }
            single = imbreg_jax.trained.TrainedNetworks(self.study, {('one', 1): own})
            of_members.append(single.predict(images)[0])
        self.assertGreater(np.ptp(of_members, axis=0).min(), 0)
        found = self.networks.predict(images, 'three', 1)
        np.testing.assert_allclose(found, np.mean(of_members, axis=0), rtol=1e-5)

    def test_results_are_of_the_mean_prediction(self):
        with np.load(self.folder / 'predictions.npz') as file:
            held = dict(file)
        self.assertEqual(list(held['condition']), ['one'] * 2 + ['three'] * 2 + ['bagged'] * 2)
        self.assertTrue(np.isfinite(held['moments'][:2, 0]).all())
        self.assertTrue(np.isnan(held['moments'][2:]).all())
        study = loading.load([self.folder])
        self.assertEqual(study.repeats('three'), [0, 1])
        errors = held['test_prediction'][3, 0] - held['test_target'][1, 0, 1]
        law = study.values('cnn', 'three', next(iter(study.test_distributions)), 'mse')
        self.assertAlmostEqual(law[1], np.mean(np.float64(errors) ** 2), delta=1e-6 * law[1])

    def test_it_is_the_same_however_its_members_lie_in_units(self):
        for name in ('predictions.npz', 'weights.npz'):
            with np.load(self.folder / name) as whole, np.load(self.cut / name) as cut:
                self.assertEqual(set(whole), set(cut))
                for key, values in whole.items():
                    if values.dtype.kind == 'f':
                        np.testing.assert_allclose(cut[key], values, rtol=1e-4, atol=1e-5)

    def test_every_member_has_its_epochs_and_a_report_their_mean(self):
        lines = (self.folder / 'metrics.jsonl').read_text('utf-8').splitlines()
        rows = [json.loads(line) for line in lines]
        members = [row.get('member') for row in rows if row['condition'] == 'three']
        self.assertEqual(members, [0, 1, 2] * 2 * 2)
        self.assertFalse(any('member' in row for row in rows if row['condition'] == 'one'))
        own = [row['validation_mse'] for row in rows if row['condition'] == 'three']
        metrics = loading.load([self.folder]).metrics
        self.assertLen(metrics, 3 * 2 * 2)
        read = metrics[metrics['condition'] == 'three']['validation_mse']
        np.testing.assert_allclose(read, np.reshape(own, (-1, 3)).mean(1))
        folders = sorted(path.name for path in self.folder.glob('tensorboard/three/repeat_1/*'))
        self.assertEqual(folders, ['member_0', 'member_1', 'member_2'])

    def test_two_ensembles_are_refused(self):
        with self.assertRaisesRegex(ValueError, 'ensemble is there twice'):
            imbreg_jax.remedies.parse('ensemble + ensemble(size=3)')


if __name__ == '__main__':
    absltest.main()
