"""Tests of imbreg_jax.results.workdir."""

import contextlib
import errno
import json
import os
import pathlib
import signal
import subprocess
import sys
from unittest import mock

from absl.testing import absltest, parameterized

from imbreg_jax import study as study_lib
from imbreg_jax.results import workdir as workdir_lib
from imbreg_jax.results.workdir import Workdir, WorkdirError

_HOLD = """
import sys, time
from imbreg_jax.results.workdir import Workdir
with Workdir(sys.argv[1]):
    print('held', flush=True)
    time.sleep(60)
"""


class WorkdirTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(self.create_tempdir().full_path) / 'workdir'

    def _study(self, **fields) -> study_lib.Study:
        config = study_lib.default_config()
        config.update(fields)
        return study_lib.resolve(config)

    def _begun(self, **fields) -> Workdir:
        workdir = Workdir(self.path)
        with workdir:
            workdir.write_config(self._study(**fields), ['cpu 0'], 'cpu', {'started': 'now'})
        return workdir

    def _hold(self) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, '-c', _HOLD, str(self.path)], stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), 'held\n')
        return process

    def test_a_live_process_keeps_others_out_and_a_dead_one_does_not(self):
        process = self._hold()
        with self.assertRaisesRegex(WorkdirError, rf'live process \(process {process.pid} on .*'):
            Workdir(self.path).__enter__()
        process.kill()
        process.wait()
        with Workdir(self.path) as workdir:
            self.assertStartsWith(workdir.killed, f'process {process.pid} on ')

    def test_a_process_that_ends_knowingly_leaves_no_note(self):
        with Workdir(self.path):
            self.assertIn(f'process {os.getpid()} on', (self.path / '.lock').read_text())
        with Workdir(self.path) as workdir:
            self.assertEqual(workdir.killed, '')
        with self.assertRaises(ZeroDivisionError), Workdir(self.path):
            1 / 0  # noqa: B018
        with Workdir(self.path) as workdir:
            self.assertEqual(workdir.killed, '')
            workdir.end()
            self.assertEqual((self.path / '.lock').read_text(), '')

    def test_a_terminated_process_is_told_as_killed(self):
        process = self._hold()
        process.send_signal(signal.SIGTERM)
        process.wait()
        with Workdir(self.path) as workdir:
            self.assertNotEmpty(workdir.killed)

    def test_a_file_system_without_locks_is_said_and_used(self):
        error = OSError(errno.ENOLCK, 'No locks available')
        with mock.patch.object(workdir_lib.fcntl, 'flock', side_effect=error):
            with self.assertLogs('imbreg_jax', 'WARNING') as logs, Workdir(self.path):
                pass
        self.assertIn('has no locks', logs.output[0])

    def _tree(self, root: pathlib.Path) -> dict[str, object]:
        """Everything below a folder, as it looks from outside."""
        found: dict[str, object] = {}
        for path in (root, *root.rglob('*')):
            state = path.lstat()
            content: object = None
            if path.is_symlink():
                content = os.readlink(path)
            elif path.is_file():
                content = path.read_bytes()
            found[str(path)] = (state.st_mode, state.st_ino, state.st_mtime_ns, content)
        return found

    def _assert_refused_untouched(self, message: str, path: str | pathlib.Path | None = None):
        before = self._tree(self.path.parent)
        with self.assertRaisesRegex(WorkdirError, message) as caught:
            with Workdir(self.path if path is None else path):
                self.fail('entered')
        self.assertNotIn('\n', str(caught.exception))
        str(caught.exception).encode()
        self.assertEqual(self._tree(self.path.parent), before)

    @parameterized.parameters(
        (('notes.txt',), 'holds notes.txt and no config.json'),
        (('sub/.half.zip.12ab34cd.partial',), 'holds sub and'),
        (('.results.csv.12ab34cd.partial',), 'holds .results.csv.12ab34cd.partial and'),
        (('results.csv',), 'holds results.csv and no .* put its config.json back'),
        (('report.html', 'tables/a.csv'), 'holds report.html, tables and'),
        (('metrics.jsonl', 'x', 'tensorboard/run/events'), 'holds metrics.jsonl, tensorboard and'),
        (('a', 'b', 'c', 'd', 'e'), 'holds a, b, c and 2 more and'),
        (('checkpoints/step_000000000001/position.json',), 'holds checkpoints and no config.json'),
        (('plan.json', '.lock'), 'holds plan.json and no config.json'),
        (('config.json',), 'cannot be read as a config'),
        (('config.json', 'model.bin', '.lock'), 'cannot be read as a config'),
    )
    def test_a_folder_of_somebody_else_is_refused_and_not_touched(self, names, message):
        for name in names:
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('{"architectures": []}' if name == 'config.json' else '')
        self._assert_refused_untouched(message)
        with contextlib.chdir(self.path):
            for path in ('.', '', pathlib.Path()):
                with self.assertRaisesRegex(WorkdirError, 'no config.json|empty name|as a config'):
                    Workdir(path).__enter__()
        self._assert_refused_untouched(message)

    def test_the_root_and_an_empty_name_are_no_workdirs(self):
        with self.assertRaisesRegex(WorkdirError, 'workdir / holds .* and no config.json'):
            Workdir('/').__enter__()
        self.assertFalse(pathlib.Path('/.lock').exists())
        with contextlib.chdir(self.path.parent):
            self._assert_refused_untouched('an empty name is no workdir', '')

    def test_a_lock_that_is_not_ours_is_refused_and_not_touched(self):
        self.path.mkdir()
        other = self.path.parent / 'other'
        lock = self.path / '.lock'
        other.write_text('precious')
        for make, message in (
            (lambda: lock.symlink_to(other), 'is no regular file'),
            (lambda: lock.hardlink_to(other), 'is not of a study'),
            (lambda: lock.write_bytes(b'\xff'), 'is not of a study'),
            (lambda: lock.mkdir(), 'is no regular file'),
            (lambda: os.mkfifo(lock), 'is no regular file'),
        ):
            make()
            self._assert_refused_untouched(message)
            lock.rmdir() if lock.is_dir() else lock.unlink()
        self.assertEqual(other.read_text(), 'precious')

    @parameterized.parameters(
        ((),),
        (('.DS_Store', 'lost+found', '.nfs0000a1'),),
        (('.lock',),),
        (('.lock', '.config.json.12ab34cd.partial'),),
    )
    def test_an_empty_folder_and_what_a_killed_first_start_left_are_used(self, names):
        self.path.mkdir()
        for name in names:
            (self.path / name).write_text('process 7 on here, begun' if name == '.lock' else '')
        with Workdir(self.path) as workdir:
            workdir.write_config(self._study(), ['cpu 0'], 'cpu', {})
        kept = [name for name in names if not name.endswith('.partial')]
        self.assertCountEqual(os.listdir(self.path), {*kept, '.lock', 'config.json'})

    def test_in_a_workdir_only_names_of_ours_are_touched(self):
        self._begun()
        outside = self.path.parent / 'outside'
        ours = [
            '.results.csv.12ab34cd.partial',
            'checkpoints/.unit_0001.npz.12ab34cd.partial',
            'checkpoints/.epochs.jsonl.12ab34cd.partial',
            'tables/.results.md.12ab34cd.partial',
            'figures/.curve.svg.12ab34cd.partial',
            'tensorboard/u1_10/repeat_0/.events.out.12ab34cd.partial',
        ]
        others = [
            'notes.txt',
            '.notes.txt.12ab34cd.partial',
            '.results.csv.partial',
            'sub/.results.csv.12ab34cd.partial',
            'tables/.results.md.partial',
            'checkpoints/.thesis.tex.12ab34cd.partial',
        ]
        for name in (*ours, *others, '../outside/repeat_0/.events.out.12ab34cd.partial'):
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text('half')
        (self.path / 'tensorboard' / 'u1_5').symlink_to(outside)
        before = self._tree(self.path.parent)
        with Workdir(self.path):
            pass
        after = self._tree(self.path.parent)
        self.assertCountEqual(set(before) - set(after), {str(self.path / name) for name in ours})
        for name in (*others, '../outside/repeat_0/.events.out.12ab34cd.partial'):
            path = str(pathlib.Path(os.path.normpath(self.path / name)))
            self.assertEqual(after[path], before[path])

    @parameterized.parameters('checkpoints', 'tables', 'figures', 'tensorboard', 'profile')
    def test_a_link_to_a_folder_in_the_place_of_ours_is_refused(self, name):
        self._begun()
        other = self.path.parent / 'other'
        other.mkdir()
        (self.path / name).symlink_to(other)
        self._assert_refused_untouched(f'{name} is no folder as studies leave it')

    @parameterized.parameters(
        'plan.json',
        'results.csv',
        'report.html',
        'checkpoints/unit_0001.npz',
        'checkpoints/epochs.jsonl',
    )
    def test_a_file_of_ours_that_is_no_file_is_refused(self, name):
        self._begun()
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.mkdir()
        self._assert_refused_untouched(f'{name} is no file')
        path.rmdir()
        os.mkfifo(path)
        self._assert_refused_untouched(f'{name} is no file')

    def test_a_config_that_is_no_regular_file_is_refused_and_not_waited_for(self):
        self._begun()
        config = self.path / 'config.json'
        config.unlink()
        os.mkfifo(config)
        self._assert_refused_untouched('config.json cannot be read .it is no regular file')
        config.unlink()
        config.symlink_to('/dev/zero')
        self._assert_refused_untouched('config.json cannot be read .it is no regular file')

    def test_links_are_replaced_and_what_they_point_to_stays(self):
        workdir = self._begun()
        other = self.path.parent / 'other'
        other.write_text('precious')
        workdir.plan.symlink_to(other)
        link = self.path.parent / 'link'
        link.symlink_to(self.path)
        with Workdir(link) as again:
            again.write_plan({'a': 1})
        self.assertEqual(other.read_text(), 'precious')
        self.assertFalse(workdir.plan.is_symlink())

    def test_a_name_that_is_not_utf8_is_refused_in_a_sentence_that_can_be_printed(self):
        name = os.fsdecode(os.fsencode(self.path) + b'\xff')
        self._assert_refused_untouched('a name that is not UTF-8', name)

    def test_a_path_that_is_no_folder_is_refused(self):
        self.path.write_text('')
        with self.assertRaisesRegex(WorkdirError, 'cannot be written'):
            Workdir(self.path).__enter__()

    def test_takes_the_same_study_and_refuses_another(self):
        self._begun()
        Workdir(self.path).check(self._study())
        Workdir(self.path).check(self._study(name='other', compute={'checkpoint_seconds': 1.0}))
        with self.assertRaisesRegex(WorkdirError, r'another config \(seed: 0 -> 3; repeats.*\)'):
            Workdir(self.path).check(self._study(seed=3, repeats=4))

    def test_remembers_under_which_versions_it_was_trained(self):
        study = self._study()

        def begin(devices, jax_version):
            with (
                Workdir(self.path) as workdir,
                mock.patch.object(workdir_lib, 'versions', lambda: {'jax': jax_version}),
            ):
                workdir.check(study)
                workdir.write_config(study, devices, 'cpu', {})
                return workdir.held['history']

        self.assertLen(begin(['cpu 0'], '1'), 1)
        # As long as nothing is trained, only the last start counts.
        self.assertLen(begin(['cpu 1'], '1'), 1)
        (self.path / 'checkpoints' / f'step_{1:012d}').mkdir(parents=True)
        self.assertLen(begin(['cpu 1'], '1'), 1)
        before, after = begin(['cpu 1'], '2')
        self.assertEqual(workdir_lib.changes(before, after), 'jax 1 -> 2')
        self.assertEqual(begin(['cpu 1'], '2'), [before, after])

    def test_remembers_under_which_flags_it_was_trained(self):
        for flags in ('', '--xla_a=1'):
            with mock.patch.dict(os.environ, {'XLA_FLAGS': flags}), Workdir(self.path) as workdir:
                workdir.check(self._study())
                workdir.write_config(self._study(), ['cpu 0'], 'cpu', {})
                history = workdir.held['history']
            (self.path / 'checkpoints' / f'step_{1:012d}').mkdir(parents=True, exist_ok=True)
        self.assertEqual(workdir_lib.changes(*history), 'xla_flags  -> --xla_a=1')
        # What an earlier version wrote does not say.
        del history[0]['arithmetic']
        self.assertEqual(workdir_lib.changes(*history), 'xla_flags None -> --xla_a=1')

    def test_refuses_a_newer_format(self):
        workdir = self._begun()
        held = json.loads(workdir.config.read_text())
        workdir.config.write_text(json.dumps(held | {'format': 2}))
        with self.assertRaisesRegex(WorkdirError, 'has format 2, and this version .* up to 1; use'):
            Workdir(self.path).check(self._study())

    @parameterized.parameters(
        '', '{', '[]', '{}', '3', '{"format": 1}', '{"format": 1, "config": 3}', '{"format": "x"}',
        '{"format": 1, "config": {}}', '{"format": null, "config": {}}', '[' * 10**5,
    )  # fmt: skip
    def test_refuses_a_config_that_cannot_be_read(self, text):
        self.path.mkdir()
        (self.path / 'config.json').write_text(text)
        with self.assertRaisesRegex(WorkdirError, 'name another --workdir') as caught:
            Workdir(self.path).check(self._study())
        self.assertNotIn('\n', str(caught.exception))

    def test_checkpoints_of_which_nothing_says_what_they_are_of_are_refused(self):
        workdir = self._begun()
        self.assertIsNone(workdir.read_plan())
        (workdir.checkpoints / 'step_000000000001').mkdir(parents=True)
        self.assertTrue(workdir.begun())
        with self.assertRaisesRegex(WorkdirError, 'plan.json is missing'):
            workdir.read_plan()
        workdir.config.unlink()
        with self.assertRaisesRegex(WorkdirError, 'checkpoints and no config.json'):
            workdir.check(self._study())

    def test_a_plan_that_is_not_as_it_was_written_is_refused(self):
        workdir = self._begun()
        values = {'chunk_steps': [2, 3], 'mapping': 'map', 'cached': True}
        workdir.write_plan(values)
        self.assertEqual(workdir.read_plan(), values)
        text = workdir.plan.read_text()
        self.assertIn('"mapping": "map"', text)
        (workdir.checkpoints / 'step_000000000001').mkdir(parents=True)
        altered = [
            '', '{', '[]', '3', 'null', text[:-9], text.replace('2', '3', 1),
            text.replace('"map"', '"mep"'), text.replace('true', 'false'),
            text.replace('"mapping"', '"maping"'), text.replace('"digest": "', '"digest": "0'),
        ]  # fmt: skip
        for each in altered:
            self.assertNotEqual(each, text)
            workdir.plan.write_text(each)
            with self.assertRaisesRegex(WorkdirError, 'plan.json is .* with other digits'):
                workdir.read_plan()
        # Of before plans had a digest: whoever reads it checks its values.
        workdir.plan.write_text(json.dumps(values))
        self.assertEqual(workdir.read_plan(), values)
        # Nothing was trained under it.
        (workdir.checkpoints / 'step_000000000001').rmdir()
        workdir.plan.write_text('{')
        self.assertIsNone(workdir.read_plan())

    def test_a_config_that_is_not_as_it_was_written_is_refused(self):
        workdir = self._begun()
        text = workdir.config.read_text()
        held = workdir_lib.read_config(workdir.config)
        for old, new in (('"seed": 0', '"seed": 1'), ('1e-08', '1e-07'), ('"u1_10"', '"u1_11"')):
            self.assertIn(old, text)
            workdir.config.write_text(text.replace(old, new, 1))
            with self.assertRaisesRegex(WorkdirError, 'config.json is not as it was written; put'):
                workdir_lib.read_config(workdir.config)
        # Of before configs had one.
        del held['digest']
        workdir.config.write_text(json.dumps(held))
        self.assertEqual(workdir_lib.read_config(workdir.config), held)

    def test_knows_which_files_of_a_finished_study_changed(self):
        workdir = self._begun()
        self.assertIsNone(workdir.damaged())
        for name in workdir_lib.RESULT_FILES:
            (self.path / name).write_text(name)
        workdir.write_config(self._study(), ['cpu 0'], 'cpu', {}, finished=True)
        again = Workdir(self.path)
        again.check(self._study())
        self.assertEqual(again.damaged(), [])
        (self.path / 'results.csv').write_text('x')
        (self.path / 'weights.npz').unlink()
        self.assertEqual(again.damaged(), ['results.csv', 'weights.npz'])

    def test_how_a_finished_study_is_analysed_may_change_and_nothing_else(self):
        self._begun()
        workdir = Workdir(self.path)
        study = self._study(analysis={'confidence': 0.9}, compute={'steps_per_chunk': 7})
        workdir.check(study)
        workdir.write_analysis(study)
        held = workdir_lib.read_config(workdir.config)['config']
        self.assertEqual(held['analysis']['confidence'], 0.9)
        self.assertEqual(held['compute']['steps_per_chunk'], 100)


class CommitTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.create_tempdir().full_path)
        self.package = self.root / 'imbreg_jax'
        self.package.mkdir()
        (self.package / '__init__.py').write_text('')
        (self.root / 'pyproject.toml').write_text('[project]\nname = "imbreg-jax"\n')

    def _git(self, *arguments: str) -> str:
        identity = ['-c', 'user.name=a', '-c', 'user.email=a@b.c', '-c', 'commit.gpgsign=false']
        return subprocess.run(
            ['git', '-C', str(self.root), *identity, *arguments],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip

    def _commit(self, *names: str) -> str:
        self._git('init', '--quiet')
        self._git('add', '--', *names)
        self._git('commit', '--quiet', '--no-verify', '-m', 'x')
        return self._git('rev-parse', 'HEAD')

    def test_names_the_commit_and_says_where_the_package_was_changed(self):
        commit = self._commit('.')
        self.assertEqual(workdir_lib.commit_of(self.package), commit)
        (self.root / 'README.md').write_text('no part of the package')
        (self.package / 'untracked.py').write_text('')
        self.assertEqual(workdir_lib.commit_of(self.package), commit)
        (self.package / '__init__.py').write_text('x = 1\n')
        self.assertEqual(workdir_lib.commit_of(self.package), f'{commit}-dirty')

    def test_a_repository_that_is_not_the_packages_own_is_not_named(self):
        # Installed inside somebody's project, tracked or not.
        self.assertIsNone(workdir_lib.commit_of(self.package))
        self._commit('pyproject.toml')
        self.assertIsNone(workdir_lib.commit_of(self.package))
        self._commit('.')
        self.assertIsNotNone(workdir_lib.commit_of(self.package))
        inside = self.root / 'lib' / 'imbreg_jax'
        inside.mkdir(parents=True)
        (inside / '__init__.py').write_text('')
        self._git('add', '.')
        self.assertIsNone(workdir_lib.commit_of(inside))
        (self.root / 'pyproject.toml').write_text('[project]\nname = "other"\n')
        self.assertIsNone(workdir_lib.commit_of(self.package))

    def test_runs_nothing_that_the_repository_asks_for(self):
        self._commit('.')
        ran = self.root / 'ran'
        self._git('config', 'core.fsmonitor', f'touch {ran}; false')
        self.assertIsNotNone(workdir_lib.commit_of(self.package))
        self.assertFalse(ran.exists())

    def test_git_that_is_not_there_or_of_another_place_does_not_matter(self):
        commit = self._commit('.')
        with mock.patch.dict(os.environ, {'GIT_DIR': '/nowhere'}):
            self.assertEqual(workdir_lib.commit_of(self.package), commit)
        with mock.patch.dict(os.environ, {'PATH': '/nowhere'}):
            self.assertIsNone(workdir_lib.commit_of(self.package))


if __name__ == '__main__':
    absltest.main()
