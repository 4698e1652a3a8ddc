"""Which licences let code be traced, and the traces be given away, on no other condition than to say whose it is."""

import re

PERMISSIVE = re.compile(
    r"\b(MIT|0?BSD|APACHE|PSF|PYTHON SOFTWARE|ISC|UNLICENSE|ZLIB|PUBLIC DOMAIN|CC0|CC[ -]BY(?![ -](NC|ND|SA)))(\b|-)"
)
"""In the licences that packages' metadata name, in capitals."""


def is_permissive(licence: str) -> bool:
    """Of a licence as metadata name it; "" (code of ours, or of a place that the user named) is taken to be."""
    text = licence.upper()
    return not text or (PERMISSIVE.search(text) is not None and "GPL" not in text)
