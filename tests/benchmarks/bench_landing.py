"""From landing to prediction with the server really running: seconds until one more day of flights is answered, as a ratio to the limit of 30.

The home holds 45 days of flights and serves the models of a quick training; what is measured does not depend on how good they are.
"""

from __future__ import annotations

import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from ml_assets.feeds.nycflights13 import land
from ml_assets.moments import last_moment
from tests.end_to_end.conftest import EASY_GATES
from tests.end_to_end.real_homes import RealHome, copy_project
from tests.end_to_end.test_server import is_quiet, server
from tests.faults import killing

LIMIT = 30.0
LONGEST = 240.0
MODEL = "late_arrival"
ROUNDS = 3


def answered(home: RealHome) -> int:
    return home.predictions(MODEL).num_rows


def timeline(home: RealHome, landed: float) -> str:
    """When the newest run was asked for, began, and ended each step, in seconds after the landing."""
    instance = killing.instance_at(home.path / "dagster")
    record = instance.get_run_records(limit=1)[0]
    begun, ended = killing.steps(home, record.dagster_run.run_id)
    moments = {"asked for": record.create_timestamp.timestamp(), "process began": record.start_time or 0.0}
    moments |= {f"{step} done": moment for step, moment in ended.items() if "__" not in step or "predictions" in step}
    moments["first step"] = min(begun.values())
    return ", ".join(
        f"{name} {moment - landed:.1f}" for name, moment in sorted(moments.items(), key=lambda one: one[1])
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = RealHome(Path(folder) / "home", copy_project(Path(folder) / "dbt_project", EASY_GATES))
        home.land("2013-02-14")
        home.run()
        moment: datetime = last_moment("2013-02-14")
        with server(home):
            time.sleep(20)  # until the daemon has looked once
            for _ in range(ROUNDS):
                moment += timedelta(days=1)
                before, began = answered(home), time.time()
                land(home.settings.landing, moment)
                while answered(home) == before:
                    if time.time() - began > LONGEST:
                        raise SystemExit(f"no prediction within {LONGEST:.0f} s")
                    time.sleep(0.25)
                took = time.time() - began
                while not is_quiet(home):
                    time.sleep(1)
                print(f"one day of flights: {took:5.1f} s from landing to prediction, {took / LIMIT:4.2f} of the limit")
                print(f"  {timeline(home, began)}")
                time.sleep(5)


if __name__ == "__main__":
    main()
