"""Tests of imbreg_jax.study.help."""

import os
import pathlib

from absl.testing import absltest

from imbreg_jax import remedies, study
from imbreg_jax.study import help, laws

_ROOT = pathlib.Path(__file__).resolve().parent.parent


class HelpTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())

    def test_says_of_every_field_its_default_and_rule(self):
        text = ' '.join(help.help_text('Usage.').split())
        for name, field in study.FIELDS.items():
            with self.subTest(name):
                _, _, rest = text.partition(f'--config.{name}: {" ".join(field.meaning.split())}')
                self.assertStartsWith(rest, f' ({field.default!r}); ')
                if field.kind not in ('distribution', 'distributions'):
                    self.assertStartsWith(rest, f' ({field.default!r}); {field.rule}')

    def test_lists_the_laws_once_with_an_example_that_is_one(self):
        text = help.help_text('')
        for name in laws.REGISTRY:
            self.assertIn(f'\n  {name} ', text)
        self.assertLen(laws.forms(), 15)
        for form, example in laws.forms():
            self.assertEqual(text.count(f'  {form} '), 1)
            if 'table(' not in form:
                laws.parse(example)
                self.assertEqual(form.split('(')[0], example.split('(')[0])

    def test_lists_the_remedies_with_what_they_take(self):
        text = ' '.join(help.help_text('').split())
        for name, parameters in remedies.forms():
            self.assertEqual(text.count(f' {name}: {parameters}'), 1, name)

    def test_lists_the_configs_at_hand_and_runs_none(self):
        os.chdir(_ROOT)
        text = help.help_text('')
        for path in (_ROOT / 'configs').glob('*.py'):
            self.assertIn(f'  configs/{path.name} ', text)
        self.assertIn("The paper's balanced condition: training targets from U(1, 10)", text)
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / 'configs').mkdir()
        (folder / 'configs' / 'mine.py').write_text('"""Mine\x1b[2J.\n\nMore."""\nraise OSError\n')
        (folder / 'configs' / 'broken.py').write_text('def (')
        os.mkfifo(folder / 'configs' / 'pipe.py')
        os.chdir(folder)
        text = help.help_text('')
        self.assertRegex(text, r'\n  configs/mine\.py +Mine\\x1b\[2J\.\n')
        self.assertRegex(text, r'\n  configs/broken\.py +\(it cannot be read\)\n')
        self.assertRegex(text, r'\n  configs/pipe\.py +\(it cannot be read\)\n')
        self.assertIn(f'{_ROOT}/configs/paper.py', text)

    def test_fits_a_terminal(self):
        os.chdir(_ROOT)
        self.assertLess(max(map(len, help.help_text('Usage.').splitlines())), 101)


if __name__ == '__main__':
    absltest.main()
