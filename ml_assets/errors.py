"""Every error that the project raises on purpose, in one tree that is seen at a glance.

What belongs here: the classes. What does not: messages; whoever raises knows the thing, the place and the remedy, and
says all three.

    PerennialError
    ├── DeclarationError        a model's declaration says something that cannot be
    ├── LakeError
    │   ├── TableMissing        not in the catalog
    │   ├── PartCorrupt         the bytes are not those that were published
    │   └── ColumnsMissing      the table has no such columns
    ├── TrainingError           the rows do not allow a fit, a split or a judgement
    ├── ArtifactError
    │   ├── ArtifactMissing     no such file
    │   ├── ArtifactCorrupt     the bytes are not those of its name
    │   └── ArtifactNotTrusted  the file holds types that nobody allowed
    ├── RegistryError
    │   ├── RegistryUnreachable gone, damaged, locked: it cannot be asked
    │   ├── VersionMissing      no such version
    │   └── NoChampion          nothing has been promoted, or nothing is left to go back to
    ├── ScoringError            no model and no fallback can score
    └── DecisionLogError        the log's chain is broken
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class PerennialError(Exception):
    """The root: catch this to catch all that the project raises on purpose."""


class DeclarationError(PerennialError):
    """All that is wrong in the declarations, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(
            f"{count} mistake{'s' if count != 1 else ''} in the model declarations:\n" + "\n".join(self.problems)
        )


class LakeError(PerennialError):
    """What was published cannot be read."""


class TableMissing(LakeError):
    """The table is not in the catalog."""


class PartCorrupt(LakeError):
    """A published file is gone, or its bytes are not those that were published."""


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


class NoChampion(RegistryError):
    """Nothing has been promoted yet, or nothing is left to go back to."""


class ScoringError(PerennialError):
    """Neither the champion nor any fallback can score."""


class DecisionLogError(PerennialError):
    """The decision log's chain is broken, or it cannot be written."""
