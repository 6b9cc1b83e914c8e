"""What the environment asks of JAX and XLA, looked at before either is loaded.  Knows no JAX.

XLA reads its flags once, from XLA_FLAGS, when the first backend starts; JAX reads its settings
from JAX_* variables when it is imported.
"""

import os
import platform
import re
import shlex
from pathlib import Path
from typing import Any

from imbreg_jax.compute import limits

_FAST_MATH = re.compile(r'xla_(cpu_|gpu_)?(enable_fast_math|enable_fast_min_max|ftz)$')
# Variables beside XLA_FLAGS that decide what an accelerator's arithmetic is.
_ARITHMETIC = ('LIBTPU_INIT_ARGS', 'NVIDIA_TF32_OVERRIDE')


class BackendError(RuntimeError):
    """JAX cannot be used as it is here; the text is one sentence that says what to do."""


def check() -> None:
    """Refuses what JAX could not be loaded or trusted under; to be called before it is imported.

    Raises:
      BackendError: too little address space, or XLA flags that change what arithmetic means.
    """
    check_address_space()
    check_xla_flags()


def import_jax() -> None:
    """Imports JAX, whose settings in the environment may keep it from that.

    Raises:
      BackendError: it cannot be imported.
    """
    try:
        import jax  # noqa: F401
    except (ImportError, ValueError, RuntimeError, AttributeError, OSError) as error:
        settings = ', '.join(sorted(name for name in os.environ if name.startswith('JAX_')))
        advice = f'the environment sets {settings}' if settings else 'install it again'
        raise BackendError(f'JAX cannot be imported ({_line(error)}); {advice}') from error


def check_address_space() -> None:
    """Refuses a limit of the address space under which JAX would be aborted without a word.

    Raises:
      BackendError: it is too low.
    """
    cores = limits.usable_cores()
    limit, needed = limits.address_space_limit(), limits.address_space_of_jax(cores)
    if limit is not None and limit < needed:
        raise BackendError(
            f'the address space is limited to {limit:,} bytes (ulimit -v {limit // 1024}) and JAX '
            f'reserves about {needed:,} to start on {cores} core(s), most of which it never uses; '
            f'it must be unlimited, or {-(-needed // 1024)} and what the study needs'
        )


def check_xla_flags() -> None:
    """Refuses flags under which arithmetic is not what the numbers are promised to come from.

    Under fast math infinities and NaN are assumed not to occur, so that a run that diverges would
    not even be noticed.

    Raises:
      BackendError: one of them is set.
    """
    for flag in xla_flags():
        name, _, value = flag.lstrip('-').partition('=')
        if _FAST_MATH.match(name) and value.lower() not in ('false', '0'):
            raise BackendError(
                f'XLA_FLAGS has {flag}: with fast math a network that diverges is not noticed and '
                f'numbers are not those of another start; take it out, or set --{name}=false'
            )


def xla_flags() -> list[str]:
    """The flags of XLA_FLAGS, which may name a file that holds them; the last of a kind counts.

    Returns:
      One string for each flag's last setting, in order.
    """
    text = _xla_text()
    try:
        flags = shlex.split(text)
    except ValueError:  # An open quotation mark, of which XLA will complain itself.
        flags = text.split()
    return list({flag.partition('=')[0]: flag for flag in flags}.values())


def add_xla_flag(flag: str) -> bool:
    """Adds a flag to XLA_FLAGS, unless the user set it, to whatever value.

    Returns:
      Whether it was added.
    """
    name = flag.partition('=')[0]
    if any(given.partition('=')[0] == name for given in xla_flags()):
        return False
    os.environ['XLA_FLAGS'] = f'{_xla_text()} {flag}'.strip()
    return True


def has_xla_flag(flag: str) -> bool:
    """Whether XLA_FLAGS holds this very flag."""
    return flag in xla_flags()


def _xla_text() -> str:
    text = os.environ.get('XLA_FLAGS', '').strip()
    if not text or text.startswith('-'):
        return text
    try:
        return ' '.join(Path(text).read_text('utf-8').split('\n')).strip()
    except (OSError, ValueError):
        return text  # XLA says so itself.


def arithmetic() -> dict[str, Any]:
    """What of the environment may change the last digits, for config.json."""
    set_here = {name: os.environ[name] for name in _ARITHMETIC if name in os.environ}
    return {'xla_flags': ' '.join(sorted(xla_flags()))} | set_here


def _line(error: BaseException) -> str:
    return ' '.join(str(error).split())


def processor() -> str:
    """The processor's name."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            for line in file:
                if line.startswith('model name'):
                    return line.split(':', 1)[1].strip()
    except OSError:
        # Not Linux: the platform module has to know.
        pass
    return platform.processor() or platform.machine()
