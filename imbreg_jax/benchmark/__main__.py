"""The command `python -m imbreg_jax.benchmark`; see `command`."""

from imbreg_jax import terminal

# Before the imports that take their time.
terminal.end_on_interrupt()

from absl import app  # noqa: E402

from imbreg_jax.benchmark import command  # noqa: E402

app.run(command.main, flags_parser=command.parse)
