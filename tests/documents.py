"""What is written for readers, README.md and docs/ first, for the tests that hold it true."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXTS = {
    path: path.read_text('utf-8')
    for path in (
        ROOT / 'README.md',
        ROOT / 'CONTRIBUTING.md',
        *sorted((ROOT / 'docs').rglob('*.md')),
    )
}
TEXT = '\n\n'.join(TEXTS.values())


def page(name: str) -> str:
    """The text of one of them, by its path in the repository."""
    return TEXTS[ROOT / name]
