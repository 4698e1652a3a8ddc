import sysconfig
from pathlib import Path

import pytest

from opencwm.data.places import files_of, find_places, module_name
from opencwm.errors import ConfigError

LIB = Path(sysconfig.get_paths()["stdlib"])


@pytest.mark.parametrize(
    ("name", "root", "prefix"),
    [
        ("textwrap", LIB / "textwrap.py", ""),
        ("posixpath", LIB / "posixpath.py", ""),  # frozen in the interpreter
        ("json", LIB / "json", "json"),
        ("json.decoder", LIB / "json" / "decoder.py", "json"),
        ("xml.dom", LIB / "xml" / "dom", "xml.dom"),
    ],
)
def test_modules_of_the_standard_library(name, root, prefix):
    (place,) = find_places(name)
    assert (place.root, place.prefix, place.package, place.licence) == (root, prefix, "python", "PSF-2.0")
    assert place.folder == LIB
    names = [module_name(path, place) for path in files_of(place.root)]
    assert name in names
    assert all(each == name or each.startswith(name + ".") for each in names)


def test_an_installed_package_is_its_distribution_s():
    (place,) = find_places("packaging")
    assert (place.prefix, place.package) == ("packaging", "packaging")
    assert (place.folder / "packaging" / "version.py").exists()
    assert place.version


def test_files_and_folders(tmp_path):
    (tmp_path / "pack" / "inner").mkdir(parents=True)
    for name in ("pack/__init__.py", "pack/a.py", "pack/inner/b.py", "loose.py"):
        (tmp_path / name).write_text("")
    shown = {}
    for path in (tmp_path, tmp_path / "pack", tmp_path / "loose.py"):
        (place,) = find_places(str(path))
        shown[path.name] = [module_name(each, place) for each in files_of(place.root)]
        assert place.folder == tmp_path
    assert shown == {
        tmp_path.name: ["loose", "pack", "pack.a", "pack.inner.b"],
        "pack": ["pack", "pack.a", "pack.inner.b"],
        "loose.py": ["loose"],
    }


@pytest.mark.parametrize("name", ["no_such_package", "sys", "json.nothing"])
def test_what_has_no_source_is_refused(name):
    with pytest.raises(ConfigError, match="nothing to harvest"):
        list(find_places(name))
