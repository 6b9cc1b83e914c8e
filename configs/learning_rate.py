"""Where the lazy regime ends: one pass at rates from 7.5e-7 to 7.5e-4, under the paper's laws.

    ./launch.sh --config=configs/learning_rate.py
    python -m imbreg_jax.main --config=configs/learning_rate.py

Time: 26 minutes on 2 CPU cores beside other work. All 210 networks are one program.

At the paper's rate weights hardly move, and rate x steps decides. Expect the errors to fall with
the rate while that holds, and see whether the paper's conclusions survive outside of it.
"""

import ml_collections

from imbreg_jax import study

RATES = (7.5e-7, 2.25e-6, 7.5e-6, 2.25e-5, 7.5e-5, 2.25e-4, 7.5e-4)


def get_config() -> ml_collections.ConfigDict:
    """The paper's laws in one pass at every rate."""
    config = study.default_config()
    config.name = 'learning_rate'
    config.conditions = {law: {'train_distribution': law} for law in ('u1_10', 'u1_5', 'n5_5_1')}
    config.sweep = {'training.learning_rate': RATES}
    config.training.epochs = 1
    config.analysis.reference = 'u1_10-learning_rate_7.5e-06'
    config.evaluation.moment_images = 1000
    return config
