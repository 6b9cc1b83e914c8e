"""Tests of docs/howto/adding.md: what it says is all there is to adding something, is.

Its snippets make one study, in a process of its own, since they register what they add.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
from absl.testing import absltest

import documents
import small_study
from imbreg_jax import study

_ROOT = documents.ROOT
_TEXT = documents.page('docs/howto/adding.md')
# By the thing that its heading names: the first of each, and what a section has beside it.
_SECTIONS = {
    thing: re.findall(r'^```python\n(.*?)^```', text, re.M | re.S)
    for thing, text in re.findall(r'^## A (\w+)(.*?)(?=^## |\Z)', _TEXT, re.M | re.S)
}
_SNIPPETS = {thing: blocks[0] for thing, blocks in _SECTIONS.items()}
_MORE = {thing: blocks[1:] for thing, blocks in _SECTIONS.items() if blocks[1:]}

# What else conditions of a study may differ in.
_OTHER = {
    'task.name': 'disc_radius',
    'data.image_size': 24,
    'data.pixel_law': 'student_t',
    'data.train_size': 12,
    'data.validation_size': 10,
    'training.epochs': 1,
    'model.kernel_size': 3,
}

# A config file of one's own, a run, and a report with a section of one's own.
_PROGRAM = """
import quick_compilation
from imbreg_jax import analysis, study
from imbreg_jax.runner.study_run import StudyRun

quick_compilation.setUpModule()
config = {config}
StudyRun(study.resolve(config), {workdir!r}).finish()
analysis.build([{workdir!r}], {out!r}, sections)
"""


def _child(code: str, *, path: str = str(_ROOT)) -> str:
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join([path, str(_ROOT / 'tests')]),
        'JAX_COMPILATION_CACHE_DIR': small_study.COMPILED,
        'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.05',
    }
    done = subprocess.run(
        [sys.executable, '-c', code],
        # Where Python looks for modules first.
        cwd=path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class SnippetsTest(absltest.TestCase):
    def test_there_is_one_of_ten_lines_or_fewer_for_each_thing(self):
        things = ['task', 'law', 'metric', 'remedy', 'field', 'sweep', 'section']
        self.assertCountEqual(_SNIPPETS, things)
        for name, code in _SNIPPETS.items():
            self.assertLessEqual(len(code.splitlines()), 10, name)
        # A remedy with a parameter.
        self.assertEqual({name: len(blocks) for name, blocks in _MORE.items()}, {'remedy': 1})

    def test_task_law_metric_remedy_and_section_make_a_study(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        config = small_study.config(
            {
                'plain': {},
                'weighted': {'remedy': 'relative_error'},
                'default': {'remedy': 'falling_weights'},
                'falling': {'remedy': 'falling_weights(power=1)'},
                'other': _OTHER,
            },
            repeats=1,
            task__name='ramp',
            train_distribution='log_uniform(1, 5)',
        )
        code = [_SNIPPETS[name] for name in ('task', 'law', 'metric', 'remedy', 'section')]
        code += _MORE['remedy']
        workdir, out = folder / 'workdir', folder / 'report'
        out.mkdir()
        program = _PROGRAM.format(config=config, workdir=str(workdir), out=str(out))
        _child('\n'.join([*code, program]))
        results = pd.read_csv(workdir / 'results.csv')
        networks = results[results.predictor == 'cnn']
        unseen = networks[networks.metric == 'mse_unseen'].set_index('test_distribution').value
        # U(1, 10) has targets that log_uniform(1, 5) lacks.
        self.assertTrue((unseen['u1_10'] > 0).all())
        self.assertEqual(set(networks.train_distribution), {'log_uniform(1, 5)'})
        rows = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
        losses = {row['condition']: row['train_loss'] for row in rows if row['epoch'] == 1}
        self.assertLen({losses[name] for name in ('plain', 'weighted', 'falling')}, 3)
        self.assertEqual(losses['default'], losses['weighted'])
        epochs = pd.DataFrame(rows).groupby('condition').epoch.max()
        remedied = dict.fromkeys(('weighted', 'default', 'falling'), 2)
        self.assertEqual(epochs.to_dict(), {'plain': 2, **remedied, 'other': 1})
        # A condition with fewer validation images than others has nan for what it lacks.
        with np.load(workdir / 'predictions.npz') as arrays:
            lacking = np.isnan(arrays['validation_target']).sum(-1)
            self.assertEqual(dict(zip(arrays['condition'], lacking, strict=True))['other'], 20)
            self.assertEqual(lacking.sum(), 20)
        page = (out / 'report.html').read_text('utf-8')
        self.assertIn('Largest values.', page)
        table = pd.read_csv(out / 'tables' / 'largest.csv').set_index('metric').value
        self.assertEqual(table['mse'], results[results.metric == 'mse'].value.max())

    def test_a_sweep_is_a_line(self):
        config = study.default_config()
        exec(_SNIPPETS['sweep'], {'config': config})
        made = study.resolve(config)
        self.assertLen(made.conditions, 6)
        self.assertLen(made.programs(), 1)
        self.assertEqual(made.conditions[-1].name, 'conv_dropout_rate_0.5-u1_5')

    def test_a_field_is_a_line(self):
        """In a copy of the package, all that is known of fields knows it."""
        folder = pathlib.Path(self.create_tempdir().full_path)
        shutil.copytree(_ROOT / 'imbreg_jax', folder / 'imbreg_jax')
        path = folder / 'imbreg_jax' / 'study' / 'settings.py'
        text = path.read_text('utf-8')
        place = '    batch_size: int = field(\n        50,'
        self.assertEqual(text.count(place), 1)
        path.write_text(text.replace(place, _SNIPPETS['field'] + place), 'utf-8')
        found = _child(
            textwrap.dedent("""
            import json
            from imbreg_jax import study
            from imbreg_jax.study import command_line

            made = study.default_config()
            made.conditions = {'none': {}, 'some': {'training': {'target_noise': 0.1}}}
            resolved = study.resolve(made)
            made.training.target_noise = 2.0
            try:
                study.resolve(made)
            except study.ConfigError as error:
                refusal = str(error)
            made.conditions = {}
            made.training.target_noise = 0.25
            print(json.dumps({
                'dials': [c.dials()['training.target_noise'] for c in resolved.conditions],
                'programs': resolved.programs(),
                'identity': study.identity(made)['conditions'],
                'name': study.resolve(made).name,
                'refusal': refusal,
                'help': command_line.information(['main', '--help'], ''),
            }))
            """),
            path=str(folder),
        )
        said = json.loads(found)
        self.assertEqual(said['dials'], [0.0, 0.1])
        self.assertEqual(said['programs'], [[0, 1]])
        (condition,) = said['identity'].values()
        self.assertEqual(condition['training']['target_noise'], 0.25)
        self.assertEqual(said['name'], 'u1_10-target_noise_0.25')
        self.assertIn('config.training.target_noise = 2.0: it must be a number', said['refusal'])
        self.assertIn('--config.training.target_noise: noise on training targets', said['help'])


if __name__ == '__main__':
    absltest.main()
