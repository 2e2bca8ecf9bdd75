"""One server a home, and nothing of it is left when it ends: tried with real processes that are loath to go."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dagster_defs import serving
from dagster_defs.settings import PROJECT_ROOT
from ml_assets.errors import PerennialError

NOW = datetime(2013, 5, 1, 12, tzinfo=UTC)
# A server like Dagster's: it starts children, one of which starts another and dies, and one that does not listen.
STUBBORN = """
import os, signal, subprocess, sys, time
from pathlib import Path
begun = Path(sys.argv[1])
wait = [sys.executable, "-c", "import time; time.sleep(300)"]
deaf = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"]
orphan = [sys.executable, "-c", f"import subprocess; subprocess.Popen({wait!r})"]
for command in (wait, deaf, orphan):
    subprocess.Popen(command)
time.sleep(0.5)
begun.write_text(str(os.getpid()))
time.sleep(300)
"""
SERVE = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from dagster_defs import serving
serving.PATIENCE_SECONDS = serving._LAST_WORD_SECONDS = 1.0
home = Path(sys.argv[1])
with serving.serving(home, 3000, datetime.now(UTC)) as held:
    sys.exit(serving.supervise([sys.executable, "-c", sys.argv[2], str(home / "begun")], home, os.environ, held))
"""


@contextmanager
def stubborn_server(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that serves, and the session of what it has started."""
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(home), STUBBORN], cwd=PROJECT_ROOT)
    session = 0
    try:
        assert soon(lambda: (home / "begun").exists() and (home / "begun").read_text() != "", 60)
        session = int((home / "begun").read_text())
        yield process, session
    finally:
        process.kill()
        process.wait()
        for left in serving.processes_of(session) if session else ():
            os.kill(left, signal.SIGKILL)


def soon(is_so: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.05)
    return is_so()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((serving.HOST, 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_server_that_is_told_to_end_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    with stubborn_server(tmp_path) as (process, session):
        assert len(serving.processes_of(session)) == 4

        process.send_signal(number)

        assert process.wait(timeout=30) == 0
        assert serving.processes_of(session) == []


def test_a_home_that_is_served_is_not_served_again(tmp_path: Path) -> None:
    with stubborn_server(tmp_path) as (process, _):
        told = json.loads((tmp_path / serving.SERVER_FILE).read_text())
        with pytest.raises(PerennialError) as refused, serving.serving(tmp_path, 3001, NOW):
            pytest.fail("served twice")

    assert f"process {process.pid}, since {told['since']}" in str(refused.value)
    assert "http://127.0.0.1:3000" in str(refused.value)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_server_whose_starter_was_killed_ends_and_then_the_home_is_free(tmp_path: Path) -> None:
    with stubborn_server(tmp_path) as (process, session):
        process.kill()
        process.wait()

        assert soon(lambda: session not in serving.processes_of(session), 20)
        assert soon(lambda: is_free(tmp_path), 20)


def test_a_home_is_free_again_after_its_server_ended(tmp_path: Path) -> None:
    with serving.serving(tmp_path, 3000, NOW):
        assert not is_free(tmp_path)

    assert is_free(tmp_path)


def is_free(home: Path) -> bool:
    try:
        with serving.serving(home, 3000, NOW):
            return True
    except PerennialError:
        return False


def test_a_port_that_is_taken_is_said_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind((serving.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(PerennialError, match=f"port {port} .* --port {port + 1}"):
            serving.check_port(port)


def test_a_free_port_passes() -> None:
    serving.check_port(free_port())


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="told from /proc")
def test_a_daemon_that_somebody_else_started_for_the_home_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "dagster-daemon"
    program.write_text("import time; time.sleep(300)")
    of_this_home = {**os.environ, "DAGSTER_HOME": str(tmp_path / "dagster")}
    daemon = subprocess.Popen([sys.executable, str(program), "run"], env=of_this_home)
    try:
        assert soon(lambda: serving.daemons_of(tmp_path / "dagster") == [daemon.pid], 20)
        with pytest.raises(PerennialError, match=f"process {daemon.pid}"):
            serving.refuse_second_daemon(tmp_path / "dagster")
        serving.refuse_second_daemon(tmp_path / "other")
    finally:
        daemon.kill()
        daemon.wait()
