"""Training state on disk: everything that a resumed run needs to go on as if nothing had happened.

RUN/state/           weights and optimizer states, a distributed checkpoint (DCP); `progress.json`, written last
RUN/state.prev/      the one before, kept until the next is whole
RUN/model/           the weights in Hugging Face layout, when the run is done

Many processes copy the state, then write it beside the training, each its own part; a process alone writes it before
it goes on. It gets its name when it is whole, can be resumed by any number of processes, and is read by `opencwm
weights convert`.
"""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_loader import load as read_tensors
from torch.distributed.checkpoint.state_dict_saver import async_save, save

from opencwm.data.pack import PackState
from opencwm.errors import DataError, WorldError
from opencwm.model.checkpoints import MANIFEST, MODEL, OPTIMIZER, PREVIOUS_STATE, STATE, SafeReader, alone, last_state
from opencwm.model.weights import check_names
from opencwm.train.parallel import ALONE, Processes

UNFINISHED = "state.tmp"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands."""

    step: int = 0
    """Optimizer steps done."""
    num_tokens: int = 0
    """Tokens read, padding included."""
    seconds: float = 0.0
    """Time spent training, over all sessions."""
    loader: PackState = field(default_factory=PackState)
    norms: tuple[float, ...] = ()
    """Of the gradients of the last steps that were made: what a spike is measured against."""
    num_skipped: int = 0
    """Steps that were not made."""


class Saver:
    """Writes the states of a run. A kill at any moment leaves the last whole one, or the one before."""

    def __init__(self, run: Path, processes: Processes = ALONE) -> None:
        self._run = run
        self._processes = processes
        self._publishing: Future[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)

    def save(self, model: nn.Module, optimizers: list[torch.optim.Optimizer], progress: Progress) -> None:
        """Copy the state and begin to write it, when the one before is whole. All processes call this together."""
        self.wait()
        if self._processes.is_first:
            shutil.rmtree(self._run / UNFINISHED, ignore_errors=True)
        tensors, writer = tensors_of(model, optimizers), FileSystemWriter(self._run / UNFINISHED)
        if self._processes.saving is None:
            with self._boundary(), alone():
                save(tensors, storage_writer=writer, no_dist=True)
                self._publish(progress)
            return
        dist.barrier(self._processes.saving)
        written = async_save(tensors, storage_writer=writer, process_group=self._processes.saving)
        assert isinstance(written, Future), type(written)
        self._publishing = self._thread.submit(lambda: self._publish(progress, after=written))

    def wait(self) -> None:
        """Until the last state that was begun is whole. Raises WorldError where it could not be written."""
        if self._publishing is None:
            return
        publishing, self._publishing = self._publishing, None
        with self._boundary():
            publishing.result()

    @contextmanager
    def _boundary(self) -> Iterator[None]:
        try:
            yield
        except (OSError, CheckpointException) as exc:
            raise WorldError(f"the state of {self._run} could not be written: {exc}", fix="look at the disk") from exc

    def _publish(self, progress: Progress, *, after: "Future[object] | None" = None) -> None:
        if after is not None:
            after.result()  # on the first process: all have written
        if not self._processes.is_first:
            return
        with (self._run / UNFINISHED / MANIFEST).open("w") as file:
            file.write(json.dumps(asdict(progress)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if (self._run / STATE).exists():
            shutil.rmtree(self._run / PREVIOUS_STATE, ignore_errors=True)
            os.replace(self._run / STATE, self._run / PREVIOUS_STATE)
        os.replace(self._run / UNFINISHED, self._run / STATE)


@contextmanager
def saver(run: Path, processes: Processes = ALONE) -> Iterator[Saver]:
    """A Saver whose last state is whole when the block is left, however it is left."""
    writing = Saver(run, processes)
    try:
        yield writing
    finally:
        writing.wait()


def tensors_of(model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """What is trained of the model and what the optimizers keep, by their names in a state."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    found = {MODEL + name: parameter.detach() for parameter, name in names.items() if parameter.requires_grad}
    for optimizer in optimizers:
        for parameter, kept in optimizer.state.items():
            found |= {f"{OPTIMIZER}{names[parameter]}/{key}": value for key, value in kept.items()}
    return found


def kept_by_optimizers(run: Path) -> Iterator[tuple[str, str, Tensor]]:
    """What the optimizers of the last state keep, one at a time: the parameter's name, the key, the whole tensor."""
    folder = last_state(run)
    assert folder is not None, f"{run} holds no state"
    for label, entry in SafeReader(folder).tensors().items():
        if label.startswith(OPTIMIZER):
            tensor = torch.empty(entry.size, dtype=entry.properties.dtype)
            with alone():
                read_tensors({label: tensor}, storage_reader=SafeReader(folder), no_dist=True)
            name, key = label.removeprefix(OPTIMIZER).rsplit("/", 1)
            yield name, key, tensor


def load(
    run: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer], processes: Processes = ALONE
) -> Progress | None:
    """Restore the last state of `run` into `model` and `optimizers`; None where there is nothing to restore. Raises
    DataError where a tensor is missing, surplus, misshapen or cannot be read."""
    folder = last_state(run)
    if folder is None:
        if (run / "state.pt").exists():
            raise DataError(f"{run} holds the state of an earlier version", fix="give another run folder")
        return None
    reader = SafeReader(folder)
    entries = reader.tensors()
    by_name = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    check_names(
        folder,
        {name: tuple(parameter.shape) for name, parameter in by_name.items()},
        {key.removeprefix(MODEL): tuple(entry.size) for key, entry in entries.items() if key.startswith(MODEL)},
    )
    owners = {p: optimizer for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
    for key, entry in entries.items():
        if key.startswith(OPTIMIZER):
            name, kept = key.removeprefix(OPTIMIZER).rsplit("/", 1)
            parameter, dtype = by_name[name], entry.properties.dtype
            is_alike = parameter.shape == entry.size
            value = torch.zeros_like(parameter, dtype=dtype) if is_alike else torch.zeros(entry.size, dtype=dtype)
            owners[parameter].state[parameter][kept] = value.detach()
    try:
        with alone():
            read_tensors(
                tensors_of(model, optimizers),
                storage_reader=reader,
                process_group=processes.saving,
                no_dist=processes.saving is None,
            )
        progress = json.loads((folder / MANIFEST).read_text())
    except (CheckpointException, OSError, ValueError) as exc:
        other = run / (PREVIOUS_STATE if folder.name == STATE else STATE)
        raise DataError(f"{folder} is not a whole training state", fix=f"move it away to go on from {other}") from exc
    loader = progress.pop("loader")
    norms = tuple(progress.pop("norms"))
    return Progress(**progress, norms=norms, loader=PackState.from_dict(loader))
