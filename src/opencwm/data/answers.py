"""Code out of the answers of models that speak language.

"Here you are: ```python ... ```" --code_blocks--> sources, in order
"""

import re

FENCE = re.compile(
    r"^[ \t]*```[ \t]*(?P<language>[\w+-]*)[^\n]*\n(?P<code>.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL
)
THOUGHT = re.compile(r"^.*</think>", re.DOTALL)
"""What comes before the answer of a model that thinks aloud."""
PYTHON = ("", "python", "python3", "py")


def code_blocks(answer: str) -> list[str]:
    """The fenced blocks of Python, or of no named language. A block that was cut off is none."""
    answer = THOUGHT.sub("", answer)
    return [found["code"] for found in FENCE.finditer(answer) if found["language"].lower() in PYTHON]
