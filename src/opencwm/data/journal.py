"""Answers that cost something (a model's, a suite's), kept as they come: whoever is killed goes on after the last one.

    ask in portions --record, flushed--> FILE (one JSON line per answer) --again--> what is there is not asked for

The file belongs to one process at a time. Half a line, which a killed process leaves, is cut off.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from opencwm.errors import DataError

Item = TypeVar("Item")


class Journal:
    """Key -> answer (any JSON), on disk."""

    def __init__(self, path: Path) -> None:
        """Raises DataError where a whole line is no record."""
        self._path = path
        self.answers: dict[str, Any] = {}
        if path.exists():
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                os.truncate(path, len(whole))
            for number, line in enumerate(whole.splitlines(), 1):
                try:
                    key, answer = json.loads(line)
                except (ValueError, TypeError) as exc:
                    raise DataError(f"{path} line {number} is no record: {exc}", fix="delete the file") from exc
                self.answers[key] = answer

    def ask(
        self,
        items: Sequence[Item],
        key_of: Callable[[Item], str],
        answer: Callable[[Sequence[Item]], Sequence[Any]],
        *,
        portion: int,
    ) -> Iterator[int]:
        """Have `answer` answer what is not answered yet, so many items at a time, and record it. Yields how many of
        all items are answered."""
        missing = iter([item for item in items if key_of(item) not in self.answers])
        done = sum(key_of(item) in self.answers for item in items)
        while asked := list(islice(missing, portion)):
            told = [(key_of(item), each) for item, each in zip(asked, answer(asked), strict=True)]
            with self._path.open("a", encoding="utf-8", newline="\n") as file:
                file.write("".join(json.dumps([key, each]) + "\n" for key, each in told))
                file.flush()
                os.fsync(file.fileno())
            self.answers.update(told)
            done += len(asked)
            yield done

    def remove(self) -> None:
        """When all of it has gone into a file of its own."""
        self._path.unlink(missing_ok=True)
