"""Which remedy against imbalance helps? Every one, and none, under four laws, for three tasks.

    ./launch.sh --config=configs/remedies.py
    ./launch.sh --config=configs/remedies.py:std,disc_radius       # some tasks
    ./launch.sh --config=configs/remedies.py:std/inverse,fds       # some remedies
    ./launch.sh --config=configs/remedies.py:std/inverse/rates     # at three learning rates each
    ./launch.sh --config=configs/remedies.py:std//other_rates      # at two of them, see below
    ./launch.sh --config=configs/remedies.py:std/fds/rates,alone   # without no remedy, see below
    ./launch.sh --config=configs/remedies.py:std/fds/rates,normal,tail   # some laws
    ./launch.sh --config=configs/remedies.py:std/tail-fds-rate_triple,normal-none-rate_third
    python -m imbreg_jax.main --config=configs/remedies.py

Time: some two hours a task on 2 CPU cores, twice that with `other_rates`, three times with `rates`;
about five seconds a network there, more where a remedy takes a pass over the features. `--dry_run`
says what it would be here.

With `rates` each, and no remedy, is trained at a third of the task's learning rate, at it and at
three times it, and the leaderboard chooses one for each, on validation images of the training law
and, beside that, of the test law.

The whole may be cut into parts by task, remedy and rate, and their workdirs reported together as
one study: `python -m imbreg_jax.report --workdir=DIR,DIR`. Networks hang on seed, repeat and
condition alone, so all parts would train the same ones of no remedy: parts of a task after its
first leave them out with `alone`, and have the same rates. `other_rates` are those of `rates` that
a part without either has not trained, so that the first answer need not wait for the choice, and
`farther_rates`, nine times the task's, are for a task on which many choices fell on three times. A
remedy that is not trained beside no remedy is compared as well, but for its time.

A choice takes fewer repeats than a comparison: with `other_rates` and `--config.repeats=2` the
leaderboard chooses on these two, and names the conditions it chose that have fewer repeats than
others. These alone are left to be trained, with `--config.first_repeat=2` and `--config.repeats=8`:
in place of a remedy may stand a condition, as `law-remedy-rate`.

The remedies are those that `imbreg_jax.remedies` has, so one that is added is compared here. All
have one budget, the steps of one pass over 50,000 images, taken over 10,000, at the task's own rate
and schedule (`imbreg_jax.data.tasks`), 10 repeats, and no tuning beyond their defaults and the
table below. A remedy that refuses a law's targets, a task or a budget is left out there (`acts`).
Expect the leaderboard of the report: what each gives to rare targets and takes from frequent ones,
and what it changes under balanced targets, which need no cure.
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
# As many steps as one pass takes, over a fifth of the images: some remedies begin with the second
# epoch.
EPOCHS, TRAIN_SIZE = 5, 10_000
# Targets that a remedy is tried on: enough for the rarest bins of twenty to have some.
PROBED = 2000
# What a part may be asked for: each at several rates, and without no remedy.
ALONE = 'alone'
# What is asked for -> ending of a condition's name -> factor on its task's learning rate.
ONE_RATE = {'': 1.0}
OTHER_RATES = {'-rate_third': 1 / 3, '-rate_triple': 3.0}
FARTHER_RATES = {'-rate_ninefold': 9.0}
EVERY_RATE = {**ONE_RATE, **OTHER_RATES, **FARTHER_RATES}
RATES = {
    'rates': {**ONE_RATE, **OTHER_RATES},
    'other_rates': OTHER_RATES,
    'farther_rates': FARTHER_RATES,
}
# Name of a remedy -> its expression, where its defaults are not what is to be compared; a dict has
# those of laws whose targets want other parameters, such as points of relevance by hand.
EXPRESSIONS: dict[str, str | dict[str, str]] = {
    # Half of their default: they would cost as much as all other remedies of their program.
    'ensemble': 'ensemble(size=5)',
    'rebagg': 'rebagg(size=5)',
    # Only where they are named: as fine as the published bins, which are of a range of ages.
    'fds_fine': 'fds(bins=100)',
    'vir_fine': 'vir(bins=100)',
    'uvote_fine': 'uvote(bins=100)',
}


def get_config(choice: str = '') -> ml_collections.ConfigDict:
    """Every task with every remedy, or some, as 'tasks/remedies/how', of which each may be empty.

    Args:
      choice: names of tasks; of remedies, or of conditions without the task, which are trained
        alone; and of one of `RATES`, of `LAWS` and `ALONE`; separated by commas.

    Raises:
      ValueError: a choice that is none of these.
    """
    tasks, remedies, how = [*choice.split('/'), '', '', ''][:3]
    chosen = set(filter(None, how.split(',')))
    asked = chosen & RATES.keys()
    if choice.count('/') > 2 or chosen - RATES.keys() - LAWS.keys() - {ALONE} or len(asked) > 1:
        raise ValueError(
            f'{choice!r} is none of its choices: behind tasks/remedies/ stand one of '
            f'{", ".join(RATES)}, some of {", ".join(LAWS)}, and {ALONE}'
        )
    laws = [law for law in LAWS if law in chosen] or list(LAWS)
    rates = RATES[asked.pop()] if asked else ONE_RATE
    names = tasks.split(',') if tasks else list(TASKS)
    listed = remedies.split(',') if remedies else list(REMEDIES)
    single = [_parts(name) for name in listed if '-' in name]
    methods = [name for name in listed if '-' not in name]
    if methods and ALONE not in chosen:
        methods.insert(0, NONE)
    config = common()
    parts = [part.replace(',', '-') for part in (tasks, remedies, how) if part]
    config.name = naming.shortened('-'.join(['remedies', *parts]))
    every = {
        f'{task}-{law}-{method}{rate}': _condition(task, law, method, EVERY_RATE[rate])
        for task in names
        for law, method, rate in [
            *((law, method, rate) for law in laws for method in methods for rate in rates),
            *single,
        ]
    }
    config.conditions = {
        name: fields for name, fields in every.items() if not fields['remedy'] or acts(fields)
    }
    if NONE in methods:
        config.analysis.reference = next(iter(config.conditions))
    return config


def _parts(name: str) -> tuple[str, str, str]:
    """Returns law, remedy and ending of a condition's name without its task."""
    law, method, *rate = name.split('-')
    ending = '-'.join(['', *rate])
    if law not in LAWS or not method or ending not in EVERY_RATE:
        endings = ' or '.join(filter(None, EVERY_RATE))
        raise ValueError(
            f'{name!r} is no condition: one is LAW-REMEDY, with {endings} behind it or nothing, '
            f'and LAW one of {", ".join(LAWS)}'
        )
    return law, method, ending


def _condition(task: str, law: str, method: str, factor: float) -> dict[str, Any]:
    """The fields of a condition, at so many times its task's learning rate."""
    own = budget(task)
    own['training']['learning_rate'] *= factor
    return {
        'task': {'name': task},
        'train_distribution': LAWS[law],
        'remedy': expression(method, law),
        **own,
    }


def budget(task: str) -> dict[str, dict[str, Any]]:
    """The fields of the budget that all remedies have on a task."""
    own = named(task).budget.fields()
    if task == 'std':
        own['training']['learning_rate'] = 15 * 5e-7
    own['training']['epochs'], own['data']['train_size'] = EPOCHS, TRAIN_SIZE
    return own


def common() -> ml_collections.ConfigDict:
    """What all conditions share."""
    config = study.default_config()
    config.repeats = 10
    config.test_distributions = ('u1_10', 'u1_5')
    config.data.validation_size = 1000
    # What a rate is chosen on, so of parts that have one rate alone too.
    config.evaluation.validation_under_test = True
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
    probe = common()
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
