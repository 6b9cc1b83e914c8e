"""Labels stay labels, files get names that work, and no environment keeps a figure away."""

import os
import subprocess
import sys

from absl.testing import absltest

from imbreg_jax.analysis import canvas


class FileNameTest(absltest.TestCase):
    def test_a_name_is_short_and_of_harmless_characters(self):
        for text in ('mixture(' + 'u1_5, 0.9, ' * 100 + ')', '../../etc/passwd', '\ud800\x00', ''):
            with self.subTest(ascii(text[:20])):
                self.assertRegex(canvas.file_name(text), r'^[A-Za-z0-9_]{1,80}$')

    def test_names_that_would_be_one_file_are_kept_apart(self):
        long = 'uniform(1, 2), ' * 30
        texts = ['a-b', 'a_b', 'a.b', 'A_B', long + 'x', long + 'y', 'performance_a_b']
        taken = []
        for text in texts:
            taken.append(canvas.file_name(text, taken))
        self.assertLen({name.lower() for name in taken}, len(texts))
        self.assertEqual(taken[0], 'a_b')


class LabelsTest(absltest.TestCase):
    def test_long_labels_are_cut_in_the_middle_and_stay_apart(self):
        full = {
            'first': 'mixture(uniform(1, 5), 0.9, ' + 'x' * 100 + 'normal(5.5, 1), 0.1)',
            'second': 'mixture(uniform(1, 5), 0.9, ' + 'y' * 100 + 'normal(5.5, 1), 0.1)',
            'same': 'mixture(uniform(1, 5), 0.9, ' + 'y' * 100 + 'normal(5.5, 1), 0.1)',
            'short': 'U(1, 10)',
        }
        short = canvas.short_labels(full, 40)
        self.assertEqual(short['short'], 'U(1, 10)')
        self.assertNotEqual(short['first'], short['second'])
        self.assertEqual(short['second'], short['same'])
        for label in short.values():
            self.assertLessEqual(len(label), 40)
        self.assertStartsWith(short['first'], 'mixture(uniform(1, 5)')
        self.assertEndsWith(short['first'], '1), 0.1)')

    def test_a_caption_gives_the_full_text_of_what_was_cut_and_of_nothing_else(self):
        sentence = canvas.shortened_sentence([('a…z', 'abcz'), ('U(1, 10)', 'U(1, 10)')])
        self.assertEqual(sentence, ' Shortened: “a…z” is abcz.')
        self.assertEqual(canvas.shortened_sentence([('U(1, 10)', 'U(1, 10)')]), '')


class BackendTest(absltest.TestCase):
    def _backend(self, name: str, first: str = '') -> str:
        code = (
            f'{first}\nimport os\nfrom imbreg_jax.analysis import canvas\nimport matplotlib\n'
            'drawing, _ = canvas.canvas(1)\n'
            'assert canvas.finish("a", "b", "c", drawing).png\n'
            'print(dict.__getitem__(matplotlib.rcParams, "backend"), os.environ["MPLBACKEND"])'
        )
        done = subprocess.run(
            [sys.executable, '-c', code],
            env={**os.environ, 'MPLBACKEND': name},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def test_an_unknown_backend_in_the_environment_keeps_no_figure_away(self):
        found, environment = self._backend('no_such_backend').rsplit(' ', 1)
        self.assertNotEqual(found, 'no_such_backend')
        self.assertEqual(environment, 'no_such_backend')

    def test_a_backend_that_a_notebook_chose_stays(self):
        self.assertEqual(self._backend('svg'), 'svg svg')
        self.assertEqual(
            self._backend('svg', 'import matplotlib; matplotlib.use("pdf")'), 'pdf svg'
        )


class SettingsTest(absltest.TestCase):
    def test_a_matplotlibrc_changes_nothing(self):
        def drawn():
            with canvas.settings():
                drawing, grid = canvas.canvas(1.5)
                grid[0, 0].plot([0, 1], label='$x')
            return canvas.finish('name', 'title', 'caption', drawing)

        expected = drawn()
        import matplotlib

        changed = {'text.usetex': True, 'lines.linewidth': 9, 'savefig.bbox': 'tight'}
        with matplotlib.rc_context(changed):
            found = drawn()
        self.assertEqual((found.svg, found.png), (expected.svg, expected.png))

    def test_a_panel_without_data_says_so(self):
        with canvas.settings():
            drawing, grid = canvas.canvas(2, 2)
            grid[0, 0].plot([0, 1])
        self.assertEqual(canvas.finish('a', 'b', 'c', drawing).svg.count('no data'), 1)


if __name__ == '__main__':
    absltest.main()
