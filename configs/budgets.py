"""At which rate does each task train best? Balanced targets, four rates, validation images.

    ./launch.sh --config=configs/budgets.py
    ./launch.sh --config=configs/budgets.py:disc_radius,needle_angle    # some tasks
    python -m imbreg_jax.main --config=configs/budgets.py

Time: 13 minutes on 2 CPU cores.

The rates of the budgets of `imbreg_jax.data.tasks` are from the validation errors at the end of
this study (`results/budgets/metrics.jsonl`, or the learning curves of its report): of the worse of
two repeats the least, below 1e-2. There networks of seven tasks stop learning and answer one number
ever after. Without dropout, on as many images and epochs as each budget has, the rate falling as a
half cosine. Only balanced targets enter, so that no law is favoured. Expect the least error at
3e-3, and at 1e-3 for the signal-to-noise ratio.
"""

import ml_collections

from imbreg_jax import study
from imbreg_jax.data.tasks import TASKS, named
from imbreg_jax.study import naming

RATES = (3e-4, 1e-3, 3e-3, 1e-2)


def get_config(tasks: str = '') -> ml_collections.ConfigDict:
    """Every task but the paper's, or those named, at every rate."""
    names = tasks.split(',') if tasks else [name for name in TASKS if name != 'std']
    config = study.default_config()
    config.name = naming.shortened('-'.join(['budgets', *(names if tasks else [])]))
    config.repeats = 2
    config.conditions = {
        name: {'task': {'name': name}, **_without_rate(named(name).budget.fields())}
        for name in names
    }
    config.sweep = {'training.learning_rate': RATES}
    config.test_distributions = ('u1_10',)
    config.data.validation_size = 2000
    config.data.test_size = 1000
    config.evaluation.dense_size = 500
    config.evaluation.dense_low = 0.5
    config.evaluation.dense_high = 10.5
    config.evaluation.moment_images = 100
    config.compute.tensorboard = False
    config.analysis.reference = f'{names[0]}-learning_rate_0.003'
    return config


def _without_rate(fields: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Returns the fields of a budget but the rate, which is swept."""
    training = {key: value for key, value in fields['training'].items() if key != 'learning_rate'}
    return {**fields, 'training': training}
