"""How much of the range may be missing, from which side, or from the middle?

    ./launch.sh --config=configs/missing_targets.py
    ./launch.sh --config=configs/missing_targets.py:disc_radius
    python -m imbreg_jax.main --config=configs/missing_targets.py

Time: 14 minutes on 2 CPU cores beside other work, 36 with :disc_radius.

From U(1, 10) one, three, five or seven of nine units are cut at the top, at the bottom, or from the
middle; each is held against U(1, 10), paired by repeat. On the paper's task (in one pass), or on
the one that is named. Expect the report's dose–response section to say what a tenth of the range
costs, and where it stops being no big loss.
"""

import ml_collections

from imbreg_jax import study
from imbreg_jax.data.tasks import named

CUT = (1, 3, 5, 7)


def get_config(task: str = 'std') -> ml_collections.ConfigDict:
    """The balanced law, and what is left of it."""
    config = study.default_config()
    config.name = 'missing_targets' if task == 'std' else f'missing_targets-{task}'
    config.task.name = task
    laws = {'none': 'u1_10'}
    laws |= {f'above-{cut}': f'uniform(1, {10 - cut})' for cut in CUT}
    laws |= {f'below-{cut}': f'uniform({1 + cut}, 10)' for cut in CUT}
    laws |= {f'middle-{cut}': f'gap(u1_10, {5.5 - cut / 2}, {5.5 + cut / 2})' for cut in CUT}
    config.conditions = {name: {'train_distribution': law} for name, law in laws.items()}
    for section, fields in named(task).budget.fields().items():
        config[section].update(fields)
    if task == 'std':
        config.training.epochs, config.training.learning_rate = 1, 15 * 5e-7
    config.test_distributions = ('u1_10',)
    config.data.validation_size = 1000
    config.data.test_size = 2000
    config.evaluation.dense_size = 1000
    config.evaluation.dense_low = 0.5
    config.evaluation.dense_high = 10.5
    config.evaluation.moment_images = 500
    return config
