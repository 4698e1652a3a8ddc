"""The card of a dataset: its README, written from the manifest alone."""

from collections.abc import Iterable, Mapping
from typing import Any

OWN = {"generated": "programs written by opencwm's own generator"}


def card(manifest: Mapping[str, Any]) -> str:
    """Markdown: what is in the dataset, where it is from, what was left out, and how to make it again."""
    versions = ", ".join(f"{name} {value}" for name, value in manifest["versions"].items())
    total = max(1, manifest["num_traces"])
    kept = [(name, f"{n:,}", f"{n / total:.1%}", OWN.get(name, "")) for name, n in manifest["kept"].items()]
    packages = [
        (each["package"], each["version"], each["licence"] or "not stated", f"{each['num_traces']:,}")
        for each in manifest["packages"]
    ]
    dropped = [(name, f"{count:,}") for name, count in manifest["dropped"].items()]
    return (
        "\n\n".join(
            [
                "# Traces of Python executions",
                f"{manifest['num_traces']:,} traces, {manifest['num_frames']:,} frames, about "
                f"{manifest['estimated_tokens']:,} tokens, in {len(manifest['shards']):,} Parquet shards. Each row is "
                "one execution, recorded twice in fresh processes with equal results. Made with "
                f"{versions}; `recipe.json` says from what, and `manifest.json` has the checksums.",
                "## Sources",
                _table(("source", "traces", "share", ""), kept),
                "## Packages",
                _table(("package", "version", "licence", "traces"), packages)
                if packages
                else "All programs were generated for this dataset.",
                "Each row names its package, version and licence; a package that states no licence was named by "
                "whoever made the dataset.",
                "## Left out",
                _table(("reason", "items"), dropped),
                f"{sum(manifest['contaminated'].values()):,} programs were left out because they are in one of the "
                f"{len(manifest['recipe']['benchmarks'])} benchmark files that the recipe names; the manifest says "
                "which. Items with a secret or somebody's e-mail address are left out, never rewritten.",
            ]
        )
        + "\n"
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
