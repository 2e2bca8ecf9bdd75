"""Evidence as a file, so that a question that was answered is not worked out again.

What belongs here: what makes two questions the same, and the file's form. What does not: gathering evidence
(`judge.py`) or weighing it (`deciding/promotion.py`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.judging.evaluation import Comparison, Score
from ml_assets.judging.evidence import Evidence
from ml_assets.lake.files import write_whole
from ml_assets.moments import moment_of, text_of
from ml_assets.registry.versions import Version

_MOMENTS = ("as_of", "window_start", "compared_from")


def question_of(version: Version, champion: Version | None, declaration: ModelDeclaration) -> str:
    """sha256 of what the evidence depends on: the version, the champion it stands against, and the whole declaration.

    A version that is champion already stands against nobody: its question is the one it was promoted on, whoever it
    replaced.
    """
    against = None if champion is None or champion.version == version.version else champion.candidate_fingerprint
    parts = [version.candidate_fingerprint, against, declaration.whole_fingerprint, version.rolled_back]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def save_evidence(root: Path, version: Version, question: str, evidence: Evidence) -> Path:
    """Writes the evidence under its question; what a time in shadow shows is asked anew each time."""
    path = _path(root, version, question)
    lasting = {name: value for name, value in asdict(evidence).items() if name != "shadow"}
    write_whole(path, json.dumps(_plain(lasting), indent=1).encode())
    return path


def load_evidence(root: Path, version: Version, question: str) -> Evidence | None:
    """The evidence that answers the question, if it was saved; a file that cannot be read is as good as none."""
    try:
        found: dict[str, Any] = json.loads(_path(root, version, question).read_text())
        moments = {name: moment_of(found[name]) if found[name] else None for name in _MOMENTS}
        scores = tuple(Score(**score) for score in found["scores"])
        comparisons = tuple(Comparison(**comparison) for comparison in found["comparisons"])
        schemas = {
            name: tuple((feature, kind) for feature, kind in found[name])
            for name in ("declared_schema", "fitted_schema")
        }
        return Evidence(**{**found, **moments, **schemas, "scores": scores, "comparisons": comparisons})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _path(root: Path, version: Version, question: str) -> Path:
    return root / "evidence" / version.model / f"{version.version}-{question[:16]}.json"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return text_of(value) if isinstance(value, datetime) else value
