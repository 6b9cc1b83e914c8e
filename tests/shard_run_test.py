"""Tests of imbreg_jax.runner.shard_run and results.merging: shards against the whole study."""

import functools
import pathlib
import shutil
from unittest import mock

import pytest
from absl.testing import absltest

import kept_study
from imbreg_jax.analysis import AnalysisError, loading
from imbreg_jax.compute import backend
from imbreg_jax.results import files, merging
from imbreg_jax.results.workdir import Workdir, WorkdirError
from imbreg_jax.runner import shard_run
from imbreg_jax.runner.shard_run import ShardRun
from imbreg_jax.study import Study, resolve, shards
from imbreg_jax.study.shards import Shard
from imbreg_jax.training.engine import Engine
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


def _study(**fields) -> Study:
    # Images that are not kept change no bit, and `study_run_test.py` has compiled such programs.
    return resolve(kept_study.config(**({'data__cache': 'never'} | fields)))


def _run(workdir, number, of=2, report=None, **fields) -> ShardRun:
    # Runs of one process share what they compile.
    with mock.patch.object(shard_run, 'StudyRun', kept_study.Run):
        return ShardRun(_study(**fields), Shard(number, of), workdir, report=report)


@functools.cache
def _trained() -> tuple[pathlib.Path, list[pathlib.Path]]:
    """A workdir whose two shards are trained, one of them resumed, and where a report was made."""
    workdir = pathlib.Path(absltest.TEST_TMPDIR.value) / 'shards'
    reports: list[pathlib.Path] = []
    with mock.patch.object(Engine, 'end_epoch', side_effect=kept_study.Abandoned):
        try:
            _run(workdir, 2).finish()
        except kept_study.Abandoned:
            pass
    for number in (1, 2):
        _run(workdir, number, report=reports.append).finish()
    return workdir, reports


@pytest.mark.slow
class MergedTest(kept_study.TestCase):
    def setUp(self):
        super().setUp()
        made, self.reports = _trained()
        shutil.copytree(made, self.workdir)

    def _no_training(self):
        return mock.patch.object(backend, 'prepare', side_effect=AssertionError)

    def test_is_byte_for_byte_what_the_whole_study_leaves_and_reported_on_once(self):
        self.assertLen(self.reports, 1)
        self.assert_same_results()
        held = files.read_json(self.workdir / 'config.json')
        whole = files.read_json(self.reference / 'config.json')
        self.assertEqual(held['shards'], 2)
        self.assertEqual(set(held), set(whole) | {'shards'})
        for name in ('conditions', 'test_distributions', 'history', 'devices'):
            self.assertEqual(held[name], whole[name], name)
        parts = [
            files.read_json(merging.folder(self.workdir, Shard(number, 2)) / 'config.json')
            for number in (1, 2)
        ]
        spent = [part['timing']['seconds'] for part in parts]
        self.assertAlmostEqual(held['timing']['seconds'], sum(spent))
        # Each shard has one of the two repeats, and of a condition the mean of both is told.
        for name, condition in held['timing']['conditions'].items():
            own = [part['timing']['conditions'][name]['seconds'] for part in parts]
            self.assertAlmostEqual(condition['seconds'], sum(own) / 2)
            self.assertEqual(condition['images'], whole['timing']['conditions'][name]['images'])

    def test_needs_no_shard_any_more(self):
        shutil.rmtree(self.workdir / 'shards')
        with self._no_training():
            for run in (_run(self.workdir, 1), _run(self.workdir, 3, of=8), self._whole()):
                run.finish()
                self.assertLen(run.results, len(kept_study.table(self.reference)))
        self.assert_same_results()
        with self.assertRaisesRegex(WorkdirError, 'holds no shards to merge'), self._entered() as w:
            merging.merge(w)

    def test_is_made_again_where_a_file_changed_or_a_merge_was_killed(self):
        for name in ('results.csv', 'config.json'):
            (self.workdir / name).write_bytes((self.workdir / name).read_bytes()[:-9])
            if name == 'config.json':
                (self.workdir / name).unlink()
                shutil.copy(self.reference / 'weights.npz', self.workdir / 'weights.npz')
        # As killed between its first file and its last one.
        held = files.read_json(_trained()[0] / 'config.json')
        del held['finished'], held['digest']
        files.write_json(self.workdir / 'config.json', held)
        with self.assertRaisesRegex(WorkdirError, 'merge them with python -m imbreg_jax.merge'):
            self._whole().finish()
        with self._no_training():
            _run(self.workdir, 2).finish()
        self.assert_same_results()

    def _whole(self):
        return kept_study.run(self.workdir)

    def _entered(self):
        return Workdir(self.workdir, of_shards=True)


@pytest.mark.slow
class RefusedTest(kept_study.TestCase):
    """Shards that make no study: one sentence says why, and nothing is written."""

    def setUp(self):
        super().setUp()
        made, _ = _trained()
        shutil.copytree(made / 'shards', self.workdir / 'shards')
        self.second = self.workdir / 'shards' / '2_of_2'

    def _refused(self, sentence):
        with self.assertRaisesRegex(WorkdirError, sentence) as refused:
            with Workdir(self.workdir, of_shards=True) as workdir:
                merging.merge(workdir)
        self.assertNotIn('\n', str(refused.exception))
        self.assertEqual({path.name for path in self.workdir.iterdir()} - {'.lock'}, {'shards'})

    def _change(self, **changes):
        held = files.read_json(self.second / 'config.json') | changes
        held.pop('digest')
        files.write_json(self.second / 'config.json', held)

    def test_one_that_is_missing_or_not_finished(self):
        held = files.read_json(self.second / 'config.json')
        del held['finished'], held['digest']
        files.write_json(self.second / 'config.json', held)
        self._refused('shard 2 of 2 is not finished: go on with --shard=2/2$')
        shutil.rmtree(self.second)
        self._refused('shard 2 of 2 is missing: start it with --shard=2/2$')

    def test_one_of_another_study(self):
        held = files.read_json(self.second / 'config.json')
        self._change(config=held['config'] | {'seed': 5})
        self._refused(r'2_of_2 is of another study than the shards before it \(seed: 0 -> 5\)')

    def test_one_in_the_place_of_another(self):
        shutil.rmtree(self.second)
        shutil.copytree(self.second.with_name('1_of_2'), self.second)
        self._refused('2_of_2 is not the folder of shard 2 of 2, as its name says')

    def test_one_of_another_count(self):
        self.second.rename(self.second.with_name('2_of_3'))
        self._refused('holds shards of 2 and of 3, which make no study together')

    def test_a_run_in_two(self):
        first = files.read_json(self.second.with_name('1_of_2') / 'config.json')
        self._change(shard={'number': 2, 'of': 2, 'units': first['shard']['units']})
        self._refused('repeat 0 of u1_10 is in 1_of_2 and in 2_of_2')

    def test_a_run_in_none(self):
        self._change(shard={'number': 2, 'of': 2, 'units': []})
        self._refused('repeat 1 of u1_10 is in no shard')

    def test_one_that_was_damaged(self):
        path = self.second / 'checkpoints' / 'unit_0000.npz'
        path.write_bytes(path.read_bytes()[:-1])
        self._refused('unit_0000.npz is not as the study left it')

    def test_of_two_that_end_together_one_merges(self):
        with Workdir(self.workdir, of_shards=True):
            self.assertIsNone(_run(self.workdir, 2).finish())
        self.assertFalse((self.workdir / 'results.csv').exists())
        self.assertIsNotNone(_run(self.workdir, 1).finish())

    def test_a_shard_alone_has_no_results(self):
        with self.assertRaisesRegex(AnalysisError, '2_of_2 holds shard 2 of 2 of a study, which'):
            loading.load([self.second])

    def test_starts_that_do_not_go_together(self):
        whole = self.workdir.with_name('whole')
        shutil.copytree(self.reference, whole)
        for run, sentence in (
            (
                _run(self.workdir, 1, of=3),
                'of 2, whose runs would.*go on with --shard=NUMBER/2',
            ),
            (kept_study.run(self.workdir), 'holds shards of a study; start those that are missing'),
            (kept_study.run(self.second), 'is that of shard 2 of 2 of a study; name'),
            (_run(whole, 1), 'holds a study that was begun whole; go on without shards'),
        ):
            with self.subTest(sentence), self.assertRaisesRegex(WorkdirError, sentence):
                run.finish()


@pytest.mark.slow
class ManyTest(kept_study.TestCase):
    def test_a_shard_too_many_trains_nothing_and_is_not_waited_for(self):
        made, _ = _trained()
        study = _study()
        shards_of = shards.results(study, 6)
        self.assertIn([], shards_of)
        run = _run(self.workdir, shards_of.index([]) + 1, of=6)
        with mock.patch.object(backend, 'prepare', side_effect=AssertionError):
            self.assertIsNone(run.finish())
        self.assertFalse(self.workdir.exists())
        clauses = merging.wanting(self.workdir, study, 6)
        self.assertLen(clauses, 6 - shards_of.count([]))
        self.assertEmpty(merging.wanting(made, study, 2))


if __name__ == '__main__':
    absltest.main()
