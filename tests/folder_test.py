"""A report's folder: what an earlier report left goes, what is somebody else's stays."""

import json
import pathlib
from unittest import mock

from absl.testing import absltest

from imbreg_jax.analysis import folder, loading


class FolderTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.out = pathlib.Path(self.create_tempdir().full_path) / 'out'

    def _names(self):
        files = {str(p.relative_to(self.out)) for p in self.out.rglob('*') if p.is_file()}
        return files - {folder.MANIFEST}

    def test_what_an_earlier_report_wrote_and_this_one_does_not_is_removed(self):
        folder.write(self.out, {'tables/a.csv': b'1', 'figures/b.svg': b'2', 'report.html': b'3'})
        folder.write(self.out, {'tables/c.csv': b'4', 'report.html': b'5'})
        self.assertEqual(self._names(), {'tables/c.csv', 'report.html'})
        self.assertEqual((self.out / 'report.html').read_bytes(), b'5')
        held = json.loads((self.out / folder.MANIFEST).read_text())
        self.assertEqual(set(held['files']), self._names())

    def test_what_was_changed_or_put_there_by_others_stays(self):
        folder.write(self.out, {'tables/a.csv': b'1', 'tables/b.csv': b'2', 'report.html': b'3'})
        (self.out / 'tables/a.csv').write_bytes(b'edited')
        (self.out / 'tables/mine.csv').write_bytes(b'mine')
        folder.write(self.out, {'report.html': b'3'})
        self.assertEqual(self._names(), {'tables/a.csv', 'tables/mine.csv', 'report.html'})

    def test_a_file_that_is_not_on_the_list_is_not_overwritten(self):
        folder.write(self.out, {'report.html': b'1'})
        (self.out / 'tables/mine.csv').write_bytes(b'mine')
        with self.assertRaisesRegex(loading.AnalysisError, 'mine.csv is not of an earlier report'):
            folder.write(self.out, {'report.html': b'2', 'tables/mine.csv': b'ours'})
        self.assertEqual((self.out / 'tables/mine.csv').read_bytes(), b'mine')
        self.assertEqual((self.out / 'report.html').read_bytes(), b'1')

    def test_after_a_sudden_end_all_that_is_there_is_known_as_ours(self):
        folder.write(self.out, {'tables/a.csv': b'1', 'report.html': b'1'})
        whole = folder.files_lib.write_bytes

        def ends(path, content):
            if path.name == 'report.html':
                raise OSError('no space left')
            whole(path, content)

        with mock.patch.object(folder.files_lib, 'write_bytes', ends):
            with self.assertRaises(OSError):
                folder.write(
                    self.out, {'tables/a.csv': b'2', 'tables/b.csv': b'2', 'report.html': b'2'}
                )
        folder.write(self.out, {'report.html': b'3'})
        self.assertEqual(self._names(), {'report.html'})

    def test_a_strangers_list_removes_nothing_elsewhere(self):
        folder.write(self.out, {'report.html': b'1'})
        outside = self.out.parent / 'outside'
        outside.mkdir()
        for path in (outside / 'x', self.out / 'notes'):
            path.write_bytes(b'kept')
        (self.out / 'figures').rmdir()
        (self.out / 'figures').symlink_to(outside)
        digest = folder.files_lib.sha256(outside / 'x')
        names = ('../outside/x', 'notes', 'figures/x', 'tables/../notes', str(outside / 'x'))
        (self.out / folder.MANIFEST).write_text(
            json.dumps({'format': folder.FORMAT, 'files': {name: [digest] for name in names}})
        )
        (self.out / 'report.html').unlink()
        folder.write(self.out, {'report.html': b'2'})
        self.assertEqual((outside / 'x').read_bytes(), b'kept')
        self.assertEqual((self.out / 'notes').read_bytes(), b'kept')

    def test_a_folder_of_somebody_else_is_refused(self):
        for name in ('report.html', 'tables/mine.csv', 'photo.jpg'):
            with self.subTest(name):
                out = self.out / name.replace('/', '_')
                (out / name).parent.mkdir(parents=True)
                (out / name).write_bytes(b'theirs')
                with self.assertRaisesRegex(loading.AnalysisError, 'holds files that no report'):
                    folder.check(out, [])
                # A list that cannot be read makes it nobody's; a workdir is ours.
                (out / folder.MANIFEST).write_text('{')
                with self.assertRaisesRegex(loading.AnalysisError, 'holds files that no report'):
                    folder.check(out, [self.out])
                folder.check(out, [out])

    def test_new_and_empty_folders_and_earlier_reports_are_used(self):
        folder.check(self.out, [])
        self.out.mkdir()
        folder.check(self.out, [])
        folder.write(self.out, {'report.html': b'1'})
        folder.check(self.out, [])


if __name__ == '__main__':
    absltest.main()
