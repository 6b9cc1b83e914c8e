"""What do wrong labels, symmetries, dropout and averaging make of remedies against imbalance?

    ./launch.sh --config=configs/remedy_answers.py:labels
    ./launch.sh --config=configs/remedy_answers.py:missing,mean     # some questions as one study
    ./launch.sh --config=configs/remedy_answers.py                  # all of them
    python -m imbreg_jax.main --config=configs/remedy_answers.py:labels

Time: 20 to 50 minutes a question on 2 CPU cores, at 3 to 10 seconds a network.

- missing: does anything help where training has no targets, above those it has or between them?
- labels: what do the targets of SMOGN's, SmoteR's and noise's new images cost, as published against
  measured?
- symmetry: do a network without biases, images and targets times a factor, or normalisation make
  imbalance irrelevant, and for which task?
- dropout: how much of what remedies give is a cure for what dropout takes?
- gains: and of what those four give that lower the standard deviation's error, under every law?
- mean: does the mean of a remedied and a plain network keep what either is good at? Beside it the
  mean of two plain ones.

Budgets are those of `configs/remedies.py`, with 10 repeats that are paired. Remedies that refuse a
law's targets or a task are left out. Expect a plot and a sentence for each in the report's
questions to remedies, and what each remedy costs in its leaderboard.
"""

from typing import Any

import ml_collections

from imbreg_jax import study
from imbreg_jax.configs.remedies import acts, budget, common
from imbreg_jax.study import naming

TASKS = ('std', 'disc_radius')
LAWS = {
    'balanced': 'u1_10',
    'missing': 'u1_5',
    'gap': 'gap(u1_10, 4, 7)',
    'normal': 'n5_5_1',
    'tail': 'cut(exponential(1, 2), 1, 10)',
}
NONE = 'none'
# What stands for itself in a condition's name -> its expression.
RESAMPLED = {
    f'{method}{near}{label}': f'{method}({", ".join(filter(None, (by, how)))})'
    for method, nears in (
        ('smogn', {'': "neighbours='image'", '-near': "neighbours='target'"}),
        ('smoter', {'': "neighbours='image'", '-near': "neighbours='target'"}),
        ('gaussian_noise', {'': ''}),
    )
    for near, by in nears.items()
    for label, how in (('', 'relabel=False'), ('-measured', 'relabel=True'))
}
NORMALIZED = {
    'layer_norm': {'model': {'normalization': 'layer'}},
    'input_norm': {'model': {'normalization': 'input'}},
}
WITHOUT_DROPOUT = {'model': {'conv_dropout_rate': 0.0, 'dense_dropout_rate': 0.0}}
MISSING = 'scale_augmentation homogeneous log_target lds fds ranksim balanced_mse'.split()
DROPPED = 'inverse lds balanced_mse log_target relative_mse random_over homogeneous'.split()
GAINING = 'balanced_mse evidential huber smoter'.split()
REMEDIED = 'inverse lds balanced_mse random_over smoter scale_augmentation'.split()
AVERAGED = ('ensemble(size=2)', *REMEDIED)
SYMMETRIC = 'homogeneous', 'scale_augmentation'
QUESTIONS = ('missing', 'labels', 'symmetry', 'dropout', 'gains', 'mean')


def get_config(choice: str = '') -> ml_collections.ConfigDict:
    """All questions, or those named."""
    asked = choice.split(',') if choice else list(QUESTIONS)
    for question in asked:
        if question not in QUESTIONS:
            raise study.ConfigError(
                '--config', choice, f'there is no question {question!r}; it must be some of '
                f'{", ".join(QUESTIONS)}, joined by commas',
            )  # fmt: skip
    config = common()
    config.test_distributions = ('u1_10',)
    config.evaluation.validation_under_test = False  # no rate is chosen here
    config.name = naming.shortened('-'.join(['remedy_answers', *(asked if choice else [])]))
    every: dict[str, dict[str, Any]] = {}
    for question in asked:
        every |= _conditions(question)
    config.conditions = {
        name: fields for name, fields in every.items() if not fields['remedy'] or acts(fields)
    }
    task = next(iter(every.values()))['task']['name']
    references = [name for name in every if name == f'{task}-balanced-{NONE}']
    config.analysis.reference = next(iter(references))
    return config


def _conditions(question: str) -> dict[str, dict[str, Any]]:
    """The conditions of a question, each with a name of its own and what it differs in."""
    tasks: tuple[str, ...] = ('std',)
    laws: tuple[str, ...] = ('normal', 'tail')
    remedies: dict[str, str] = {}
    settings: dict[str, dict[str, Any]] = {'': {}}
    alone: dict[str, dict[str, Any]] = {}
    if question == 'missing':
        laws, remedies = ('missing', 'gap'), {name: name for name in MISSING}
    elif question == 'labels':
        remedies = RESAMPLED
    elif question == 'symmetry':
        tasks, laws, alone = TASKS, ('balanced', 'missing', 'normal'), NORMALIZED
        remedies = {name: name for name in SYMMETRIC}
    elif question == 'dropout':
        laws, remedies = ('missing', 'normal'), {name: name for name in DROPPED}
        settings['no_dropout-'] = WITHOUT_DROPOUT
    elif question == 'gains':
        laws = ('balanced', 'missing', 'normal', 'tail')
        remedies = {name: name for name in GAINING}
        settings['no_dropout-'] = WITHOUT_DROPOUT
    else:
        tasks, laws = TASKS, ('missing', 'tail')
        remedies = {name.partition('(')[0]: name for name in AVERAGED}
    found = {f'{tasks[0]}-balanced-{NONE}': _condition(tasks[0], 'balanced', '', {})}
    for task in tasks:
        for law in laws:
            for prefix, setting in settings.items():
                for name, remedy in {NONE: '', **remedies}.items():
                    found[f'{task}-{law}-{prefix}{name}'] = _condition(task, law, remedy, setting)
            for name, setting in alone.items():
                found[f'{task}-{law}-{name}'] = _condition(task, law, '', setting)
    return found


def _condition(task: str, law: str, remedy: str, setting: dict[str, Any]) -> dict[str, Any]:
    own = budget(task)
    return {
        'task': {'name': task},
        'train_distribution': LAWS[law],
        'remedy': remedy,
        **{key: {**own.get(key, {}), **setting.get(key, {})} for key in {**own, **setting}},
    }
