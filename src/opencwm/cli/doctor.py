"""`opencwm doctor`: what this machine can do and enforce, line by line."""

from typing import Annotated

import typer

from opencwm.cli.terminal import emit, out


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help='Print {"checks": [{"name", "ok", "detail"}]}.')] = False,
) -> None:
    """Say what this machine can do and enforce.

    Exit status 1 if something is missing that the main job needs. Try: opencwm doctor
    """
    from opencwm.sandbox.doctor import checks

    found = checks()
    if as_json:
        emit({"checks": [check.to_dict() for check in found]})
    else:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for check in found:
            mark = Text("ok", style="green") if check.ok else Text("no", style="red" if check.is_needed else "yellow")
            table.add_row(mark, Text(check.name), Text(check.detail, style="dim" if check.ok else ""))
        out().print(table)
    if any(check.is_needed and not check.ok for check in found):
        raise typer.Exit(1)
