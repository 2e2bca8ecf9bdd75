"""One server a home: who serves it is written down and held, and what was started for it ends with it.

What belongs here: holding a home, starting the server's processes and ending all of them. What does not: what they
serve (`definitions.py`), Dagster's own databases (`running.py`).

The file `server.json` of a home says who serves it, since when and where; it is locked by that process for as long as
it lives, and by the server that it has started, so a file that was left behind by a kill says nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from ml_assets.errors import PerennialError

HOST = "127.0.0.1"
SERVER_FILE = "server.json"
# A server that was asked to end has so long for it; then its processes are ended one by one, and at last killed.
PATIENCE_SECONDS = 20.0
_LAST_WORD_SECONDS = 5.0
_LOOK_SECONDS = 0.2
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PARENT_DIED = 1  # PR_SET_PDEATHSIG of prctl(2)


@dataclass(frozen=True)
class Server:
    """Who serves a home, since when (UTC, as text), and on which port."""

    process: int
    since: str
    port: int


@contextmanager
def serving(home: Path, port: int, now: datetime) -> Iterator[int]:
    """Holds the home for this process; gives the open file, which a child may inherit to hold it as well.

    Raises:
        PerennialError: naming who serves the home already.
    """
    with (home / SERVER_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PerennialError(_held_by(home)) from None
        file.seek(0)
        file.truncate()
        file.write(json.dumps(asdict(Server(os.getpid(), f"{now:%Y-%m-%d %H:%M:%S} UTC", port))))
        file.flush()
        try:
            yield file.fileno()
        finally:
            file.truncate(0)


def refuse_second_daemon(dagster_home: Path) -> None:
    """Two daemons of one home would ask for everything twice; `up` starts its own.

    Raises:
        PerennialError: naming the process of a daemon that somebody has started otherwise.
    """
    for process in daemons_of(dagster_home):
        raise PerennialError(
            f"{dagster_home} has a Dagster daemon already, process {process}; perennial up starts its own, and two "
            f"would ask for everything twice. End that one first (kill {process})"
        )


def daemons_of(dagster_home: Path) -> list[int]:
    """The processes of this user that run a Dagster daemon for a home; none where `/proc` cannot tell."""
    wanted = b"DAGSTER_HOME=" + os.fsencode(dagster_home)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            is_daemon = any(Path(os.fsdecode(word)).name in ("dagster-daemon", "dagster._daemon") for word in words)
            if is_daemon and b"run" in words and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return sorted(found)


def check_port(port: int) -> None:
    """Raises PerennialError if somebody else listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PerennialError(
                f"port {port} of {HOST} cannot be had ({error.strerror}); end what listens there, or choose another: "
                f"perennial up --port {port + 1}"
            ) from None


def supervise(command: Sequence[str], folder: Path, environment: Mapping[str, str], held: int) -> int:
    """Runs a server until it ends or this process is told to end, and ends every process that it has started.

    Args:
        held: the open file of `serving`; the server holds the home as well, should this process be killed.

    Returns:
        What the server returned; 0 if this process was told to end.
    """
    told: list[int] = []
    # Handled signals are back to their defaults in a child; ignored ones, as under nohup, would not be.
    before = {number: signal.signal(number, lambda sent, _: told.append(sent)) for number in _ENDING}
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        pass_fds=(held,),
        start_new_session=True,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 no threads yet
    )
    try:
        while child.poll() is None and not told:
            time.sleep(_LOOK_SECONDS)
        if told and child.poll() is None:
            child.send_signal(signal.SIGINT)  # what Dagster ends its services on
            with suppress(subprocess.TimeoutExpired):
                child.wait(PATIENCE_SECONDS)
    finally:
        end_session(child.pid, child.poll)
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0 if told else int(child.returncode or 0)


def end_session(session: int, reap: Callable[[], object]) -> None:
    """Ends whatever is left of a session: first asked, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not processes_of(session):
            return
        for process in processes_of(session):
            with suppress(ProcessLookupError):
                os.kill(process, number)
        until = time.monotonic() + _LAST_WORD_SECONDS
        while processes_of(session) and time.monotonic() < until:
            reap()
            time.sleep(0.1)


def processes_of(session: int) -> list[int]:
    """The living processes of a session, that of its leader included; the leader's group where `/proc` cannot tell."""
    if not Path("/proc/self/stat").exists():
        with suppress(ProcessLookupError):
            os.killpg(session, 0)
            return [-session]
        return []
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, its_session, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(its_session) == session and state != "Z":
                found.append(int(folder.name))
    return sorted(found)


def _held_by(home: Path) -> str:
    try:
        server = Server(**json.loads((home / SERVER_FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return f"{home} is being served by another process; look at it in a moment, or end it first"
    return (
        f"{home} is served already: process {server.process}, since {server.since}, "
        f"http://{HOST}:{server.port}. One server a home: end that one first (kill {server.process}), or name another "
        "home with PERENNIAL_HOME"
    )


def _end_with_parent() -> None:
    """In the child: if this process is killed, the server is told to end as if by Ctrl-C."""
    import ctypes

    ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGINT)
