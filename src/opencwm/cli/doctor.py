"""`opencwm doctor`: what this machine can do and enforce, line by line."""

from typing import TYPE_CHECKING, Annotated

import typer

from opencwm.cli.terminal import emit, out

if TYPE_CHECKING:
    from opencwm.sandbox.doctor import Check


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help='Print {"checks": [{"name", "ok", "detail"}]}.')] = False,
) -> None:
    """Say what this machine can do and enforce.

    Exit status 1 if something is missing that the main job needs. Try: opencwm doctor
    """
    from opencwm.sandbox.doctor import checks

    found = [*checks(), native_recorder()]
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


def native_recorder() -> "Check":
    """Whether recording is done by the native engine; it is built now if it was not yet."""
    from opencwm.sandbox.doctor import Check
    from opencwm.trace.recording import native

    try:
        return Check(name="native recorder", ok=True, detail=native.build())
    except native.NotBuilt as exc:
        return Check(name="native recorder", ok=False, detail=f"{exc}; the reference engine records, more slowly")
