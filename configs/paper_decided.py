"""The paper decided: `quick.py` with 100 repeats that no study before it has seen.

    ./launch.sh --config=configs/paper_decided.py
    python -m imbreg_jax.main --config=configs/paper_decided.py

Time: 46 minutes on 2 CPU cores beside other work, all included.

The rules of the verdicts were fixed after the first study, `paper.py`, had been seen; so these 100
repeats, numbers 10 to 109, decide under them. Expect
every claim to be decided that differences of a few percent can decide.
"""

import ml_collections

from imbreg_jax import study


def get_config() -> ml_collections.ConfigDict:
    """The paper's three conditions in one pass, with fresh repeats."""
    config = study.default_config()
    config.name = 'paper_decided'
    config.first_repeat = 10
    config.repeats = 100
    config.conditions = {law: {'train_distribution': law} for law in ('u1_10', 'u1_5', 'n5_5_1')}
    config.training.epochs = 1
    config.training.learning_rate = 15 * 5e-7
    config.evaluation.moment_images = 1000
    return config
