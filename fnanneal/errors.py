"""Errors that a user can mend: each is one line that says what is wrong and where.

The command line prints the line and exits with code 2; a library caller catches `InputError` (a `ValueError`).
"""


class InputError(ValueError):
    """A problem, file, setting or argument that cannot be used as given."""


class NotInstalled(InputError):
    """Another program that is not there; the message says what to install."""


class NothingFound(InputError):
    """A solver had nothing at all to show when its time was over."""


class FormatError(InputError):
    """A file that breaks its format.

    Parameters
    ----------
    where
        The file's name, or ``<stdin>``.
    line
        1-based line number, or None where the fault belongs to no line.
    message
        What is wrong, in one line.
    """

    def __init__(self, where: str, line: int | None, message: str) -> None:
        # Names that come from a file may hold line ends.
        message = "\\n".join(message.splitlines())
        self.where, self.line, self.message = where, line, message
        super().__init__(f"{where}: line {line}: {message}" if line is not None else f"{where}: {message}")

    def __reduce__(self) -> tuple[type["FormatError"], tuple[str, int | None, str]]:
        return type(self), (self.where, self.line, self.message)


class ProblemWarning(UserWarning):
    """Something in a problem was mended or ignored, such as a self-loop in a Max-Cut graph."""
