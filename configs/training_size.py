"""Do more images heal imbalance? 500 to 50,000 training images, the same number of steps.

    ./launch.sh --config=configs/training_size.py
    python -m imbreg_jax.main --config=configs/training_size.py

Time: 11 minutes on 2 CPU cores beside other work.

Fewer images are seen more often, so that every network takes the 1,000 steps of one pass over
50,000, at the rate of `quick.py`. Expect errors against the number of images, a line for each law.
"""

import ml_collections

from imbreg_jax import study

SIZES = {500: 100, 5_000: 10, 50_000: 1}


def get_config() -> ml_collections.ConfigDict:
    """The paper's laws for every number of training images."""
    config = study.default_config()
    config.name = 'training_size'
    config.conditions = {law: {'train_distribution': law} for law in ('u1_10', 'u1_5', 'n5_5_1')}
    config.sweep = {('data.train_size', 'training.epochs'): list(SIZES.items())}
    config.training.learning_rate = 15 * 5e-7
    config.analysis.reference = 'u1_10-train_size_50000-epochs_1'
    # Each of a hundred epochs ends with a look at all of them.
    config.data.validation_size = 500
    config.evaluation.moment_images = 300
    return config
