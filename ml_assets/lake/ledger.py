"""What every run cost, asset by asset; and whether there is still some of the budget left.

What belongs here: the ledger's lines, adding them up, the budget. What does not: what is held back when it is used up
(`deciding/retraining.py`), dbt's own lines (it writes them itself, in the same shape: macros/publishing/costs.sql).

`lake/costs/<date>-<run>.jsonl` holds one JSON object a line; the date is that of the writing (UTC). Lines of one run
are appended by one process. A line that a kill has torn is passed over.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Literal

from ml_assets.lake.files import write_whole
from ml_assets.moments import moment_of, text_of

# A budget warns when so much of it is spent.
NEARLY = 0.8


@dataclass(frozen=True)
class Cost:
    """What one asset took in one run: seconds, rows written (or learned from), bytes written; None is not known."""

    run: str
    job: str
    asset: str
    outcome: Literal["success", "failure"]
    began_at: str
    wall_seconds: float | None
    cpu_seconds: float | None
    rows: int | None = None
    bytes: int | None = None

    @property
    def ended_at(self) -> datetime:
        """Of dbt's lines, all of which begin with their invocation: no later than the end."""
        return moment_of(self.began_at) + timedelta(seconds=self.wall_seconds or 0.0)


@dataclass
class Tally:
    """What the metered work says of itself."""

    rows: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Spending:
    """CPU seconds that all runs have spent within a span that ends now, and how many they may."""

    spent: float
    limit: float
    within: timedelta

    @property
    def text(self) -> str:
        """A sentence."""
        hours = self.within / timedelta(hours=1)
        return f"{self.spent:,.0f} of {self.limit:,.0f} CPU seconds have been spent within {hours:g} hours."

    @property
    def state(self) -> Literal["within", "nearly_used_up", "used_up"]:
        if self.spent >= self.limit:
            return "used_up"
        return "nearly_used_up" if self.spent >= NEARLY * self.limit else "within"


@dataclass(frozen=True)
class Total:
    """Costs added up over whatever `name` stands for (a run: its job and the first 8 characters of its id); `failures`
    of its `times` did not succeed.
    """

    name: str
    times: int
    failures: int
    cpu_seconds: float
    wall_seconds: float
    rows: int
    bytes: int


@dataclass(frozen=True)
class Ledger:
    """The ledger in `folder`."""

    folder: Path

    def record(self, cost: Cost, *, now: datetime) -> None:
        """Appends one line to the file of its run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{now:%Y-%m-%d}-{cost.run}.jsonl").open("a") as file:
            file.write(json.dumps(asdict(cost)) + "\n")

    @contextmanager
    def metered(self, run: str, job: str, asset: str) -> Iterator[Tally]:
        """Records what the work within took in this process, whether it succeeded or not."""
        tally, began, wall, cpu = Tally(), datetime.now(UTC), time.monotonic(), time.process_time()
        outcome: Literal["success", "failure"] = "failure"
        try:
            yield tally
            outcome = "success"
        finally:
            cost = Cost(
                run,
                job,
                asset,
                outcome,
                text_of(began),
                round(time.monotonic() - wall, 3),
                round(time.process_time() - cpu, 3),
                tally.rows,
                tally.bytes,
            )
            self.record(cost, now=datetime.now(UTC))

    def read(self, since: datetime | None = None) -> list[Cost]:
        """Every line that began at `since` or later, oldest first; files of earlier days are not opened.

        A run that began the day before and goes on is found all the same: its file has the date of the writing.
        """
        first = f"{since:%Y-%m-%d}" if since else ""
        found = _in_order(cost for file in self._files() if file.name[:10] >= first for cost in _lines(file))
        return [cost for cost in found if since is None or moment_of(cost.began_at) >= since]

    def newest_first(self) -> Iterator[list[Cost]]:
        """The lines of each day, the newest day first; a day is read when it is asked for."""
        for _, group in groupby(reversed(self._files()), key=lambda file: file.name[:10]):
            yield [cost for file in group for cost in _lines(file)]

    def spending(self, limit: float, within: timedelta, *, now: datetime) -> Spending:
        """What has been spent within the span that ends now."""
        return Spending(sum(cost.cpu_seconds or 0.0 for cost in self.read(now - within)), limit, within)

    def merge(self, before: date) -> int:
        """Puts the files of each earlier day into one; returns how many files that saved.

        The merged file stands before its parts go, and a reader counts a line that is in both once.
        """
        days = groupby(self._files(), key=lambda file: file.name[:10])
        saved = 0
        for day, group in days:
            parts = list(group)
            if day >= before.isoformat() or len(parts) < 2:
                continue
            whole = self.folder / f"{day}-merged.jsonl"
            costs = _in_order(cost for part in parts for cost in _lines(part))
            write_whole(whole, "".join(json.dumps(asdict(cost)) + "\n" for cost in costs).encode())
            for part in parts:
                if part != whole:
                    part.unlink()
            saved += len(parts) - 1
        return saved

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.jsonl"))


def totals(costs: Iterable[Cost], by: Literal["asset", "run", "job"]) -> list[Total]:
    """Costs added up, the dearest in CPU seconds first."""
    groups: dict[str, list[Cost]] = {}
    for cost in costs:
        groups.setdefault(getattr(cost, by), []).append(cost)
    answer = [
        Total(
            f"{lines[0].job} {name[:8]}" if by == "run" else name,
            len(lines),
            sum(line.outcome == "failure" for line in lines),
            sum(line.cpu_seconds or 0.0 for line in lines),
            sum(line.wall_seconds or 0.0 for line in lines),
            sum(line.rows or 0 for line in lines),
            sum(line.bytes or 0 for line in lines),
        )
        for name, lines in groups.items()
    ]
    return sorted(answer, key=lambda total: (-total.cpu_seconds, total.name))


def _in_order(costs: Iterable[Cost]) -> list[Cost]:
    """Each line once, oldest first."""
    return sorted(set(costs), key=lambda cost: (cost.began_at, cost.run, cost.asset))


def _lines(file: Path) -> Iterator[Cost]:
    for line in file.read_text().splitlines():
        try:
            yield Cost(**json.loads(line))
        except (ValueError, TypeError):
            continue
