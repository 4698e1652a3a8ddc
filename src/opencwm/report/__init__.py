"""One self-contained HTML page about predicted and real executions: `write_report(path, ReportData(...))`."""

from opencwm.report.data import (
    AccuracyRow,
    AccuracyTable,
    FramePair,
    LossPoint,
    ProgramReport,
    ReportData,
    Step,
    program_report,
)
from opencwm.report.html import render_report, write_report

__all__ = [
    "AccuracyRow",
    "AccuracyTable",
    "FramePair",
    "LossPoint",
    "ProgramReport",
    "ReportData",
    "Step",
    "program_report",
    "render_report",
    "write_report",
]
