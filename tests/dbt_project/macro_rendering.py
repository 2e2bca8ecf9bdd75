"""Renders this project's dbt macros without starting dbt.

Here: small stand-ins for the names that dbt puts in a macro's scope (`return`, `adapter`, `exceptions`, `execute`), enough for macros that only
write SQL. Not here: `ref`, `config` or anything that needs a manifest; what depends on those is tested by building the dbt project.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import jinja2.runtime

MACROS = Path(__file__).parents[2] / "dbt_project" / "macros"


class CompilerError(Exception):
    """What `exceptions.raise_compiler_error` raises: the message is the macro's own."""


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


def _return(value: Any) -> NoReturn:
    raise _Return(value)


def _raise_compiler_error(message: str) -> NoReturn:
    raise CompilerError(message)


class _DbtContext(jinja2.runtime.Context):
    """Lets a macro hand back any value through `return`, as dbt's own macros do."""

    def call(self, obj: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if obj is _return:
            return super().call(obj, *args, **kwargs)
        try:
            return super().call(obj, *args, **kwargs)
        except _Return as returned:
            return returned.value


@dataclass(frozen=True)
class Column:
    """The part of dbt's Column that macros read."""

    name: str


@dataclass(frozen=True)
class Relation:
    """A relation as `ref` yields it: it renders as its name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass
class Adapter:
    """Dispatches to `<target>__<macro>` or `default__<macro>`, and knows the columns it was told."""

    target: str = "duckdb"
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    macros: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def dispatch(self, name: str) -> Callable[..., Any]:
        return self.macros.get(f"{self.target}__{name}") or self.macros[f"default__{name}"]

    def get_columns_in_relation(self, relation: Relation) -> list[Column]:
        return [Column(name) for name in self.columns[relation.name]]


def load_macros(
    *paths: str,
    target: str = "duckdb",
    execute: bool = True,
    columns: Mapping[str, Sequence[str]] | None = None,
    known: Mapping[str, Any] | None = None,
) -> Mapping[str, Callable[..., Any]]:
    """The macros of the files (relative to `dbt_project/macros`) by name, each a function from its arguments to text or to what it returns.

    `columns` answers `adapter.get_columns_in_relation`, by relation name; `known` stands in for macros of other files. Raises `CompilerError` where a
    macro does.
    """
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], undefined=jinja2.StrictUndefined, autoescape=False)
    environment.context_class = _DbtContext
    adapter = Adapter(target=target, columns=columns or {})
    names = {"return": _return, "adapter": adapter, "exceptions": _Exceptions, "execute": execute, **(known or {})}
    source = "\n".join((MACROS / path).read_text(encoding="utf-8") for path in paths)
    module = environment.from_string(source, globals=names).make_module()
    macros = {name: value for name, value in vars(module).items() if isinstance(value, jinja2.runtime.Macro)}
    adapter.macros = macros
    return {name: _returning(macro) for name, macro in macros.items()}


class _Exceptions:
    raise_compiler_error = staticmethod(_raise_compiler_error)


def _returning(macro: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return macro(*args, **kwargs)
        except _Return as returned:
            return returned.value

    return call
