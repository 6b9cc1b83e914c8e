"""How a study is asked to stop, and how it says that it did."""


class Stopped(Exception):
    """The study stopped because it was asked to; what was trained is saved."""


class StopRequest:
    """Set from a signal handler, looked at between chunks.

    Attributes:
      signal: the number of the signal that asked, or None.
    """

    def __init__(self) -> None:
        """Not requested yet."""
        self.signal: int | None = None

    def obey(self) -> None:
        """Ends what is being done where nothing is left to save.

        Raises:
          Stopped: a stop was asked for.
        """
        if self.signal is not None:
            raise Stopped
