"""The median for the standard deviation: the paper's three laws on a target that does not scale.

    ./launch.sh --config=configs/median.py
    python -m imbreg_jax.main --config=configs/median.py

Time: 4 minutes on 2 CPU cores.

The median of noise that is skewed at random, so that no mean tells it, with its own budget. Expect
the verdicts on the paper's claims, on another target than the paper's.
"""

import ml_collections

from imbreg_jax import study
from imbreg_jax.data.tasks import named


def get_config() -> ml_collections.ConfigDict:
    """The paper's laws on the task of the median."""
    config = study.default_config()
    config.name = 'median'
    config.task.name = 'median'
    config.conditions = {law: {'train_distribution': law} for law in ('u1_10', 'u1_5', 'n5_5_1')}
    for section, fields in named('median').budget.fields().items():
        config[section].update(fields)
    config.evaluation.moment_images = 1000
    return config
