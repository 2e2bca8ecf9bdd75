"""Every error that the project raises on purpose, in one tree that is seen at a glance.

What belongs here: the classes, and which errors may pass by themselves. What does not: messages; whoever raises knows
the thing, the place and the remedy, and says all three.

    PerennialError
    ├── DeclarationError        a model's declaration says something that cannot be
    ├── FeedError               a feed cannot bring anything
    ├── LakeError
    │   ├── TableMissing        not in the catalog
    │   ├── PartCorrupt         the bytes are not those that were published
    │   ├── ResultCorrupt       a file of predictions or figures is none any more
    │   └── ColumnsMissing      the table has no such columns
    ├── TrainingError           the rows do not allow a fit, a split or a judgement
    ├── ArtifactError
    │   ├── ArtifactMissing     no such file
    │   ├── ArtifactCorrupt     the bytes are not those of its name
    │   └── ArtifactNotTrusted  the file holds types that nobody allowed
    ├── RegistryError
    │   ├── RegistryUnreachable gone, damaged, locked: it cannot be asked
    │   ├── VersionMissing      no such version
    │   ├── VersionUnreadable   what is remembered of a version is not what was written
    │   ├── VersionUnusable     a version cannot be asked: its file, its columns, its time, its task
    │   ├── ChampionUnknown     the registry does not say (any more) which version is champion
    │   ├── NoChampion          nothing has been promoted, or nothing is left to go back to
    │   └── ChampionChanged     another version is champion than the one that was judged against; may pass
    ├── ScoringError            no model and no fallback can score
    └── DecisionLogError        the log's chain is broken
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

# What is said of a lock that somebody else holds: DuckDB (through dbt) and SQLite (through SQLAlchemy and MLflow).
_HELD_BY_ANOTHER = re.compile(r"could not set lock on file|database (table )?is locked", re.IGNORECASE)
# What dbt says of a node that was tried and failed. A held lock is found before the first node.
_A_NODE_FAILED = re.compile(r"(failure|error) in (test|unit_test|model|seed|snapshot)\b", re.IGNORECASE)
# The operating system's refusals that are the same a minute later.
_LASTING = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)


class PerennialError(Exception):
    """The root: catch this to catch all that the project raises on purpose."""

    passes: ClassVar[bool] = False


class DeclarationError(PerennialError):
    """All that is wrong in the declarations, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(
            f"{count} mistake{'s' if count != 1 else ''} in the declarations:\n" + "\n".join(self.problems)
        )


class FeedError(PerennialError):
    """A feed cannot bring anything: what it reads is missing, held or cannot be reached."""


class LakeError(PerennialError):
    """What was published cannot be read."""


class TableMissing(LakeError):
    """The table is not in the catalog."""


class PartCorrupt(LakeError):
    """A published file is gone, or its bytes are not those that were published."""


class ResultCorrupt(LakeError):
    """A file that Python's verbs have written, of predictions or figures, cannot be read any more."""


class ColumnsMissing(LakeError):
    """The table has no such columns."""


class TrainingError(PerennialError):
    """The rows do not allow a fit, a split or a judgement."""


class ArtifactError(PerennialError):
    """A model file cannot be used."""


class ArtifactMissing(ArtifactError):
    """There is no such model file."""


class ArtifactCorrupt(ArtifactError):
    """The bytes of a model file are not those of its name."""


class ArtifactNotTrusted(ArtifactError):
    """A model file holds types that nobody allowed."""


class RegistryError(PerennialError):
    """The registry cannot do what was asked."""


class RegistryUnreachable(RegistryError):
    """The registry cannot be asked; `trouble` is what is wrong, without the place and the remedy."""

    def __init__(self, file: Path, trouble: str, remedy: str) -> None:
        self.trouble = f"{file.name} {trouble}"
        super().__init__(f"{file} {trouble}; {remedy}")


class VersionMissing(RegistryError):
    """There is no such version of the model."""


class VersionUnreadable(RegistryError):
    """What is remembered of a version is not what was written."""


class VersionUnusable(RegistryError):
    """A version cannot be asked; the text is a sentence about it, without its name."""


class ChampionUnknown(RegistryError):
    """The registry does not say which version is champion; `trouble` is what is wrong, without the remedy."""

    def __init__(self, model: str, trouble: str, remedy: str) -> None:
        self.trouble = trouble
        super().__init__(f"{model}: {trouble}; {remedy}")


class NoChampion(RegistryError):
    """Nothing has been promoted yet, or nothing is left to go back to."""


class ChampionChanged(RegistryError):
    """While a version was judged against the champion, another became champion; judging again makes it good."""

    passes = True


class ScoringError(PerennialError):
    """Neither the champion nor any fallback can score."""


class DecisionLogError(PerennialError):
    """The decision log's chain is broken, or it cannot be written."""


def may_pass(error: BaseException) -> bool:
    """Whether it may be gone when it is tried again.

    True for a lock that somebody else holds, a timeout or a hiccup of the disk; False for what would fail the same way
    again: a check, a contract, a declaration, a fault in the code.

    Of errors that were raised from each other, the newest that tells decides.
    """
    return next((answer for one in _causes(error) if (answer := _answer(one)) is not None), False)


def _answer(error: BaseException) -> bool | None:
    if isinstance(error, PerennialError):
        return error.passes
    if isinstance(error, OSError):
        return not isinstance(error, _LASTING)
    said = str(error)
    if _A_NODE_FAILED.search(said):
        return False
    return True if _HELD_BY_ANOTHER.search(said) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from or while handling, newest first."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
