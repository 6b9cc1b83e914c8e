"""Tests of imbreg_jax.studies: a study from its config to its report."""

import gc
import json
import pathlib
import shutil
import tempfile
import types
from unittest import mock

import numpy as np
import pytest
from absl.testing import absltest

import imbreg_jax
import kept_study
from imbreg_jax import studies
from imbreg_jax.analysis import AnalysisError
from imbreg_jax.compute import backend
from imbreg_jax.results import checkpoints
from imbreg_jax.runner import shard_run
from imbreg_jax.study import ConfigError
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class StudiesTest(kept_study.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(mock.patch.object(studies, 'StudyRun', kept_study.Run))

    def test_leaves_every_file_and_returns_the_table(self):
        table = imbreg_jax.run_study(kept_study.config(), self.workdir).table
        names = {path.name for path in self.workdir.iterdir()}
        self.assertContainsSubset(
            {*kept_study.RESULTS, 'config.json', 'plan.json', 'report.html', 'tables', 'figures'},
            names,
        )
        self.assert_same_results()
        held = json.loads((self.workdir / 'config.json').read_text())
        self.assertEqual(held['format'], 1)
        self.assertContainsSubset(
            {'started', 'finished', 'seconds', 'compile_seconds', 'images_per_second'},
            held['timing'],
        )
        rows = [json.loads(x) for x in (self.workdir / 'metrics.jsonl').read_text().splitlines()]
        self.assertEqual(
            [(row['epoch'], row['condition'], row['repeat']) for row in rows],
            [(e, c, k) for e in (0, 1, 2) for c in ('u1_10', 'u1_5') for k in (0, 1)],
        )
        self.assertLen(checkpoints.names(self.workdir / 'checkpoints'), 2)
        # Two conditions and two predictors, and the guess, on two laws.
        self.assertLen(table, 10)
        values = kept_study.table(self.reference)
        first = values[(values.predictor == 'cnn') & (values.metric == 'mse')].iloc[[0, 2]]
        self.assertEqual(set(first.test_distribution), {'u1_10'})
        self.assertAlmostEqual(table.mse_mean.iloc[0], first.value.mean())

    @pytest.mark.slow
    def test_the_last_shard_has_the_result(self):
        self.enter_context(mock.patch.object(shard_run, 'StudyRun', kept_study.Run))
        config = kept_study.config()
        self.assertIsNone(imbreg_jax.run_study(config, self.workdir, shard='2/2'))
        result = imbreg_jax.run_study(config, self.workdir, shard='1/2')
        self.assertLen(result.table, 10)
        self.assert_same_results()

    def test_a_shard_must_be_one_and_have_a_workdir(self):
        for shard, workdir in (('2/2', None), ('3/2', self.workdir), ('', self.workdir)):
            with self.assertRaisesRegex(ConfigError, 'shard'):
                imbreg_jax.run_study(kept_study.config(), workdir, shard=shard)

    def test_without_a_workdir_leaves_nothing_behind(self):
        root = pathlib.Path(self.create_tempdir().full_path)
        self.enter_context(mock.patch.object(tempfile, 'tempdir', str(root)))
        result = imbreg_jax.run_study(kept_study.config())
        values = kept_study.table(self.reference)
        np.testing.assert_array_equal(result.results.value, values.value)
        self.assertEqual(result.networks.runs[0], ('u1_10', 0))
        self.assertIn('for this process alone', str(result))
        del result
        gc.collect()
        self.assertEmpty(list(root.iterdir()))
        with mock.patch.object(backend, 'prepare', side_effect=OSError):
            with self.assertRaises(OSError):
                imbreg_jax.run_study(kept_study.config())
        gc.collect()
        self.assertEmpty(list(root.iterdir()))

    def test_a_report_that_cannot_be_made_loses_nothing_and_is_made_by_the_next_start(self):
        build = self.enter_context(mock.patch.object(studies.analysis, 'build'))
        build.side_effect = ValueError("'nonsense' is no backend\nat all.")
        study = kept_study.run(None).study
        run = studies.reported(study, self.workdir)
        with self.assertRaisesRegex(
            AnalysisError,
            r'holds the finished study, but its report could not be made: ValueError in .*\.py, '
            r"line \d+: 'nonsense' is no backend at all; the same command makes it again$",
        ):
            run.finish()
        self.assert_same_results()
        self.assertLen(run.results, len(kept_study.table(self.reference)))
        self.assertIn('finished', json.loads((self.workdir / 'config.json').read_text()))
        build.side_effect = None
        with mock.patch.object(backend, 'prepare', side_effect=AssertionError):
            run = studies.reported(study, self.workdir)
            run.finish()
        self.assertIs(run.report, build.return_value)

    def test_a_full_disk_under_the_report_is_no_fault_of_the_report(self):
        shutil.copytree(self.reference, self.workdir)
        full = OSError(28, 'No space left on device', 'x')
        with mock.patch.object(studies.analysis, 'build', side_effect=full):
            with self.assertRaisesRegex(OSError, 'No space left'):
                studies.reported(kept_study.run(None).study, self.workdir).finish()

    def test_conditions_whose_laws_share_a_label_are_told_apart(self):
        conditions = [
            types.SimpleNamespace(
                name=name,
                distribution=types.SimpleNamespace(name=name, label='table targets.csv', spec=name),
            )
            for name in 'ab'
        ]
        self.assertEqual(
            studies._titles(types.SimpleNamespace(conditions=conditions)),
            {'a': 'table targets.csv (a)', 'b': 'table targets.csv (b)'},
        )


if __name__ == '__main__':
    absltest.main()
