"""What every test process needs before its first test: the CPU, absl's flags, a folder of its own.

A test file run by itself (`python tests/x_test.py`) gets the last two from `absltest.main()`, and
runs on what JAX finds.
"""

import os
import shutil
import sys
import tempfile

import pytest
from absl import flags

# Two workers would each reserve most of one GPU's memory; tests and their children train on CPUs.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')


# Where all workers and their children keep compiled programs; see `small_study`.
_COMPILED = 'IMBREG_JAX_TESTS_COMPILED'


# Files whose few tests take the longest. They go first, so that no worker is left alone with one.
_LONG = ('faults', 'documents', 'seams', 'engine', 'mutations', 'remedy', 'study_run', 'reporting')


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--slow`, for the tests that the ordinary command leaves out for their time."""
    parser.addoption('--slow', action='store_true', help='run the tests that take long, too')


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts long files first, and skips what is marked as slow, unless it is asked for."""
    items.sort(key=lambda item: item.path.stem.removesuffix('_test') not in _LONG)
    if not config.getoption('--slow'):
        for item in items:
            if 'slow' in item.keywords:
                item.add_marker(pytest.mark.skip(reason='only with --slow'))


def pytest_configure(config: pytest.Config) -> None:
    """Parses absl's flags, with none given: pytest's own arguments are not for absl."""
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(sys.argv[:1])
    if _COMPILED not in os.environ:  # In the process that starts the workers, or the only one.
        os.environ[_COMPILED] = folder = tempfile.mkdtemp(prefix='imbreg_jax_compiled_')
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(scope='session', autouse=True)
def _own_test_tmpdir(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Points `create_tempdir` at a folder that no other worker or user shares, as absl's is."""
    flags.FLAGS.test_tmpdir = str(tmp_path_factory.mktemp('absl', numbered=False))
