"""Episodes from a file of recorded tests to a file of their own: `opencwm data episodes`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opencwm.data.repositories.episodes import Episode, EpisodeConfig, episodes_of
from opencwm.data.repositories.sources import Sources
from opencwm.errors import ConfigError
from opencwm.trace.files import Row, read_traces, write_jsonl, write_parquet


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    num_episodes: int
    num_functions: int
    num_frames: int
    dropped: dict[str, int]
    """Calls that were chosen but cannot be episodes, by reason."""


def write_episodes(traces: Path, root: Path, output: Path, config: EpisodeConfig) -> Cut:
    """Cut the traces in a file, recorded of the files below `root`, and write the episodes to `output`."""
    sources = Sources.of_folder(root)
    if sources.is_empty:
        raise ConfigError(f"there is no Python file in {root}", fix="give --root the folder that was recorded")
    functions: set[tuple[str, int]] = set()
    num_frames, num_episodes = 0, 0
    dropped: Counter[str] = Counter()

    def counted() -> Iterator[Episode]:
        nonlocal num_frames, num_episodes
        for episode in episodes_of(lambda: read_traces(traces), sources, config, dropped=dropped):
            functions.add((episode.function.file, episode.function.line_no))
            num_frames += len(episode.trace.frames)
            num_episodes += 1
            yield episode

    if output.suffix == ".parquet":
        write_parquet(output, (Row.of(each.trace, source=origin(root.absolute().name, each)) for each in counted()))
    else:
        write_jsonl(output, (each.trace for each in counted()))
    return Cut(
        num_episodes=num_episodes,
        num_functions=len(functions),
        num_frames=num_frames,
        dropped=dict(sorted(dropped.items())),
    )


def origin(repository: str, episode: Episode) -> str:
    """The `source` column: where an episode is from."""
    return f"repository {repository} {episode.function.file}:{episode.function.qualname}"
