"""The whole error tree of OpenCWM, and the one helper that classifies foreign errors.

::

    OpenCWMError
    |- ConfigError       you can fix it: a key, a value, a name, a missing extra
    |- DataError         a file or a record is not what it claims to be: path, place, expected, found
    `- WorldError        something outside failed; trying again may help
       |- SandboxError   the sandbox could not do its work (never: the program in it failed)
       `- ProviderError  a model server failed or answered nonsense

Every error carries one sentence and, where there is one, the next thing to do (`fix`). There is no class for
"the model was wrong" or "the program crashed": those are outcomes, recorded as data.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class OpenCWMError(Exception):
    """Root of the tree. `exit_status` is what the command line exits with."""

    exit_status = 3

    def __init__(self, sentence: str, *, fix: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.fix = fix


class ConfigError(OpenCWMError):
    exit_status = 2


class DataError(OpenCWMError):
    exit_status = 2


class WorldError(OpenCWMError):
    exit_status = 3


class SandboxError(WorldError):
    pass


class ProviderError(WorldError):
    pass


@contextmanager
def boundary(error: type[OpenCWMError], doing: str) -> Iterator[None]:
    """Turn any foreign exception that leaves the block into `error("doing: Type: text")`, chained to the original.

    Errors of our own tree pass unchanged: the first classification is the most specific one.
    """
    try:
        yield
    except OpenCWMError:
        raise
    except Exception as exc:  # the boundary's purpose: everything foreign is classified here
        raise error(f"{doing}: {type(exc).__name__}: {exc}") from exc
