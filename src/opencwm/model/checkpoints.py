"""Checkpoints of three layouts behind one interface, read and written a tensor at a time.

    folder --open_checkpoint--> Checkpoint (config, names, shapes; tensors on demand) --write_hf / write_dcp--> folder

    hf      config.json, model.safetensors or shards with an index          Hugging Face, `weights.py`
    dcp     params.json, .metadata, *.distcp                                torch.distributed.checkpoint, native names
    state   config.json, state/: progress.json, .metadata, *.distcp         a run of `opencwm train`

Names here are those of the Hugging Face layout. `convert` checks all names and shapes before anything is written,
holds one tensor at a time, and gives the finished folder its name last.
"""

import json
import os
import pickle
import shutil
import struct
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from opencwm.errors import ConfigError, DataError
from opencwm.model import native, weights
from opencwm.model.config import ModelConfig
from opencwm.model.transformer import Transformer

Layout = Literal["hf", "dcp", "state"]
Shapes = dict[str, tuple[int, ...]]
PARAMS, DCP_INDEX = "params.json", ".metadata"
STATE, PREVIOUS_STATE, MANIFEST = "state", "state.prev", "progress.json"
"""Of a run: its last saved state, the one before, and the file in each that is written last."""
MODEL, OPTIMIZER = "model/", "optimizer/"
"""Before the names in a state: of weights, and of what an optimizer keeps (`optimizer/NAME/KEY`)."""
SHARD_BYTES = 5_000_000_000
"""Largest safetensors file, unless a single tensor is larger: Hugging Face's usual size."""
SAFETENSORS_NAMES = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32", torch.float64: "F64"}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "chat_template.jinja")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    folder: Path
    layout: Layout
    config: ModelConfig
    shapes: Shapes
    """Of every tensor, by its Hugging Face name."""
    dtypes: dict[str, torch.dtype]
    read: Callable[[str], Tensor]
    """The tensor of that name, on the CPU."""

    @property
    def num_parameters(self) -> int:
        return sum(torch.Size(shape).numel() for shape in self.shapes.values())


def open_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in `folder`, its names and shapes checked against its configuration. Raises ConfigError where the
    folder is none, DataError naming the first missing, surplus or misshapen tensor."""
    if (folder / DCP_INDEX).is_file():
        checkpoint = _open_dcp(folder)
    elif last_state(folder) is not None:
        checkpoint = _open_state(folder)
    elif (folder / "config.json").is_file():
        checkpoint = _open_hf(folder)
    else:
        raise ConfigError(
            f"{folder} holds no checkpoint",
            fix=f"give a folder with config.json, {PARAMS} and {DCP_INDEX}, or {STATE}/",
        )
    weights.check_names(folder, expected_shapes(checkpoint.config), checkpoint.shapes)
    return checkpoint


def convert(
    source: Path, target: Path, layout: Literal["hf", "dcp"], *, dtype: torch.dtype | None = None
) -> Checkpoint:
    """Write the checkpoint in `source` to the new folder `target`; `dtype` None keeps each tensor's. Returns what was
    read. The tokenizer's files go along as they are. Raises as `open_checkpoint`, and ConfigError where `target` is
    there already or its layout cannot hold the model; nothing is then left in `target`."""
    checkpoint = open_checkpoint(source)
    write = write_hf if layout == "hf" else write_dcp
    with whole_folder(target) as folder:
        write(checkpoint, folder, dtype)
        for name in TOKENIZER_FILES:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
    return checkpoint


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` that takes its name when all went well, and is removed otherwise."""
    if target.exists():
        raise ConfigError(f"{target} is there already", fix="give a new folder, or remove it first")
    if not target.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {target.parent}", fix="make it, or give another name")
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def expected_shapes(config: ModelConfig) -> Shapes:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in Transformer(config).state_dict().items()}


def write_hf(checkpoint: Checkpoint, folder: Path, dtype: torch.dtype | None) -> None:
    """config.json and safetensors files of at most SHARD_BYTES, with an index where there are several."""
    checkpoint.config.save(folder)
    kinds = {name: dtype or checkpoint.dtypes[name] for name in checkpoint.shapes}
    for name, kind in kinds.items():
        if kind not in SAFETENSORS_NAMES:
            raise DataError(f"{checkpoint.folder}: {name} is of type {kind}", fix="give --dtype bfloat16")
    sizes = {name: torch.Size(shape).numel() * kinds[name].itemsize for name, shape in checkpoint.shapes.items()}
    shards: list[list[str]] = [[]]
    for name in sorted(sizes):
        if shards[-1] and sum(sizes[other] for other in shards[-1]) + sizes[name] > SHARD_BYTES:
            shards.append([])
        shards[-1].append(name)
    files = [f"model-{n:05d}-of-{len(shards):05d}.safetensors" for n in range(1, len(shards) + 1)]
    if len(shards) == 1:
        files = [weights.WEIGHTS]
    for file, names in zip(files, shards, strict=True):
        _write_safetensors(checkpoint, folder / file, {name: kinds[name] for name in names}, sizes)
    if len(shards) > 1:
        index = {
            "metadata": {"total_size": sum(sizes.values())},
            "weight_map": {name: file for file, names in zip(files, shards, strict=True) for name in names},
        }
        (folder / weights.INDEX).write_text(json.dumps(index, indent=1) + "\n")


def _write_safetensors(
    checkpoint: Checkpoint, path: Path, kinds: dict[str, torch.dtype], sizes: dict[str, int]
) -> None:
    """The file's own layout (length of the header, header, tensors), since the library wants all tensors at once."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, kind in kinds.items():
        start, end = end, end + sizes[name]
        header[name] = {
            "dtype": SAFETENSORS_NAMES[kind],
            "shape": list(checkpoint.shapes[name]),
            "data_offsets": [start, end],
        }
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for name, kind in kinds.items():
            tensor = checkpoint.read(name).to(kind).contiguous()
            file.write(tensor.view(torch.uint8).flatten().numpy().data)


@contextmanager
def alone() -> Iterator[None]:
    """Distributed checkpoints in a single process, which is what is meant here, without being warned of it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*single process.*")
        yield


class _OnDemand(DefaultSavePlanner):
    """Plans with tensors that are only shapes, and reads each when its turn to be written comes."""

    def __init__(self, read: Callable[[str], Tensor]) -> None:
        super().__init__(flatten_state_dict=False)
        self._read = read

    def lookup_object(self, index: Any) -> Any:
        return self._read(index.fqn)


def write_dcp(checkpoint: Checkpoint, folder: Path, dtype: torch.dtype | None) -> None:
    """params.json and a distributed checkpoint with native names, as Meta distributes CWM."""
    params = native.to_params(checkpoint.config)  # first: it may refuse
    hf_names = {native.PREFIX + native.to_native_name(name): name for name in checkpoint.shapes}
    plan = {
        key: torch.empty(checkpoint.shapes[name], dtype=dtype or checkpoint.dtypes[name], device="meta")
        for key, name in hf_names.items()
    }

    def read(key: str) -> Tensor:
        name = hf_names[key]
        tensor = native.to_native_tensor(name, checkpoint.read(name), checkpoint.config)
        return tensor.to(plan[key].dtype).contiguous()

    writer = FileSystemWriter(folder, single_file_per_rank=True)
    with alone():
        save(plan, storage_writer=writer, planner=_OnDemand(read), no_dist=True)
    (folder / PARAMS).write_text(json.dumps({"model": params}, indent=2) + "\n")


def _open_hf(folder: Path) -> Checkpoint:
    config = weights.load_config(folder)
    where: dict[str, Path] = {}
    shapes: Shapes = {}
    dtypes: dict[str, torch.dtype] = {}
    kinds = {label: kind for kind, label in SAFETENSORS_NAMES.items()}
    for path in weights.weight_files(folder):
        with weights.opened(path) as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                piece = file.get_slice(name)
                if piece.get_dtype() not in kinds:
                    raise DataError(f"{path}: {name} is of type {piece.get_dtype()}", fix="convert unquantised weights")
                where[name], shapes[name] = path, tuple(piece.get_shape())
                dtypes[name] = kinds[piece.get_dtype()]

    def read(name: str) -> Tensor:
        with safe_open(where[name], framework="pt") as file:
            return file.get_tensor(name)  # type: ignore[no-any-return]

    return Checkpoint(folder=folder, layout="hf", config=config, shapes=shapes, dtypes=dtypes, read=read)


def _open_dcp(folder: Path) -> Checkpoint:
    try:
        params = json.loads((folder / PARAMS).read_text())["model"]
    except FileNotFoundError as exc:
        raise ConfigError(f"{folder} has no {PARAMS}", fix=f"put the {PARAMS} of the checkpoint beside it") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise ConfigError(f"{folder / PARAMS} does not describe a model", fix="copy it again") from exc
    entries = SafeReader(folder).tensors()
    keys: dict[str, str] = {}
    for key in entries:
        name = native.to_hf_name(key.removeprefix(native.PREFIX)) if key.startswith(native.PREFIX) else None
        if name is None:
            raise DataError(f"{folder} holds the unknown tensor {key}", fix="give a checkpoint of CWM's architecture")
        keys[name] = key
    shapes = {name: tuple(entries[key].size) for name, key in keys.items()}
    native_shapes = {keys[name].removeprefix(native.PREFIX): shape for name, shape in shapes.items()}
    config = native.from_params(params, native_shapes, where=str(folder / PARAMS))
    read = _reader(folder, keys, entries)
    return Checkpoint(
        folder=folder,
        layout="dcp",
        config=config,
        shapes=shapes,
        dtypes={name: entries[key].properties.dtype for name, key in keys.items()},
        read=lambda name: native.to_hf_tensor(name, read(name), config),
    )


def _reader(folder: Path, keys: dict[str, str], entries: dict[str, TensorStorageMetadata]) -> Callable[[str], Tensor]:
    """Reads one tensor of the distributed checkpoint in `folder`, by its name in `keys`."""

    def read(name: str) -> Tensor:
        entry = entries[keys[name]]
        tensor = torch.empty(entry.size, dtype=entry.properties.dtype)
        try:
            with alone():
                load({keys[name]: tensor}, storage_reader=SafeReader(folder), no_dist=True)
        except CheckpointException as exc:  # of its own kind, not an Exception
            cause = next(iter(exc.failures.values()))[0]
            raise DataError(f"{folder}: {keys[name]} cannot be read: {cause}", fix="copy the checkpoint again") from exc
        return tensor

    return read


class SafeReader(FileSystemReader):
    """Reads the index, which is a pickle, with nothing in it but what indexes are made of."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        path = Path(self.path) / DCP_INDEX
        try:
            with path.open("rb") as file:
                metadata: Metadata = _IndexUnpickler(file).load()
            return metadata
        except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, ValueError) as exc:
            raise DataError(f"{path} is not the index of a checkpoint: {exc}", fix="copy the checkpoint again") from exc

    def tensors(self) -> dict[str, TensorStorageMetadata]:
        """What the index says of every tensor."""
        entries = self.read_metadata().state_dict_metadata
        return {key: entry for key, entry in entries.items() if isinstance(entry, TensorStorageMetadata)}


class _IndexUnpickler(pickle.Unpickler):
    NAMES = frozenset(
        f"torch.distributed.checkpoint.metadata.{name}"
        for name in ("Metadata", "MetadataIndex", "StorageMeta", "TensorStorageMetadata", "BytesStorageMetadata",
                     "ChunkStorageMetadata", "TensorProperties", "_MEM_FORMAT_ENCODING")
    ) | {"torch.distributed.checkpoint.filesystem._StorageInfo", "torch.serialization._get_layout", "torch.Size",
         "collections.OrderedDict", "pathlib.PosixPath", "pathlib.PurePosixPath"}  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        is_dtype = module == "torch" and isinstance(getattr(torch, name, None), torch.dtype)
        if not is_dtype and f"{module}.{name}" not in self.NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _open_state(folder: Path) -> Checkpoint:
    """A run of `opencwm train`, at its last saved step."""
    path = folder / "config.json"
    try:
        kept = json.loads(path.read_text())
        config = ModelConfig.from_hf(
            {key.removeprefix("model."): value for key, value in kept.items() if key.startswith("model.")},
            where=str(path),
        )
    except (OSError, ValueError, AttributeError) as exc:
        raise ConfigError(f"{path} does not describe a run", fix="give the folder of a training run") from exc
    state = last_state(folder)
    assert state is not None, f"{folder} holds no state"
    entries = SafeReader(state).tensors()
    keys = {key.removeprefix(MODEL): key for key in entries if key.startswith(MODEL)}
    if any(".lora_A." in name for name in keys):
        raise ConfigError(f"{folder} trains adapters, not a whole model", fix=f"when it is done: {folder / 'model'}")
    return Checkpoint(
        folder=folder,
        layout="state",
        config=config,
        shapes={name: tuple(entries[key].size) for name, key in keys.items()},
        dtypes={name: entries[key].properties.dtype for name, key in keys.items()},
        read=_reader(state, keys, entries),
    )


def last_state(run: Path) -> Path | None:
    """The folder of a run's last whole state, None where there is none."""
    return next((run / name for name in (STATE, PREVIOUS_STATE) if (run / name / MANIFEST).is_file()), None)
