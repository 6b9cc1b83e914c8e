"""What is wrong with a config, as one sentence."""

from __future__ import annotations

from typing import Any

from imbreg_jax.study import reading

MISSING = type('Missing', (), {'__repr__': lambda self: 'nothing'})()


class ConfigError(ValueError):
    """A config that cannot work; its text is one sentence.

    Attributes:
        field: the dotted field, such as `training.learning_rate`, or a flag (`--config`).
        value: the value that was refused; `MISSING` where there is none.
        message: what would be right.
    """

    def __init__(self, field: str, value: Any, message: str):
        self.field = field
        self.value = value
        self.message = message
        name = field if field.startswith('-') or not field else f'config.{field}'
        name = name or 'the config'
        given = f'{name} is missing' if value is MISSING else f'{name} = {short_text(value)}'
        super().__init__(reading.printable(f'{given}: {message.rstrip(".")}.'))


class ConfigFileError(ConfigError):
    """A config file that makes no config; its text is one sentence.

    Attributes:
        field: '', since no field is at fault.
        value: the file's path.
        message: what would be right.
    """

    def __init__(self, path: str, message: str):
        super().__init__('', path, message)
        text = f'the config file {short_text(path)}: {message.rstrip(".")}.'
        self.args = (reading.printable(text),)


def short_text(value: Any) -> str:
    """A value for an error message: one line, never long."""
    try:
        text = ' '.join(repr(value).split())
    except ValueError:  # an int of more digits than Python converts
        text = f'too long a number ({type(value).__name__})'
    return text if len(text) <= 120 else text[:100] + '…'
