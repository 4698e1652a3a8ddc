"""What may not be published: secrets and people's addresses in programs and in the values they handle.

An item that contains one is dropped; replacing the text would falsify its trace. The list is short and is all there is:
tokens and keys that say what they are (their issuers give them a prefix), private keys, passwords inside URLs, and
e-mail addresses, except those at names that are reserved for examples (RFC 2606).

Left out: secrets without a form of their own (a password in a variable), names, streets and telephone numbers.
"""

import re
from collections.abc import Iterator

from opencwm.trace.recording.frame import Trace

SECRETS = {
    "aws": ("AKIA|ASIA", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "github": ("gh[pousr]_|github_pat_", r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,})"),
    "gitlab": ("glpat-", r"\bglpat-[\w-]{20}"),
    "google": ("AIza", r"\bAIza[\w-]{35}\b"),
    "openai": ("sk-", r"\bsk-(?:proj-|ant-)?[\w-]{20,}"),
    "slack": ("xox", r"\bxox[abposr]-[\w-]{10,}"),
    "stripe": ("[sr]k_live_", r"\b[sr]k_live_[A-Za-z0-9]{16,}"),
    "sendgrid": (r"SG\.", r"\bSG\.[\w-]{22}\.[\w-]{43}"),
    "npm": ("npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
    "pypi": ("pypi-AgE", r"\bpypi-AgE[\w-]{50,}"),
    "token": ("eyJ", r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "key": ("-----BEGIN", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY"),
    "password": ("://", r"\b[a-z][a-z+.-]*://[^\s:/@'\"{}%]+:[^\s:/@'\"{}%]+@"),
}
"""Name -> what such a text always contains, and the pattern."""
ADDRESS = re.compile(r"\b[A-Za-z0-9][\w.+-]*@((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})\b")
RESERVED = re.compile(r"(?:^|\.)(?:example|test|invalid|localhost|local)(?:\.(?:com|net|org|edu))?$", re.IGNORECASE)
_SIGN = re.compile("|".join(sign for sign, _ in SECRETS.values()))
_SECRET = re.compile("|".join(pattern for _, pattern in SECRETS.values()))


def is_private(text: str) -> bool:
    """Whether the text contains a secret or somebody's address."""
    if _SIGN.search(text) and _SECRET.search(text):
        return True
    return "@" in text and any(not RESERVED.search(domain) for domain in ADDRESS.findall(text))


def holds_private(trace: Trace) -> bool:
    """The same of a trace: its context, and every value that it shows."""
    return any(map(is_private, set(_texts(trace))))


def _texts(trace: Trace) -> Iterator[str]:
    yield trace.context
    for frame in trace.frames:
        if frame.value is not None:
            yield frame.value
        if frame.locals is not None:
            yield from frame.locals.set.values()
