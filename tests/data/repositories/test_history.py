"""Trees and earlier commits of git repositories that the tests make."""

import random

import pytest

from opencwm.data.licences import is_permissive
from opencwm.data.repositories import history
from opencwm.data.repositories.licence import licence_of
from opencwm.errors import DataError


@pytest.fixture
def repository(tmp_path, git):
    folder = tmp_path / "it"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    commits = []
    for number in range(4):
        (folder / "sub" / "a.py").write_bytes(b"x = %d\r\n" % number)
        (folder / "caf\u00e9 b.txt").write_bytes(b"\0" * number)
        if number == 2:
            (folder / "link").symlink_to("/etc/passwd")
            (folder / ".gitattributes").write_text("sub export-ignore\n")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", str(number))
        commits.append(git(folder, "rev-parse", "HEAD"))
    return folder, commits


def test_trees_are_those_of_their_commits_byte_for_byte(repository):
    folder, commits = repository
    (folder / "sub" / "a.py").write_text("changed since")
    assert history.head(folder) == commits[3]
    assert history.files_at(folder, commits[0]) == {"sub/a.py": b"x = 0\r\n", "caf\u00e9 b.txt": b""}
    assert history.files_at(folder, commits[2]) == {
        "sub/a.py": b"x = 2\r\n", "caf\u00e9 b.txt": b"\0\0", ".gitattributes": b"sub export-ignore\n",
    }  # fmt: skip
    assert (folder / "sub" / "a.py").read_text() == "changed since"


def test_earlier_commits_are_drawn_at_random_from_those_before(repository):
    folder, commits = repository
    drawn = {seed: history.earlier(folder, commits[3], 40, random.Random(seed)) for seed in range(8)}
    assert all(sorted(each) == sorted(commits[:3]) for each in drawn.values())
    assert len({tuple(each) for each in drawn.values()}) > 1
    assert len(history.earlier(folder, commits[3], 2, random.Random(0))) == 2
    assert history.earlier(folder, commits[0], 40, random.Random(0)) == []
    assert history.earlier(folder, commits[3], 0, random.Random(0)) == []


def test_bare_repositories_and_plain_folders_are_read_too(repository, tmp_path, git):
    folder, commits = repository
    git(folder, "clone", "-q", "--bare", str(folder), str(tmp_path / "it.git"))
    assert history.head(tmp_path / "it.git") == commits[3]
    assert history.files_at(tmp_path / "it.git", commits[1])["sub/a.py"] == b"x = 1\r\n"
    plain = tmp_path / "plain"
    (plain / ".venv").mkdir(parents=True)
    (plain / ".venv" / "a.py").write_text("")
    (plain / "b.py").write_text("b")
    (plain / "c.py").symlink_to("b.py")
    assert history.head(plain) == ""
    assert history.files_at(plain, "") == {"b.py": b"b"}
    assert history.earlier(plain, "", 40, random.Random(0)) == []


def test_what_git_cannot_read_is_one_sentence(repository, tmp_path, monkeypatch, git):
    folder, _ = repository
    with pytest.raises(DataError, match="git cannot read"):
        history.files_at(folder, "0" * 40)
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    with pytest.raises(DataError, match="git cannot read"):
        history.head(tmp_path / "empty")
    monkeypatch.setattr(history, "MAX_BYTES", 5)
    with pytest.raises(DataError, match="too large"):
        history.files_at(folder, history.head(folder))


MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person\nobtaining a copy"
BSD = "Copyright\nRedistribution and use in source\n and binary forms, with or without"


@pytest.mark.parametrize(
    ("files", "licence", "is_free"),
    [
        ({"pyproject.toml": '[project]\nlicense = "Apache-2.0"\n', "LICENSE": MIT}, "Apache-2.0", True),
        ({"pyproject.toml": '[project]\nlicense = {text = "MIT"}\n'}, "MIT", True),
        ({"pyproject.toml": '[project]\nclassifiers = ["License :: OSI Approved :: ISC"]\n'}, "ISC", True),
        ({"pyproject.toml": "[project]\nlicense = {file = 'LICENSE.txt'}\n", "LICENSE.txt": BSD}, "BSD", True),
        ({"pyproject.toml": "not toml [", "setup.cfg": "[metadata]\nlicense = GPLv3\n"}, "GPLv3", False),
        ({"LICENSE": MIT}, "MIT", True),
        ({"docs/LICENSE": MIT}, "", True),
        ({"COPYING": "GNU GENERAL PUBLIC LICENSE\nEveryone is permitted, limited"}, "GPL", False),
        ({"LICENSE": "All rights reserved. Nothing is permitted."}, "other", False),
        ({"pyproject.toml": '[project]\nlicense = "CC-BY-NC-4.0"\n'}, "CC-BY-NC-4.0", False),
        ({"pyproject.toml": '[project]\nlicense = "MIT AND GPL-2.0-only"\n'}, "MIT AND GPL-2.0-only", False),
    ],
)  # fmt: skip
def test_licences_are_found_where_repositories_name_them(files, licence, is_free):
    assert licence_of({name: text.encode() for name, text in files.items()}) == licence
    assert is_permissive(licence) is is_free
