"""Which code decides a fit, as one hash: the same code gives the same model from the same rows.

What belongs here: that hash. What does not: the fits (`training.py`).

What is hashed is what the code does, not how it is written down: the syntax trees of the sources, without comments,
docstrings and annotations, and without the places that names are imported from. A comment, a moved module or another
line length makes no candidate another.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
from functools import cache
from pathlib import Path

from ml_assets.declaration.model import SHIPPED_ESTIMATORS, ModelDeclaration

# The sources that decide what a fit of given rows and declaration comes to, by what they hold.
FITTING_SOURCES = {
    "baselines": "fitting/baselines.py",
    "decision_keys": "lake/decision_keys.py",
    "decision_rows": "lake/decision_rows.py",
    "encoders": "fitting/encoders.py",
    "estimators": "fitting/estimators.py",
    "metrics": "measuring/metrics.py",
    "splitting": "fitting/splitting.py",
    "training": "fitting/training.py",
}
_PACKAGE = Path(__file__).parent.parent


def code_version(declaration: ModelDeclaration) -> str:
    """sha256 over the sources that decide a fit, those of an estimator from elsewhere included."""
    digest = hashlib.sha256()
    for name, place in FITTING_SOURCES.items():
        digest.update(f"{name} {_source_hash(_PACKAGE / place)}\n".encode())
    for name in sorted(
        {declaration.estimator, *(baseline.estimator for baseline in declaration.baselines)} - set(SHIPPED_ESTIMATORS)
    ):
        source = inspect.getsourcefile(importlib.import_module(name.partition(":")[0]))
        digest.update(f"{name} {_source_hash(Path(source)) if source else ''}\n".encode())
    return digest.hexdigest()


def recipe_of(source: str) -> str:
    """What a source does, as text: equal for two sources that differ only in how they are written down.

    >>> recipe_of("def f(x: int): return x + 1  # one") == recipe_of("def f(x):\\n    return (x + 1)")
    True
    """
    return ast.dump(_Stripped().visit(ast.parse(source)), annotate_fields=False)


def _source_hash(path: Path) -> str:
    return _hash_as_of(path, path.stat().st_mtime_ns)


@cache
def _hash_as_of(path: Path, modified: int) -> str:  # noqa: ARG001 it tells when to look again
    return hashlib.sha256(recipe_of(path.read_text()).encode()).hexdigest()


class _Stripped(ast.NodeTransformer):
    """A tree without docstrings, annotations, and the modules that names come from."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return ast.ImportFrom(module=None, names=node.names, level=0)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        # A field of a dataclass without a value is still a field: its name is kept.
        return ast.Assign(targets=[node.target], value=node.value or ast.Constant(None))

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(arg=node.arg)

    def _without_docstring(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body = getattr(node, "body", [])
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _without_docstring  # noqa: N815
