"""Writes torch_parity.npz beside this file: what PyTorch computes for the paper's network.

By hand, from the repository's root, where torch is installed:

    PYTHONPATH=.:tests python tests/testdata/make_torch_fixtures.py

tests/torch_reference.py says what each array is. The results are deterministic for one torch
version on one kind of machine, and agree to float32 rounding between them.
"""

import pathlib

import numpy as np
import torch

import torch_reference

PATH = pathlib.Path(__file__).with_name('torch_parity.npz')


def main() -> None:
    """Computes the fixtures on one thread, so that sums are taken in one order, and writes them."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    np.savez_compressed(
        PATH,
        torch_version=np.str_(torch.__version__),
        numpy_version=np.str_(np.__version__),
        initial_seeds=np.int64(torch_reference.INITIAL_SEEDS),
        **torch_reference.parity(),
        **torch_reference.initial_distribution(),
    )
    print(f'{PATH}: {PATH.stat().st_size} bytes, torch {torch.__version__}')


if __name__ == '__main__':
    main()
