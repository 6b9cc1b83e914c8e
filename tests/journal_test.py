"""Tests of imbreg_jax.results.journal: epochs cut off anywhere end as those of a whole study."""

import json
import pathlib
from unittest import mock

import pandas as pd
from absl.testing import absltest

import event_files
import small_study
from imbreg_jax.results import files
from imbreg_jax.results.journal import Journal
from imbreg_jax.results.workdir import Workdir

_CONDITIONS = {'b': {'train_distribution': 'u1_10'}, 'a': {'train_distribution': 'u1_5'}}
# Two programs, one after the other: the study's order is not the one in which epochs end.
_EPOCHS = [(unit, epoch) for unit in (0, 1) for epoch in (0, 1, 2)]

_RESULTS = pd.DataFrame(columns=files.COLUMNS)


def _rows(unit, epoch):
    return [
        {
            'condition': condition,
            'repeat': unit,
            'epoch': epoch,
            'train_loss': None if epoch == 0 else 1 / 3,
            'validation_mse': float('nan') if (condition, unit) == ('a', 1) else 2 / 3,
            'diverged': False,
        }
        for condition in _CONDITIONS
    ]


class JournalTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.study = small_study.study(_CONDITIONS, compute__tensorboard=True)
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.reference = self._journal('reference')
        for place, epoch in enumerate(_EPOCHS):
            with mock.patch('time.time', return_value=1e9 + place):
                self.reference.add(_rows(*epoch))
        self.reference.finish(_RESULTS)

    def _journal(self, name='w', position=None) -> Journal:
        made = Journal(self.study, Workdir(self.folder / name))
        if position is not None:
            self.assertIsNone(made.fault(position))
        made.begin(position)
        return made

    def _metrics(self, name='w') -> bytes:
        return (self.folder / name / 'metrics.jsonl').read_bytes()

    def _epochs(self, name='w') -> pathlib.Path:
        return self.folder / name / 'checkpoints' / 'epochs.jsonl'

    def _steps(self, condition, repeat) -> list[int]:
        """The steps of a run's scalars, each as often as it is there."""
        folder = self.folder / 'w' / 'tensorboard' / condition / f'repeat_{repeat}'
        found = [s for path in folder.glob('*') for s in event_files.scalars(path)]
        return [scalar.step for scalar in found if scalar.tag == 'diverged']

    def test_ends_with_the_same_bytes_wherever_it_is_cut_off(self):
        for kept in range(len(_EPOCHS) + 1):
            for lost in range(kept, len(_EPOCHS) + 1):
                with self.subTest(kept=kept, lost=lost):
                    name = f'{kept}_{lost}'
                    journal = self._journal(name)
                    for epoch in _EPOCHS[:kept]:
                        journal.add(_rows(*epoch))
                    position = {'journal': journal.mark()}
                    metrics = b''.join(files.json_lines(_rows(*epoch)) for epoch in _EPOCHS[:kept])
                    for epoch in _EPOCHS[kept:lost]:
                        journal.add(_rows(*epoch))
                    if lost == len(_EPOCHS):
                        journal.finish(_RESULTS)
                    elif lost > kept:
                        for path in (self._epochs(name), self.folder / name / 'metrics.jsonl'):
                            files.append(path, b'{"condition": "a", "repe')
                    if not kept:
                        position = None
                    journal = self._journal(name, position)
                    if kept:
                        lines = [json.loads(line) for line in metrics.splitlines()]
                        shown = [json.loads(line) for line in self._metrics(name).splitlines()]
                        self.assertCountEqual(shown, lines)
                    for epoch in _EPOCHS[kept:]:
                        journal.add(_rows(*epoch))
                    self.assertIsNone(journal.fault({'journal': journal.mark()}))
                    journal.finish(_RESULTS)
                    self.assertEqual(self._metrics(name), self._metrics('reference'))

    def test_metrics_are_in_the_studys_order_at_last(self):
        found = [json.loads(line) for line in self._metrics('reference').splitlines()]
        self.assertEqual(
            [(row['epoch'], row['condition'], row['repeat']) for row in found],
            [(e, c, k) for e in (0, 1, 2) for c in ('b', 'a') for k in (0, 1)],
        )
        self.assertNotIn('wall_time', found[0])

    def test_what_is_there_is_only_added_to(self):
        journal = self._journal()
        journal.add(_rows(0, 0))
        journal.mark()
        before = [self._metrics(), self._epochs().read_bytes()]
        with mock.patch.object(files, 'whole', side_effect=AssertionError):
            for epoch in _EPOCHS[1:]:
                journal.add(_rows(*epoch))
                mark = journal.mark()
        after = [self._metrics(), self._epochs().read_bytes()]
        for old, new in zip(before, after, strict=True):
            self.assertTrue(new.startswith(old))
            self.assertLen(new.splitlines(), 2 * len(_EPOCHS))
        # However many rows: a checkpoint's position holds none of them.
        self.assertLess(len(json.dumps(mark)), 120)

    def test_each_epoch_is_shown_at_its_end_and_once_after_a_cut(self):
        journal = self._journal()
        journal.add(_rows(0, 0))
        self.assertEqual(self._steps('a', 0), [0])
        journal.add(_rows(0, 1))
        position = {'journal': journal.mark()}
        journal.add(_rows(0, 2))
        self.assertEqual(self._steps('a', 0), [0, 1, 2])
        journal = self._journal(position=position)
        self.assertEqual(self._steps('a', 0), [0, 1])
        for epoch in _EPOCHS[2:]:
            journal.add(_rows(*epoch))
        journal.finish(_RESULTS)
        for condition in _CONDITIONS:
            for repeat in (0, 1):
                self.assertEqual(self._steps(condition, repeat), [0, 1, 2])

    def test_scalars_keep_their_time_over_a_resume(self):
        with mock.patch('time.time', return_value=1e9):
            journal = self._journal()
            journal.add(_rows(0, 0))
            position = {'journal': journal.mark()}
        for path in (self.folder / 'w' / 'tensorboard').rglob('*.imbreg_jax'):
            path.unlink()
        with mock.patch('time.time', return_value=2e9):
            journal = self._journal(position=position)
            journal.add(_rows(0, 1))
        (path,) = (self.folder / 'w' / 'tensorboard' / 'b' / 'repeat_0').iterdir()
        times = {(scalar.step, scalar.wall_time) for scalar in event_files.scalars(path)}
        self.assertEqual(times, {(0, 1e9), (1, 2e9)})

    def test_metrics_that_somebody_changed_are_made_again(self):
        journal = self._journal()
        journal.add(_rows(0, 0))
        position, metrics = {'journal': journal.mark()}, self._metrics()
        path = self.folder / 'w' / 'metrics.jsonl'
        for fault in (path.unlink, lambda: path.write_bytes(metrics[:-1] + b' ')):
            fault()
            self._journal(position=position)
            self.assertEqual(self._metrics(), metrics)

    def test_nothing_is_written_through_a_link(self):
        theirs = self.folder / 'theirs'
        for place in ('metrics.jsonl', 'checkpoints/epochs.jsonl'):
            theirs.write_bytes(b'theirs')
            (self.folder / 'w' / 'checkpoints').mkdir(parents=True, exist_ok=True)
            path = self.folder / 'w' / place
            path.unlink(missing_ok=True)
            path.symlink_to(theirs)
            journal = self._journal()
            journal.add(_rows(0, 0))
            self.assertEqual(theirs.read_bytes(), b'theirs')
            self.assertLen(path.read_bytes().splitlines(), 2)
            path.unlink()
            path.symlink_to(theirs)
            with self.assertRaises(OSError):
                journal.add(_rows(0, 1))
            self.assertEqual(theirs.read_bytes(), b'theirs')

    def test_rows_that_are_not_as_they_were_are_said(self):
        journal = self._journal()
        journal.add(_rows(0, 0))
        position = {'journal': journal.mark()}
        content = self._epochs().read_bytes()
        renamed = content.replace(b'"repeat": 0', b'"repeat": 1', 1)
        for fault, word in (
            (lambda p: p.write_bytes(content[:-1]), 'damaged'),
            (lambda p: p.write_bytes(renamed), 'damaged'),
            (pathlib.Path.unlink, 'missing'),
            (pathlib.Path.mkdir, 'cannot be read'),
        ):
            fault(self._epochs())
            found = Journal(self.study, Workdir(self.folder / 'w')).fault(position)
            self.assertRegex(found, f'epochs.jsonl, which it needs, (is )?{word}')
        self.assertIn('another version', journal.fault({}))


if __name__ == '__main__':
    absltest.main()
