"""The shape of `config.meta.ml` and `config.meta.service`: which keys there are, of which type, and what each is when
it is left out.

What belongs here: what can be checked from the block alone, and the words for what is wrong with it. What does not:
whatever needs the training set's columns or an estimator (`reader.py`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from ml_assets.moments import NO_SPAN, moment_of, parse_duration

Task = Literal["binary_classification", "regression"]

SHORTEST_LEVEL = timedelta(minutes=1)
_QUOTED = re.compile(r"'([^']+)'")
_TYPE_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_WINDOWS = re.compile(r"\s*(\d+)\s+of\s+(\d+)\s*")
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


@dataclass(frozen=True)
class Windows:
    """A signal needs `needed` bad windows among the newest `of`: a single bad one is no reason yet."""

    needed: int
    of: int


@dataclass(frozen=True)
class Tolerance:
    """How much worse is still borne: `amount` in the declared metric, or a share of the figure compared with."""

    amount: float
    is_share: bool = False

    def beside(self, reference: float) -> float:
        """The tolerance in the declared metric beside a reference whose figure this is."""
        return self.amount * abs(reference) if self.is_share else self.amount

    def __str__(self) -> str:
        return f"{100 * self.amount:g} %" if self.is_share else f"{self.amount:g}"


def _duration(found: object) -> timedelta:
    if isinstance(found, timedelta):
        return found
    if not isinstance(found, str):
        raise ValueError(NO_SPAN)
    return parse_duration(found)


def _level(found: object) -> timedelta:
    span = _duration(found)
    if span < SHORTEST_LEVEL:
        raise ValueError("less than a minute: lateness is looked for twice a minute; give '1 minute' or more")
    return span


def _moment(found: object) -> datetime:
    if isinstance(found, datetime):
        return found
    try:
        return moment_of(str(found))
    except ValueError:
        raise ValueError("not a date such as 2013-04-01") from None


def _windows(found: object) -> Windows:
    if isinstance(found, Windows):
        return found
    parts = _WINDOWS.fullmatch(found) if isinstance(found, str) else None
    if not parts or not 1 <= int(parts[1]) <= int(parts[2]):
        raise ValueError("not a count of windows such as '2 of 5'")
    return Windows(int(parts[1]), int(parts[2]))


def _tolerance(found: object) -> Tolerance:
    if isinstance(found, Tolerance):
        return found
    parts = _PERCENT.fullmatch(found) if isinstance(found, str) else None
    if parts:
        return Tolerance(float(parts[1]) / 100, is_share=True)
    if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < float("inf"):
        return Tolerance(float(found))
    raise ValueError("neither an amount in the declared metric, such as 0.002, nor a share such as '1 %'")


def _type_name(found: object) -> str:
    if not isinstance(found, str) or not _TYPE_NAME.fullmatch(found):
        raise ValueError("not the full name of a type such as package.module.Type")
    return found


@dataclass(frozen=True)
class Owner:
    """Who answers for it."""

    name: str
    email: str


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Level = Annotated[timedelta, BeforeValidator(_level)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
TypeName = Annotated[str, BeforeValidator(_type_name)]
WindowCount = Annotated[Windows, BeforeValidator(_windows)]
Borne = Annotated[Tolerance, BeforeValidator(_tolerance)]
Confidence = Annotated[float, Field(ge=0.5, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


_Kind = TypeVar("_Kind", bound=_Block)


class FeatureChoice(_Block):
    """Which of the training set's feature columns the model sees; all, if nothing is said."""

    include: tuple[str, ...] | None = Field(default=None, strict=False)
    exclude: tuple[str, ...] = Field(default=(), strict=False)


class Baseline(_Block):
    """Something simple to be better than."""

    name: str | None = None
    estimator: str
    params: dict[str, Any] = {}


class Evaluation(_Block):
    """How a candidate is judged: by which metric, on how long a window, on which slices, beside which baselines."""

    metric: str
    window: Duration = timedelta(days=28)
    backtest_from: Moment | None = None
    slices: tuple[str, ...] = Field(default=(), strict=False)
    baselines: tuple[Baseline, ...] | None = Field(default=None, strict=False)


class Gates(_Block):
    """What a candidate must pass to become champion.

    `margin`: a loss against the champion that is borne for fresher labels, in the declared metric or as a share of the
    champion's figure; only `not_worse` asks for it. `confidence`: of every interval. `shadow`: for so long it answers
    beside the champion before it may win (data time).
    """

    beats_baselines: bool | Literal["significantly"] = True
    against_champion: Literal["not_worse", "better", "none"] = "not_worse"
    margin: Borne = Tolerance(0.01, is_share=True)
    confidence: Confidence = 0.9
    max_calibration_error: Fraction | None = None
    max_slice_regression: NotNegative | None = None
    max_latency_milliseconds: Positive | None = None
    max_refit_regression: NotNegative = 0.1
    shadow: Duration | None = None
    min_rows: Annotated[int, Field(ge=1)] = 500
    min_slice_rows: Annotated[int, Field(ge=1)] = 200


class Drift(_Block):
    """Drift that matters: weighted by what the model uses, confirmed over windows; of predictions, if limited."""

    weighted_by: Literal["importance", "none"] = "importance"
    population_stability: Positive = 0.25
    predictions: Positive | None = None
    windows: WindowCount = Windows(2, 5)


class Performance(_Block):
    """How much worse than promised is too much, in the declared metric; and how far from calibrated."""

    worse_by: Positive
    max_calibration_error: Positive | None = None
    windows: WindowCount = Windows(2, 5)


class Budget(_Block):
    """What trainings may cost within a span of data time."""

    cpu_seconds: Positive
    within: Duration = timedelta(days=7)


class Watch(_Block):
    """How long a new champion is watched beside its predecessor, and what takes it back.

    It is taken back if it is worse by more than `worse_by` (in the declared metric, or as a share of the predecessor's
    figure), as surely as `confidence` says for all looks of its life together. Only complete days of decisions count;
    before there are `least_days` of them, and `min_rows` decisions, nothing is concluded.
    """

    span: Duration = timedelta(days=28)
    worse_by: Borne = Tolerance(0.005, is_share=True)
    confidence: Confidence = 0.99
    least_days: Annotated[int, Field(ge=7)] = 7
    min_rows: Annotated[int, Field(ge=1)] = 1000


class Retraining(_Block):
    """When a new candidate is worth its cost.

    `cooldown`: between two trainings at least so long must pass. Where none is declared, `DEFAULT_BACKOFF` must pass
    after a candidate that did not become champion.
    """

    max_label_age: Duration | None = None
    drift: Drift | None = None
    performance: Performance | None = None
    cooldown: Duration | None = None
    budget: Budget | None = None
    watch: Watch | None = Watch()


class Service(_Block):
    """What the users of the predictions were promised, by the wall clock.

    `predictions_due`: what lands is answered within so long, counted from the first file that landed until the
    predictions of the run that read it stand (`observing/predictions_due.py`). `late_after`: made anew at least so
    often, whether or not anything lands. `max_missing`: a row that misses more than this of what the model relies on is
    answered by the fallback.
    """

    predictions_due: Duration | None = None
    late_after: Level | None = None
    fallback: Literal["baseline", "none"] = "baseline"
    max_missing: Annotated[float, Field(gt=0, lt=1)] | None = None


class TableService(_Block):
    """What the readers of a table were promised: it is made anew at least so often, by the wall clock."""

    late_after: Level


class DomainBlock(_Block):
    """All of `config.meta.domain` of a domain's group: its cadence.

    `window`: what monitoring compares, one after the other. Of a window with fewer outcomes or decisions than the least
    nothing is concluded. `complete_share`: a day is judged once the outcomes of this share of its decisions are known.
    `late_after`: the domain's tables are made anew at least so often, by the wall clock, unless one says otherwise
    itself.
    """

    window: Literal["day", "week", "month", "year"] = "week"
    least_outcomes: Annotated[int, Field(ge=1)] = 100
    least_decisions: Annotated[int, Field(ge=1)] = 500
    complete_share: Annotated[float, Field(gt=0, le=1)] = 0.99
    late_after: Level | None = None


class MlBlock(_Block):
    """All of `config.meta.ml`.

    `trusted`: full names of types from elsewhere that the model's files may hold, as `package.module.Type`; those of
    the shipped estimators, of scikit-learn, LightGBM and XGBoost need no naming.
    """

    task: Task
    label: str
    estimator: str
    params: dict[str, Any] = {}
    trusted: Annotated[tuple[TypeName, ...], Field(strict=False)] = ()
    features: FeatureChoice = FeatureChoice()
    evaluation: Evaluation
    gates: Gates = Gates()
    retraining: Retraining = Retraining()
    service: Service = Service()


def parse_block(found: object) -> tuple[MlBlock | None, list[tuple[str, str]]]:
    """The block, or None and what is wrong with it as (dotted place below `config.meta.ml`, words)."""
    return _parse(MlBlock, found)


def parse_table_service(found: object) -> tuple[TableService | None, list[tuple[str, str]]]:
    """The block, or None and what is wrong with it as (dotted place below `config.meta.service`, words)."""
    return _parse(TableService, found)


def parse_domain(found: object) -> tuple[DomainBlock | None, list[tuple[str, str]]]:
    """The block, or None and what is wrong with it as (dotted place below `config.meta.domain`, words)."""
    return _parse(DomainBlock, found)


Block = _Block
"""For whoever has a block of their own, such as the options of a feed: no unknown key, no silent conversion."""


def parse_options(kind: type[_Kind], found: object) -> tuple[_Kind | None, list[tuple[str, str]]]:
    """The block of that kind, or None and what is wrong with it as (dotted place, words)."""
    return _parse(kind, found)


def _parse(kind: type[_Kind], found: object) -> tuple[_Kind | None, list[tuple[str, str]]]:
    if not isinstance(found, Mapping):
        return None, [("", f"found {found!r}, which is no mapping; it takes {', '.join(kind.model_fields)}")]
    try:
        return kind.model_validate(dict(found)), []
    except ValidationError as error:
        return None, [_in_words(detail, kind) for detail in error.errors()]


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """'; did you mean x?' if something known is close, else ''."""
    close = difflib.get_close_matches(found, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _in_words(detail: ErrorDetails, kind: type[BaseModel]) -> tuple[str, str]:
    location = [
        part
        for part in detail["loc"]
        if not (isinstance(part, str) and (part.startswith("literal[") or part in ("bool", "float", "int")))
    ]
    place = ".".join(str(part) for part in location)
    found = detail["input"]
    if detail["type"] == "extra_forbidden":
        known = _keys_at(kind, location[:-1])
        return place, f"is no key of this block{did_you_mean(str(location[-1]), known)} It takes: {', '.join(known)}"
    if detail["type"] == "missing":
        return place, "is missing; add it"
    if detail["type"] == "value_error":
        return place, f"found {found!r}, {detail['ctx']['error']}"  # type: ignore[typeddict-item]
    if detail["type"] == "literal_error":
        expected = str(detail["ctx"]["expected"])  # type: ignore[typeddict-item]
        close = did_you_mean(str(found), _QUOTED.findall(expected))
        return place, f"found {found!r}; use one of {expected}{close}"
    return place, f"found {found!r} ({type(found).__name__}); {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _keys_at(kind: type[BaseModel], location: list[Any]) -> list[str]:
    block: Any = kind
    for part in location:
        if isinstance(part, int):
            continue
        annotation = block.model_fields[part].annotation
        block = next(kind for kind in _kinds_in(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel))
    return list(block.model_fields)


def _kinds_in(annotation: Any) -> list[Any]:
    inner = getattr(annotation, "__args__", ())
    return [annotation] if not inner else [kind for part in inner for kind in _kinds_in(part)]
