"""What numbers were made with: the time, the versions, and the commit of the package."""

import datetime
import functools
import importlib.metadata
import os
import platform
import re
import subprocess
import tomllib
from pathlib import Path


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')


def versions() -> dict[str, str]:
    """The versions that numbers may depend on."""
    found = {'python': platform.python_version()}
    for name in ('imbreg-jax', 'jax', 'jaxlib', 'flax', 'optax', 'numpy', 'scipy'):
        try:
            found[name.replace('-', '_')] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name.replace('-', '_')] = 'not installed'
    return found


@functools.cache
def git_commit() -> str | None:
    """The commit of the checkout that the package runs from, or None; see `commit_of`.

    Asked once: what runs is what was imported, whatever is committed meanwhile.
    """
    return commit_of(Path(__file__).resolve().parents[1])


def commit_of(package: Path) -> str | None:
    """The commit of the checkout that a package's folder lies in.

    Returns:
      The commit, with '-dirty' where a file of the package differs from it; None for a package
      that lies in no checkout of its own: one that is installed somewhere inside another
      repository is none of that one's.
    """
    root = package.parent
    try:
        project = tomllib.loads((root / 'pyproject.toml').read_text('utf-8'))['project']['name']
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if re.sub('[-_.]+', '_', str(project)) != package.name or not (root / '.git').exists():
        return None
    # Nothing of what the repository's own config may have git run, and no variable of a git that
    # runs us, as from a hook.
    environment = {key: value for key, value in os.environ.items() if not key.startswith('GIT_')}
    quiet = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null']

    def git(*arguments: str) -> str:
        return subprocess.run(
            ['git', '--no-optional-locks', '-C', str(root), *quiet, *arguments],
            capture_output=True,
            text=True,
            errors='replace',
            check=True,
            timeout=10,
            env=environment,
        ).stdout.strip()

    try:
        git('ls-files', '--error-unmatch', '--', f'{package.name}/__init__.py')
        commit = git('rev-parse', 'HEAD')
        changed = git('status', '--porcelain', '--untracked-files=no', '--', package.name)
    except (OSError, subprocess.SubprocessError):
        return None
    return f'{commit}-dirty' if changed else commit
