"""Which remedy against imbalance helps? Every one, and none, under four laws, for three tasks.

    ./launch.sh --config=configs/remedies.py
    ./launch.sh --config=configs/remedies.py:std,disc_radius       # some tasks
    ./launch.sh --config=configs/remedies.py:std/inverse,fds       # some remedies
    python -m imbreg_jax.main --config=configs/remedies.py

Time: a day or more on 2 CPU cores; about 12 seconds a network there, more where a remedy takes a
pass over the features. `--dry_run` says what it would be here.

The remedies are those that `imbreg_jax.remedies` has, so one that is added is compared here. All
have the task's budget (`imbreg_jax.data.tasks`; for std the steps of one pass), 10 repeats, and
no tuning beyond their defaults and the table below. A remedy that refuses a law's targets, a task
or a budget is left out there (`acts`). Expect the leaderboard of the report: what each gives to
rare targets and takes from frequent ones, and what it changes under balanced targets, which need no
cure.
"""

from typing import Any

import ml_collections
import numpy as np

from imbreg_jax import study
from imbreg_jax.data.tasks import named
from imbreg_jax.remedies import REMEDIES, parse
from imbreg_jax.study import naming

TASKS = ('std', 'disc_radius', 'needle_angle')
LAWS = {
    'balanced': 'u1_10',
    'missing': 'u1_5',
    'normal': 'n5_5_1',
    'tail': 'cut(exponential(1, 2), 1, 10)',
}
NONE = 'none'
# Name of a remedy -> its expression, where its defaults are not what is to be compared; a dict has
# those of laws whose targets want other parameters, such as points of relevance by hand.
EXPRESSIONS: dict[str, str | dict[str, str]] = {}


def get_config(choice: str = '') -> ml_collections.ConfigDict:
    """Every task with every remedy, or those named as 'tasks', '/remedies' or 'tasks/remedies'."""
    tasks, _, remedies = choice.partition('/')
    names = tasks.split(',') if tasks else list(TASKS)
    methods = remedies.split(',') if remedies else list(REMEDIES)
    config = _common()
    parts = [part.replace(',', '-') for part in (tasks, remedies) if part]
    config.name = naming.shortened('-'.join(['remedies', *parts]))
    every = {
        f'{task}-{law}-{method}': {
            'task': {'name': task},
            'train_distribution': LAWS[law],
            'remedy': expression(method, law),
            **(ONE_PASS if task == 'std' else named(task).budget.fields()),
        }
        for task in names
        for law in LAWS
        for method in (NONE, *methods)
    }
    config.conditions = {
        name: fields for name, fields in every.items() if not fields['remedy'] or acts(fields)
    }
    config.analysis.reference = f'{names[0]}-balanced-{NONE}'
    return config


def _common() -> ml_collections.ConfigDict:
    """What all conditions share."""
    config = study.default_config()
    config.repeats = 10
    config.test_distributions = ('u1_10', 'u1_5')
    config.data.validation_size = 1000
    config.data.test_size = 2000
    config.evaluation.dense_size = 1000
    config.evaluation.dense_low = 0.5
    config.evaluation.dense_high = 10.5
    config.evaluation.moment_images = 100
    return config


def expression(method: str, law: str) -> str:
    """The expression of a remedy under a law; '' is none."""
    if method == NONE:
        return ''
    found = EXPRESSIONS.get(method, method)
    return found if isinstance(found, str) else found.get(law, method)


def acts(fields: dict[str, Any]) -> bool:
    """Whether a condition's remedy takes its task, budget and law, or refuses with a sentence.

    It is tried on quantiles of the law, so that the answer hangs on nothing that is drawn. That
    there is no such remedy at all is for the study to say.
    """
    try:
        remedy = parse(fields['remedy'])
    except ValueError:
        return True
    probe = _common()
    probe.conditions = {'probe': fields}
    try:
        law = study.resolve(probe).conditions[0].distribution
        targets = law.ppf((np.arange(PROBED) + 0.5) / PROBED)
        # One that looks at images too has said of the law's targets what it can without any.
        if not remedy.sees_images:
            remedy.tables(targets, law, np.random.default_rng(0))
    except ValueError:
        return False
    return True


# Targets that a remedy is tried on: enough for the rarest bins of twenty to have some.
PROBED = 2000
# As many steps as one pass takes, over a fifth of the images: some remedies begin with the second
# epoch.
ONE_PASS = {
    'training': {'learning_rate': 15 * 5e-7, 'epochs': 5},
    'data': {'train_size': 10_000},
}
