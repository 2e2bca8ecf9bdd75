"""The command that serves the Dagster UI."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from dagster_defs.commands.app import app, console, settings_of_home
from dagster_defs.settings import PROJECT_ROOT


@app.command()
def up(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 3000) -> None:
    """Serve the Dagster UI on localhost with sensors on, until Ctrl-C; one server a home."""
    from datetime import UTC, datetime

    from dagster_defs.serving import HOST, check_port, refuse_second_daemon, serving, supervise

    settings = settings_of_home()
    with serving(settings.home, port, datetime.now(UTC)) as held:
        check_port(port)
        refuse_second_daemon(settings.dagster_home)
        from dagster_defs.running import prepare_dagster_home  # Dagster's import takes seconds: not before a refusal

        prepare_dagster_home(settings)
        dagster = str(Path(sys.executable).parent / "dagster")
        console.print(f"Dagster UI: [bold]http://{HOST}:{port}[/]  (Ctrl-C ends it)")
        sys.stdout.flush()
        command = [dagster, "dev", "-w", "workspace.yaml", "-h", HOST, "-p", str(port)]
        raise typer.Exit(supervise(command, PROJECT_ROOT, os.environ, held))
