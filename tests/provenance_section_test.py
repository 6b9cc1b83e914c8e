"""How to cite a study, and how to make it again."""

import json
import shlex

from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import loading
from imbreg_jax.analysis.sections import provenance
from imbreg_jax.study import shipped
from imbreg_jax.study.config import plain


def _written(config):
    """As config.json holds it."""
    return json.loads(json.dumps(plain(config)))


class CommandTest(absltest.TestCase):
    def test_makes_the_study_of_a_shipped_config(self):
        for choice, values in (
            ('paper', {}),
            ('missing_targets:disc_radius', {}),
            ('paper', {'repeats': 3}),
            ('u1_10', {'training.epochs': 2, 'test_distributions': ('u1_10',)}),
        ):
            with self.subTest(choice, values=values):
                config = shipped.config(choice, values)
                program, verb, named, *fields = shlex.split(provenance.command(_written(config)))
                self.assertEqual((program, verb, named), ('imbreg-jax', 'train', choice))
                given = dict(field.removeprefix('--config.').split('=', 1) for field in fields)
                self.assertEqual(given, {name: str(value) for name, value in values.items()})

    def test_of_any_other_study_is_not_known(self):
        mine = _written(shipped.config('paper', {'repeats': 3}))
        for name in ('mine', 'paper-mine', 'paperless', ''):
            self.assertIsNone(provenance.command({**mine, 'name': name}))

    def test_reads_no_table_that_a_workdir_names(self):
        config = _written(shipped.config('u1_10'))
        config |= {'name': 'u1_10-train_distribution', 'train_distribution': "table('/dev/zero')"}
        self.assertIsNone(provenance.command(config))


class CitationTest(absltest.TestCase):
    def test_names_software_version_study_and_paper(self):
        workdir = simulated_study.write(
            self.create_tempdir('mine').full_path, {'u1_10': {}}, repeats=2, images=60
        )
        path = workdir / 'config.json'
        header = json.loads(path.read_text())
        header['versions']['imbreg_jax'] = '9.8.7'
        header |= {'git_commit': 'abcdef0123456789', 'timing': {'finished': '2024-05-06T07:08:09'}}
        path.write_text(json.dumps(header))
        text = provenance.citation(loading.load([workdir]))
        for part in ('version = {9.8.7}', 'commit abcdef012345;', '2 networks, 2024-05-06',
                     'Thakoersingh, Ratish', 'year = {2021}'):  # fmt: skip
            self.assertIn(part, text)
        self.assertEqual(text.count('{'), text.count('}'))


if __name__ == '__main__':
    absltest.main()
