"""Tests of imbreg_jax.samples: a picture of every task."""

import contextlib
import io
import pathlib
from unittest import mock

import numpy as np
from absl.testing import absltest
from matplotlib import image as mpl_image

from imbreg_jax import samples
from imbreg_jax.data.tasks import TASKS
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def _read(content: bytes) -> np.ndarray:
    return mpl_image.imread(io.BytesIO(content), format='png')


class PictureTest(absltest.TestCase):
    def test_has_a_row_of_samples_for_each_task(self):
        tasks = [TASKS['mean'], TASKS['std']]
        pixels = _read(samples.picture(tasks, 20))[..., 0]
        self.assertEqual(pixels.shape, (26 + 2 * 46, 250 + 5 * 46))
        for row, task in enumerate(tasks):
            made = samples.samples(task, 20)
            self.assertEqual(made.shape, (5, 20, 20))
            dark, bright = np.quantile(made, (0.01, 0.99))
            wanted = np.clip((made - dark) / (bright - dark), 0, 1)
            for column, image in enumerate(wanted):
                top, left = 26 + row * 46, 250 + column * 46
                shown = pixels[top : top + 40 : 2, left : left + 40 : 2]
                # One of 16 greys.
                np.testing.assert_allclose(shown, image, atol=1 / 16)

    def test_that_of_the_repository_has_every_task(self):
        pixels = _read((_ROOT / 'docs' / 'tasks.png').read_bytes())
        self.assertEqual(pixels.shape[0], 26 + len(TASKS) * (2 * 52 + 6))


class CommandTest(absltest.TestCase):
    def _main(self, *arguments: str) -> tuple[int, str]:
        """Exit status and what is said to stderr."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), mock.patch.object(samples, 'picture') as picture:
            picture.return_value = b'a picture'
            try:
                samples.main(samples._parse(['samples', *arguments]))
            except SystemExit as end:
                return int(end.code or 0), said.getvalue()
        return 0, said.getvalue()

    def test_writes_the_file_that_it_is_given(self):
        path = pathlib.Path(self.create_tempdir().full_path) / 'tasks.png'
        self.assertEqual(self._main(f'--out={path}'), (0, ''))
        self.assertEqual(path.read_bytes(), b'a picture')
        status, said = self._main(f'--out={path}/below')
        self.assertEqual((status, said.count('\n')), (1, 1))
        self.assertIn(f'{path}/below: ', said)

    def test_says_what_is_wrong_in_a_sentence(self):
        for arguments in (['--out='], ['--out=x', 'y'], ['--outt=x']):
            status, said = self._main(*arguments)
            self.assertEqual(status, 2, arguments)
            self.assertIn('out', said)


if __name__ == '__main__':
    absltest.main()
