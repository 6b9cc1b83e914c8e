"""The whole paper in one pass: `paper.py` at 15 times the learning rate for 1 epoch instead of 15.

    ./launch.sh --config=configs/quick.py
    python -m imbreg_jax.main --config=configs/quick.py

Time: 3 minutes on 2 CPU cores, all included.

At the paper's rate the weights hardly move, so that what counts is rate x steps: the 30 networks
start as those of `paper.py`, see the same images once, and end near the same place. Expect its
verdicts and errors (within some percent) at a fifteenth of the training.
"""

import ml_collections

from imbreg_jax import study


def get_config() -> ml_collections.ConfigDict:
    """The paper's three conditions in one pass, under names that stand beside those of paper.py."""
    config = study.default_config()
    config.name = 'quick'
    config.conditions = {
        f'{law}-one_pass': {'train_distribution': law} for law in ('u1_10', 'u1_5', 'n5_5_1')
    }
    config.training.epochs = 1
    config.training.learning_rate = 15 * 5e-7
    return config
