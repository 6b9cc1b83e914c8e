"""When does imbalance matter? Every task under balanced, missing, normal and rare targets.

    ./launch.sh --config=configs/imbalance_by_task.py
    ./launch.sh --config=configs/imbalance_by_task.py:std,disc_radius    # some tasks
    python -m imbreg_jax.main --config=configs/imbalance_by_task.py

Time: 100 minutes on 2 CPU cores, beside other work.

Each task is trained with its own budget (`imbreg_jax.data.tasks`), the paper's in one pass, and
each law is held against the balanced one of the same task, paired by repeat. Expect the map of when
imbalance matters: the cost of each law as a ratio, task by task.
"""

import ml_collections

from imbreg_jax import study
from imbreg_jax.data.tasks import TASKS, named
from imbreg_jax.study import naming

LAWS = {
    'balanced': 'u1_10',
    'missing': 'u1_5',
    'normal': 'n5_5_1',
    'tail': 'cut(exponential(1, 2), 1, 10)',
}


def get_config(tasks: str = '') -> ml_collections.ConfigDict:
    """Every task, or those named, with every law."""
    names = tasks.split(',') if tasks else list(TASKS)
    config = study.default_config()
    config.name = naming.shortened('-'.join(['imbalance_by_task', *(names if tasks else [])]))
    config.conditions = {
        f'{name}-{what}': {
            'task': {'name': name},
            'train_distribution': law,
            **named(name).budget.fields(),
            **(ONE_PASS if name == 'std' else {}),
        }
        for name in names
        for what, law in LAWS.items()
    }
    config.test_distributions = ('u1_10', 'u1_5')
    config.data.validation_size = 1000
    config.data.test_size = 2000
    config.evaluation.dense_size = 1000
    config.evaluation.dense_low = 0.5
    config.evaluation.dense_high = 10.5
    config.evaluation.moment_images = 500
    config.analysis.reference = f'{names[0]}-balanced'
    return config


ONE_PASS = {'training': {'learning_rate': 15 * 5e-7, 'epochs': 1}}
