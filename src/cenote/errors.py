"""The errors cenote raises on purpose.

Each inherits ``CenoteError`` and the built-in that fits, so ``except ValueError`` works as well as ``except
CenoteError``. The command line turns any of them into one sentence and exit code 2.
"""

from __future__ import annotations


class CenoteError(Exception):
    """Base of every error cenote raises on purpose."""


class ArgumentError(CenoteError, ValueError):
    """An argument has a value that is not allowed."""


class ArgumentTypeError(CenoteError, TypeError):
    """An argument has a type or dtype that is not allowed."""


class LeakError(CenoteError, ValueError):
    """What a model learns from would hold something of what it is tested on."""


class CardError(CenoteError, ValueError):
    """A card breaks the card schema; names the file, the key and the fix."""


class UnknownPaperError(CenoteError, LookupError):
    """No card has this slug or arXiv id."""


class NotRunnableError(CenoteError, RuntimeError):
    """The paper is listed: its method is not here yet."""


class DataNotFoundError(CenoteError, FileNotFoundError):
    """A data set is neither under the data root nor reachable on the hub."""


class DataFormatError(CenoteError, ValueError):
    """A data set's files are not in the layout its loader reads."""


class SourceError(CenoteError, OSError):
    """A source of papers cannot be opened, or not be read to its end."""


class MissingExtraError(CenoteError, ImportError):
    """An optional dependency is missing; names the extra that brings it."""


class RunError(CenoteError, RuntimeError):
    """A run folder cannot be started, resumed or read."""


class PublishError(CenoteError, RuntimeError):
    """A run does not meet the conditions for a published result."""


class ResultError(CenoteError, ValueError):
    """A published result is damaged or was edited by hand."""


class StorageError(CenoteError, OSError):
    """A file could not be written; nothing half-written was left behind."""
