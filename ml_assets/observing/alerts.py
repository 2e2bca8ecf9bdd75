"""One alert for one incident: opened once, told once, closed when it has passed.

What belongs here: the incidents' file and sending. What does not: what is an incident.

The file holds one JSON object a line, `opened` or `closed`; channels beyond it are apprise addresses (mail, chat and
some hundred others). A channel that cannot be reached loses no alert: the file has it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from ml_assets.moments import text_of

LOCK_SECONDS = 30
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Incident:
    """One line of the file; `key` tells incidents apart."""

    key: str
    state: str
    at: str
    title: str
    text: str


@dataclass(frozen=True)
class Alerts:
    """The incidents at `path`, told to the `channels` as well."""

    path: Path
    channels: tuple[str, ...] = ()

    def read(self) -> list[Incident]:
        """Every line, oldest first."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [Incident(**json.loads(line)) for line in lines]

    def open_incidents(self) -> dict[str, Incident]:
        """What has been opened and not closed, by key."""
        standing: dict[str, Incident] = {}
        for incident in self.read():
            if incident.state == "opened":
                standing[incident.key] = incident
            else:
                standing.pop(incident.key, None)
        return standing

    def open(self, key: str, title: str, text: str, *, now: datetime) -> bool:
        """Tells of an incident; False if it is open already, and nobody is told again."""
        return self._append(Incident(key, "opened", text_of(now), title, text))

    def close(self, key: str, text: str, *, now: datetime) -> bool:
        """Tells that an incident has passed; False if it was not open."""
        return self._append(Incident(key, "closed", text_of(now), "", text))

    def _append(self, incident: Incident) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock", timeout=LOCK_SECONDS):
            standing = self.open_incidents().get(incident.key)
            if (standing is not None) == (incident.state == "opened"):
                return False
            if standing is not None:
                incident = Incident(incident.key, incident.state, incident.at, f"Over: {standing.title}", incident.text)
            with self.path.open("a") as file:
                file.write(json.dumps(asdict(incident)) + "\n")
                file.flush()
                os.fsync(file.fileno())
        self._tell(incident, self.channels)
        return True

    @staticmethod
    def _tell(incident: Incident, channels: Sequence[str]) -> None:
        if not channels:
            return
        import apprise

        speaker = apprise.Apprise()
        unknown = [channel for channel in channels if not speaker.add(channel)]
        told = speaker.notify(title=incident.title, body=incident.text) if len(speaker) else not unknown
        if unknown or not told:
            log.warning("not every channel took the alert %s; it stands in the alerts' file", incident.title)
