"""Files and texts that somebody else made: read and shown in a way that cannot do harm."""

from __future__ import annotations

import os
import stat


class NoRegularFile(ValueError):
    """A path that names no regular file, or too large a one; the text is the reason."""


def read_regular(path: str, most_bytes: int) -> bytes:
    """The content of a regular file.

    Pipes and devices may have no end, and opening them may wait for ever: they are never read.

    Args:
        path: the file.
        most_bytes: the largest size that is read.

    Returns:
        Its bytes.

    Raises:
        NoRegularFile: the path names a folder, a pipe, a socket or a device, or a file of more
            bytes than that.
        OSError: the file cannot be read.
        ValueError: the path holds a null character.
    """
    # Looked at before it is opened, since opening a device can already do something; without
    # O_NONBLOCK a pipe that was put in its place meanwhile would be waited for.
    _check_regular(os.stat(path), most_bytes)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, 'rb') as file:
        _check_regular(os.fstat(descriptor), most_bytes)
        # A file that grows meanwhile is cut, not followed.
        return file.read(most_bytes)


def _check_regular(status: os.stat_result, most_bytes: int) -> None:
    mode = status.st_mode
    if not stat.S_ISREG(mode):
        kind = (
            'a folder' if stat.S_ISDIR(mode)
            else 'a pipe' if stat.S_ISFIFO(mode)
            else 'a socket' if stat.S_ISSOCK(mode)
            else 'a device'
        )  # fmt: skip
        raise NoRegularFile(f'it is {kind}, not a regular file')
    if status.st_size > most_bytes:
        raise NoRegularFile(
            f'it has {status.st_size / 1e6:.3g} MB, and at most {most_bytes / 1e6:.3g} MB are read'
        )


def reason(error: OSError | ValueError) -> str:
    """Why a file could not be read, as the end of a sentence."""
    return getattr(error, 'strerror', None) or str(error)


def printable(text: str) -> str:
    r"""A text with escapes (`\x1b`) for every character that a terminal might obey."""
    return ''.join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )
