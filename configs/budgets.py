"""At which rate does each task train best? Balanced targets, four rates, validation images.

    ./launch.sh --config=configs/budgets.py
    ./launch.sh --config=configs/budgets.py:disc_radius,needle_angle    # some tasks
    python -m imbreg_jax.main --config=configs/budgets.py

Time: 25 minutes on 2 CPU cores.

What `imbreg_jax.data.tasks` gives as each task's budget is to be chosen from the validation errors
of this study (`metrics.jsonl`, or the learning curves of its report): the rate with the least after
4 epochs over 10,000 images, without dropout. Until it has run, all have 3e-4. Only balanced targets
enter, so that no law is favoured. Expect a minimum of the validation error between the rates at the
ends.
"""

import ml_collections

from imbreg_jax import study
from imbreg_jax.data.tasks import TASKS

RATES = (1e-4, 3e-4, 1e-3, 3e-3)


def get_config(tasks: str = '') -> ml_collections.ConfigDict:
    """Every task but the paper's, or those named, at every rate."""
    names = tasks.split(',') if tasks else [name for name in TASKS if name != 'std']
    config = study.default_config()
    config.name = '-'.join(['budgets', *(names if tasks else [])])
    config.repeats = 2
    config.conditions = {name: {'task': {'name': name}} for name in names}
    config.sweep = {'training.learning_rate': RATES}
    config.training.epochs = 4
    config.model.conv_dropout_rate = config.model.dense_dropout_rate = 0.0
    config.test_distributions = ('u1_10',)
    config.data.train_size = 10_000
    config.data.validation_size = 2000
    config.data.test_size = 1000
    config.evaluation.dense_size = 500
    config.evaluation.dense_low = 0.5
    config.evaluation.dense_high = 10.5
    config.evaluation.moment_images = 100
    config.compute.tensorboard = False
    config.analysis.reference = f'{names[0]}-learning_rate_0.0003'
    return config
