"""Under which licence a repository's files say that they are.

    {path: bytes} --licence_of--> "MIT", "BSD License", "GPL", "other" (a text that is not known) ..., or ""

Looked for in `pyproject.toml`, in `setup.cfg`, then in the text of a licence file. Which licences are permissive is the
engine's business (`data/licences.py`).
"""

import configparser
import tomllib
from collections.abc import Mapping
from typing import Any

NAMES = ("license", "licence", "copying", "unlicense")
TEXTS = (
    ("GPL", "GENERAL PUBLIC LICENSE"),
    ("Apache", "Apache License"),
    ("MIT", "Permission is hereby granted, free of charge"),
    ("BSD", "Redistribution and use in source and binary forms"),
    ("ISC", "Permission to use, copy, modify, and/or distribute this software"),
    ("PSF", "PYTHON SOFTWARE FOUNDATION LICENSE"),
    ("Unlicense", "This is free and unencumbered software released into the public domain"),
)


def licence_of(files: Mapping[str, bytes]) -> str:
    """In the words of the files; "" where they do not say."""
    return _of_pyproject(_text(files, "pyproject.toml")) or _of_setup(_text(files, "setup.cfg")) or _of_text(files)


def _text(files: Mapping[str, bytes], name: str) -> str:
    return files.get(name, b"").decode(errors="replace")


def _of_pyproject(text: str) -> str:
    try:
        project: Any = tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError:
        return ""
    said = project.get("license", "") if isinstance(project, dict) else ""
    if isinstance(said, dict):
        said = said.get("text", "")
    if isinstance(said, str) and said:
        return said.strip().partition("\n")[0]
    classifiers = project.get("classifiers", []) if isinstance(project, dict) else []
    return next((each.rpartition(" :: ")[2] for each in classifiers if str(each).startswith("License ::")), "")


def _of_setup(text: str) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        return parser.get("metadata", "license", fallback="").strip().partition("\n")[0]
    except configparser.Error:
        return ""


def _of_text(files: Mapping[str, bytes]) -> str:
    names = [name for name in sorted(files) if "/" not in name and name.lower().startswith(NAMES)]
    for name in names:
        text = " ".join(_text(files, name).split()).lower()
        for licence, words in TEXTS:
            if words.lower() in text:
                return licence
    return "other" if names else ""
