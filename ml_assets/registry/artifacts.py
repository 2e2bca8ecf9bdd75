"""Model files: skops without pickle, the same bytes for the same model, named by their own hash.

What belongs here: saving and loading fitted pipelines. What does not: which file is whose (`registry.py`).

skops writes memory addresses and the time of day into its zip; `canonical_bytes` numbers the objects in the order of
their appearance and fixes the dates, so retraining on the same data gives the same file. Nothing is compressed:
compressors differ between machines. On loading, the hash is checked before a byte is parsed, and then every type in the
file must be one of skops's own defaults or of the fixed lists here.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import skops.io
from sklearn.pipeline import Pipeline
from skops.io.exceptions import UntrustedTypesFoundException

from ml_assets.errors import ArtifactCorrupt, ArtifactMissing, ArtifactNotTrusted
from ml_assets.lake.files import write_whole

# What the shipped estimators, LightGBM and XGBoost need beyond skops's defaults. A partial only calls a function that
# is itself trusted. LightGBM's booster is stored as its own text, XGBoost's as its own bytes: each is parsed by its
# library, and nothing is unpickled.
TRUSTED_TYPES = (
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "ml_assets.fitting.baselines.ColumnBaseline",
    "ml_assets.fitting.baselines.ConstantBaseline",
    "ml_assets.fitting.baselines.RatesBaseline",
    "ml_assets.fitting.encoders.FeatureEncoder",
    "ml_assets.fitting.encoders.FrameSelector",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
)
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)
# Where a class stood when older files were written, and where it stands now.
_MOVED = {
    "ml_assets.baselines": "ml_assets.fitting.baselines",
    "ml_assets.encoders": "ml_assets.fitting.encoders",
}


@dataclass(frozen=True)
class ArtifactStore:
    """Files `<sha256>.skops` below one folder. What is `trusted` in the verbs are full names of further types: what the
    model's declaration says, never what is remembered beside the file.
    """

    root: Path

    def path(self, sha256: str) -> Path:
        return self.root / f"{sha256}.skops"

    def save(self, model: Pipeline, trusted: Sequence[str] = ()) -> str:
        """Writes the model, unless the same bytes are there and sound, and returns their sha256.

        Raises:
            ArtifactNotTrusted: if it holds types that could not be loaded again.
        """
        content = canonical_bytes(model)
        _check_types(content, type(model[-1]).__name__, trusted)
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.path(sha256)
        if not path.exists() or path.read_bytes() != content:
            write_whole(path, content)
        return sha256

    def load(self, sha256: str, trusted: Sequence[str] = ()) -> Pipeline:
        """The model of that hash.

        Raises:
            ArtifactMissing, ArtifactCorrupt, ArtifactNotTrusted
        """
        path, content = self.path(sha256), self.verified_bytes(sha256)
        try:
            content = _with_present_names(content)
            _check_types(content, path.name, trusted)
            model = skops.io.loads(content, trusted=[*TRUSTED_TYPES, *trusted])
        except ArtifactNotTrusted:
            raise
        except Exception as error:  # whatever skops makes of other bytes; a pickle is never opened
            raise ArtifactCorrupt(
                f"{path}: is no model file ({type(error).__name__}: {error}); restore it, or train and promote another"
            ) from None
        if not isinstance(model, Pipeline):
            raise ArtifactCorrupt(
                f"{path}: holds a {type(model).__name__} where a Pipeline belongs; restore it, or train and promote "
                "another"
            )
        return model

    def verified_bytes(self, sha256: str) -> bytes:
        """The file's bytes, if they are those of its name; nothing of them is parsed.

        Raises:
            ArtifactMissing, ArtifactCorrupt
        """
        path = self.path(sha256)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise ArtifactMissing(
                f"{path}: there is no such model file; restore it from a backup, or train again: the same data gives "
                "the same file"
            ) from None
        except OSError as error:
            raise ArtifactMissing(
                f"{path}: the model file cannot be read ({error.strerror}); give this user the right to, or restore it "
                "from a backup"
            ) from None
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ArtifactCorrupt(
                f"{path}: the file's sha256 is {found[:12]}…, so it was changed; nothing was read of it. Restore it, "
                "or remove it and train again"
            )
        return content


def _check_types(content: bytes, name: str, trusted: Sequence[str]) -> None:
    allowed = {*TRUSTED_TYPES, *trusted}
    try:
        foreign = sorted(set(skops.io.get_untrusted_types(data=content)) - allowed)
    except UntrustedTypesFoundException as error:
        foreign = [str(error)]
    if foreign:
        raise ArtifactNotTrusted(
            f"{name}: holds types that are not on the list: {', '.join(foreign)}; look at them, and if they are "
            "sound, name them in config.meta.ml.trusted of the model's declaration"
        )


def canonical_bytes(model: Pipeline) -> bytes:
    """The model as skops, without what differs between two dumps of equal models."""
    source = zipfile.ZipFile(io.BytesIO(skops.io.dumps(model)))
    schema = json.loads(source.read("schema.json"))
    numbers: dict[int, int] = {}
    files: dict[str, str] = {}
    _renumber(schema, numbers, files)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for old, new in files.items():
            archive.writestr(zipfile.ZipInfo(new, _FIXED_DATE), source.read(old))
        archive.writestr(zipfile.ZipInfo("schema.json", _FIXED_DATE), json.dumps(schema, separators=(",", ":")))
    return target.getvalue()


def _with_present_names(content: bytes) -> bytes:
    """A file that names classes where they stood once, as it would be written now; any other as it is."""
    if not any(f'"{old}"'.encode() in content for old in _MOVED):  # nothing is compressed
        return content
    source = zipfile.ZipFile(io.BytesIO(content))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in source.namelist():
            part = source.read(name)
            if name == "schema.json":
                for old, new in _MOVED.items():
                    part = part.replace(f'"{old}"'.encode(), f'"{new}"'.encode())
            archive.writestr(zipfile.ZipInfo(name, _FIXED_DATE), part)
    return target.getvalue()


def _renumber(node: Any, numbers: dict[int, int], files: dict[str, str]) -> None:
    """Replaces ids and file names in place, by order of appearance.

    Equal texts and numbers may or may not be one object, so each gets a number of its own: sharing what cannot change
    means nothing.
    """
    if isinstance(node, list):
        for inner in node:
            _renumber(inner, numbers, files)
    elif isinstance(node, dict):
        if "__id__" in node:
            alone = node.get("is_json") is True
            key = -len(numbers) - 1 if alone else node["__id__"]
            node["__id__"] = numbers.setdefault(key, len(numbers) + 1)
        if isinstance(node.get("file"), str) and "__loader__" in node:
            name = node["file"]
            node["file"] = files.setdefault(name, f"{len(files) + 1}{Path(name).suffix}")
        if isinstance(node.get("n_threads"), dict):
            node["n_threads"]["content"] = "1"  # boosting notes how many processors the machine had; it changes no tree
        for inner in node.values():
            _renumber(inner, numbers, files)
