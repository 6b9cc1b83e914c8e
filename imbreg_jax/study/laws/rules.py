"""Rules that the parameters of laws obey, each refused in one sentence."""

# Expressions are typed by people, and targets are float32 in the end.
LARGEST_NUMBER = 1e6
SMALLEST_SCALE = 1e-6


def require(condition: bool, sentence: str) -> None:
    """Raises a ValueError with this sentence unless the condition holds."""
    if not condition:
        raise ValueError(sentence)


def ordered(name: str, **values: float) -> None:
    """Refuses unless the values never fall and the first lies below the last.

    Args:
        name: the law.
        **values: its parameters, in the order in which they must rise.

    Raises:
        ValueError: they do not.
    """
    numbers = list(values.values())
    rising = all(a <= b for a, b in zip(numbers, numbers[1:], strict=False))
    if not (rising and numbers[-1] - numbers[0] >= SMALLEST_SCALE):
        order = ' <= '.join(values) if len(values) > 2 else ' < '.join(values)
        extra = f' and {list(values)[0]} < {list(values)[-1]}' if len(values) > 2 else ''
        given = ', '.join(f'{key} {number_text(value)}' for key, value in values.items())
        raise ValueError(
            f'{name} needs {order}{extra} by at least {number_text(SMALLEST_SCALE)}, not {given}'
        )


def positive(name: str, **values: float) -> None:
    """Refuses a parameter of a law that is not a width, scale or shape above 0.

    Args:
        name: the law.
        **values: its parameters.

    Raises:
        ValueError: one lies below 1e-6.
    """
    for key, value in values.items():
        require(
            value >= SMALLEST_SCALE,
            f'{name} needs {key} of at least {number_text(SMALLEST_SCALE)}, not '
            f'{number_text(value)}',
        )


def number_text(value: float) -> str:
    """The shortest text that reads back as the same float64, without a needless '.0'."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
