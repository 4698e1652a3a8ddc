"""Many jobs for few children: batches, and who is to blame when a child is lost.

    jobs --size at a time--> child --an answer each, as far as it came--> answers | None

A child that ends early keeps the answers it gave. The first job without one is asked again, alone: only if it is lost
there, too, is it the one to blame. So nobody pays for what an earlier job left behind.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")


def in_batches(
    jobs: Iterable[Job], ask: Callable[[Sequence[Job]], Sequence[Answer]], *, size: int
) -> Iterator[Answer | None]:
    """One answer per job, in order; None for a job that loses its child when it is alone in it.

    `jobs` is read a batch at a time. `ask` starts a child for the jobs it is given and returns the answers that it
    gave, those of the first jobs.
    """
    source = iter(jobs)
    while batch := list(islice(source, size)):
        is_suspect = False
        while batch:
            tried = batch[:1] if is_suspect else batch
            answers = ask(tried)
            yield from answers
            if is_suspect and not answers:
                yield None
            batch = batch[1 if is_suspect else len(answers) :]
            is_suspect = not is_suspect and len(answers) < len(tried)
