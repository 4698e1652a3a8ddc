import pytest

from opencwm.data.licences import is_permissive


@pytest.mark.parametrize(
    "licence",
    [
        "MIT",
        "BSD-3-Clause",
        "Apache Software License",
        "PSF-2.0",
        "ISC License (ISCL)",
        "CC BY 4.0",
        "CC-BY-4.0",
        "0BSD",
        "",
    ],
)
def test_permissive_licences(licence):
    assert is_permissive(licence)


@pytest.mark.parametrize(
    "licence",
    [
        "GPL-3.0-or-later",
        "LGPLv2",
        "MPL-2.0",
        "Proprietary, limited",
        "CC-BY-NC-4.0",
        "CC BY-SA 4.0",
        "MIT AND GPL-2.0",
    ],
)
def test_others(licence):
    assert not is_permissive(licence)
