"""Whether the registry's database can be asked, found out before MLflow is, which would wait and try again for minutes.

What belongs here: the signs that a database is gone, broken or locked, and the sentence about each. What does not: what
is in it (`registry.py`).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from filelock import Timeout

from ml_assets.errors import RegistryUnreachable

# A write of another process takes a fraction of a second; a lock that is held for longer is nobody's work any more.
PATIENCE_SECONDS = 20.0
# What MLflow makes of an error of the database, as opposed to an answer such as "there is no such version".
_DATABASE_CODES = ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "BAD_REQUEST")


def check_database(path: Path, lived: Path | None, *, whole: bool = True) -> None:
    """Passes if the database answers, or if there is none and there never was.

    Args:
        whole: also read every page of it, which takes as long as the database is large.
        lived: something that exists only if this registry has been in use; a database that is gone or empty beside it
            has been lost.

    Raises:
        RegistryUnreachable: naming what is wrong and the remedy.
    """
    if not path.exists():
        if lived is not None:
            raise RegistryUnreachable(path, "is gone", _lost(lived))
        return
    address = f"{path.absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE_SECONDS)) as base:
            found = base.execute("select count(*) from sqlite_master where name = 'registered_models'").fetchone()[0]
            damage = base.execute("pragma quick_check(1)").fetchone()[0] if whole else "ok"
    except sqlite3.Error as error:
        raise unreachable(path, error) from None
    if damage != "ok":
        raise RegistryUnreachable(path, f"is damaged ({' '.join(str(damage).split())})", _RESTORE)
    if not found and lived is not None:
        raise RegistryUnreachable(path, "is empty", _lost(lived))


def is_of_the_database(error: BaseException) -> bool:
    """Whether an error means that the registry could not be asked, as opposed to an answer of it."""
    if isinstance(error, sqlite3.Error | Timeout):
        return True
    module = type(error).__module__.partition(".")[0]
    return module == "sqlalchemy" or (module == "mlflow" and getattr(error, "error_code", None) in _DATABASE_CODES)


def unreachable(path: Path, error: BaseException) -> RegistryUnreachable:
    """The error in our words."""
    text = _innermost(error)
    if isinstance(error, Timeout):
        return RegistryUnreachable(
            Path(error.lock_file),
            "has been held by another process for too long",
            "find the process that holds it (fuser names it) and end it if it hangs",
        )
    if "locked" in text:
        return RegistryUnreachable(
            path,
            f"is locked by another process ({text})",
            "find the process that holds it (fuser names it) and end it if it hangs",
        )
    if "readonly" in text or "unable to open" in text or "Permission" in text:
        return RegistryUnreachable(
            path, f"cannot be opened for reading and writing ({text})", "give this user the right to"
        )
    return RegistryUnreachable(path, f"is no sound database ({text})", _RESTORE)


_ANEW = "to begin anew without its history, move the registry's folder and the decision log aside"
_RESTORE = f"restore it from a backup; {_ANEW}"


def _lost(lived: Path) -> str:
    return f"{lived} tells that it has been in use, and an empty one would forget all versions: {_RESTORE}"


def _innermost(error: BaseException) -> str:
    inner: Any = error
    while (deeper := getattr(inner, "orig", None) or inner.__cause__) is not None and deeper is not inner:
        inner = deeper
    return str(inner).strip().splitlines()[0] if str(inner).strip() else type(inner).__name__
