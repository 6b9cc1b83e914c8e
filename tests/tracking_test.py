"""Tests of imbreg_jax.results.tracking; what is TensorBoard's is in tensorboard_test.py."""

import importlib.util
import os
import pathlib
import struct
import warnings
from unittest import mock

import pandas as pd
from absl.testing import absltest

import small_study
from imbreg_jax.results import tracking
from imbreg_jax.results.journal import Journal
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.study import ConfigError

_RESULTS = pd.DataFrame(
    [
        ('u1_10', 'u1_10', 'cnn', repeat, 'uniform(1, 10)', 'mse', 1.0 + repeat)
        for repeat in (0, 1)
    ]
    + [('', '', 'random_guess', 0, 'uniform(1, 10)', 'mse', 9.0)],
    columns=[
        'condition', 'train_distribution', 'predictor', 'repeat', 'test_distribution', 'metric',
        'value',
    ],
)  # fmt: skip


def _rows(epoch):
    return [
        {
            'condition': 'u1_10',
            'train_distribution': 'u1_10',
            'repeat': repeat,
            'epoch': epoch,
            'train_loss': None if epoch == 0 else float('nan') if repeat else 0.5,
            'validation_mse': 10.0 * epoch + repeat,
            'diverged': False,
        }
        for repeat in (0, 1)
    ]


def _records(content: bytes) -> list[bytes]:
    """The records of a file of W&B: LevelDB's log format, after seven bytes of its own."""
    found, whole, place = [], b'', 7
    while place < len(content):
        left = 2**15 - place % 2**15
        if left < 7:  # Too little of a block for a header is filled up.
            place += left
            continue
        _, length, kind = struct.unpack_from('<IHB', content, place)
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # Whole, or the last part.
            found.append(whole)
            whole = b''
    return found


def _is_missing(name):
    return importlib.util.find_spec(name) is None


class NamesTest(absltest.TestCase):
    def test_every_number_has_its_network_in_its_name(self):
        rows = [{**_rows(1)[0], 'member': 2, 'wall_time': 1e9}, _rows(0)[1]]
        self.assertEqual(
            tracking.numbers(rows),
            {
                'u1_10/repeat_0/member_2/train_loss': 0.5,
                'u1_10/repeat_0/member_2/validation_mse': 10.0,
                'u1_10/repeat_0/member_2/diverged': 0.0,
                'u1_10/repeat_1/validation_mse': 1.0,
                'u1_10/repeat_1/diverged': 0.0,
            },
        )

    def test_results_are_means_over_repeats(self):
        self.assertEqual(tracking.means(_RESULTS), {'u1_10/uniform_1_ 10_/mse': 1.5})


class OutsideTest(absltest.TestCase):
    def test_nothing_is_imported_for_whom_it_is_not(self):
        with mock.patch.object(importlib.util, 'find_spec', side_effect=AssertionError):
            self.assertEmpty(tracking.outside(small_study.study(), None))

    def test_one_that_is_not_installed_is_refused_in_a_sentence(self):
        for name in ('wandb', 'mlflow'):
            study = small_study.study(**{f'log__{name}': 'mine'})
            with mock.patch.object(importlib.util, 'find_spec', return_value=None):
                with self.assertRaisesRegex(
                    ConfigError, rf"log.{name} = 'mine': it needs .*pip install 'imbreg_jax\[{name}"
                ):
                    tracking.outside(study, None)

    def test_one_that_fails_is_told_nothing_more_and_stops_no_study(self):
        inner = mock.Mock()
        inner.add.side_effect = ConnectionError('no\nnetwork')
        guarded = tracking._Guarded('wandb', inner)
        guarded.begin([])
        with self.assertLogs('imbreg_jax', 'WARNING') as logs:
            guarded.add(_rows(0))
            guarded.add(_rows(1))
            guarded.finish(_rows(1), _RESULTS)
        self.assertLen(logs.records, 1)
        self.assertStartsWith(
            logs.records[0].getMessage(), 'wandb is told nothing from here on (ConnectionError: no'
        )
        inner.begin.assert_called_once()
        inner.finish.assert_not_called()


class _TrackerTest(absltest.TestCase):
    """A study that is cut off after an epoch, resumed, and finished."""

    def setUp(self):
        super().setUp()
        # What these libraries warn of is theirs.
        self.enter_context(warnings.catch_warnings())
        warnings.simplefilter('ignore')
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def follow(self, **fields):
        study = small_study.study({'u1_10': {}}, **fields)
        journal = Journal(study, Workdir(self.folder / 'w'))
        journal.begin(None)
        with self.assertNoLogs('imbreg_jax', 'WARNING'):
            journal.add(_rows(0))
            mark = {'journal': journal.mark()}
            journal.add(_rows(1))
            again = Journal(study, Workdir(self.folder / 'w'))
            again.begin(mark)
            for epoch in (1, 2):
                again.add(_rows(epoch))
            again.finish(_RESULTS)


class MLflowTest(_TrackerTest):
    @absltest.skipIf(_is_missing('mlflow'), 'skipped: mlflow is not installed')
    def test_has_a_study_as_one_run_that_a_resume_goes_on_with(self):
        uri = (self.folder / 'mlruns').as_uri()
        variables = {'MLFLOW_TRACKING_URI': uri, 'MLFLOW_ALLOW_FILE_STORE': 'true'}
        self.enter_context(mock.patch.dict(os.environ, variables))
        self.follow(log__mlflow='mine')
        from mlflow.tracking import MlflowClient

        client = MlflowClient(uri)
        (run,) = client.search_runs([client.get_experiment_by_name('mine').experiment_id])
        self.assertEqual(run.info.status, 'FINISHED')
        self.assertEqual(run.info.run_name, 'small')
        self.assertEqual(run.data.params['training.learning_rate'], '0.001')
        history = client.get_metric_history(run.info.run_id, 'u1_10/repeat_1/validation_mse')
        self.assertEqual({(m.step, m.value) for m in history}, {(0, 1.0), (1, 11.0), (2, 21.0)})
        # A network that diverged has no loss.
        self.assertNotIn('u1_10/repeat_1/train_loss', run.data.metrics)
        self.assertEqual(run.data.metrics['u1_10/uniform_1_ 10_/mse'], 1.5)


class WandBTest(_TrackerTest):
    @absltest.skipIf(_is_missing('wandb'), 'skipped: wandb is not installed')
    def test_has_a_study_as_one_run_that_a_resume_goes_on_with(self):
        import wandb
        from wandb.proto import wandb_internal_pb2

        variables = {'WANDB_MODE': 'offline', 'WANDB_DIR': str(self.folder)}
        self.enter_context(mock.patch.dict(os.environ, variables))
        self.follow(log__wandb='mine')
        wandb.teardown()  # As the end of the process does, after which all is written.
        ids, history, summary = set(), set(), {}
        for path in self.folder.glob('wandb/offline-run-*/*.wandb'):
            for data in _records(path.read_bytes()):
                record = wandb_internal_pb2.Record()
                record.ParseFromString(data)
                if record.HasField('run'):
                    ids.add((record.run.run_id, record.run.project, record.run.display_name))
                found = {
                    '/'.join([item.key, *item.nested_key]).strip('/'): item.value_json
                    for item in record.history.item
                }
                if found:
                    history.add((found['epoch'], found['u1_10/repeat_1/validation_mse']))
                summary |= {
                    '/'.join([item.key, *item.nested_key]).strip('/'): item.value_json
                    for item in record.summary.update
                }
        self.assertLen(ids, 1)
        self.assertEqual(ids.pop()[1:], ('mine', 'small'))
        values = {(int(epoch), float(value)) for epoch, value in history}
        self.assertEqual(values, {(0, 1.0), (1, 11.0), (2, 21.0)})
        self.assertEqual(float(summary['u1_10/uniform_1_ 10_/mse']), 1.5)


if __name__ == '__main__':
    absltest.main()
