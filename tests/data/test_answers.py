import pytest

from opencwm.data.answers import code_blocks


@pytest.mark.parametrize(
    ("answer", "blocks"),
    [
        ("Here:\n```python\nx = 1\n```\nDone.", ["x = 1\n"]),
        ("```\nx = 1\n```", ["x = 1\n"]),
        ("```py\na\n```\ntext\n```Python3\nb\n\nc\n```", ["a\n", "b\n\nc\n"]),
        ("```cpp\nint x;\n```\n", []),
        ("```python\nx = 1\n", []),
        ("no code", []),
        ("<think>```python\nwrong\n```</think>\n```python\nright\n```", ["right\n"]),
        ("   ```python\n   x = 1\n   ```", ["   x = 1\n"]),
        ("```python\nx = '```'\n```", ["x = '```'\n"]),
    ],
)
def test_the_blocks_of_python_are_found(answer, blocks):
    assert code_blocks(answer) == blocks
