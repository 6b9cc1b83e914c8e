"""Tests of imbreg_jax.results.layout, as a workdir that is entered has it."""

import contextlib
import os
import pathlib

from absl.testing import absltest, parameterized

from imbreg_jax import study as study_lib
from imbreg_jax.results.workdir import Workdir, WorkdirError


class LayoutTest(parameterized.TestCase):
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


if __name__ == '__main__':
    absltest.main()
