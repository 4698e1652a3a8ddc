"""Where objects lie in memory, and numbers that tell it."""

import subprocess
import sys

import pytest

from opencwm.data.addresses import fix_addresses, shows_address
from opencwm.trace.recording.frame import Frame, Locals

SHOWN = """
import subprocess, sys
from opencwm.data.addresses import fix_addresses
is_fixed = fix_addresses()
places = {subprocess.run([sys.executable, "-c", "print(id(object()))"], capture_output=True).stdout for _ in range(4)}
print(is_fixed, len(places), next(iter(places)).decode())
"""


def test_two_programs_have_their_objects_at_the_same_places():
    done = subprocess.run([sys.executable, "-c", SHOWN], capture_output=True, text=True, check=True)
    is_fixed, num_places, place = done.stdout.split()
    if is_fixed != "True":
        pytest.skip("this kernel places programs at random")
    assert num_places == "1"
    assert shows_address(shown({"where": place}))


def test_this_process_is_not_asked_to_change_anything_but_linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not fix_addresses()


@pytest.mark.parametrize(
    ("text", "is_address"),
    [("{140737344063600: 1}", True), ("93824992231424", True), ("0", False), ("123456789012345", False)],
)
def test_numbers_of_the_size_of_addresses_are_told(text, is_address):
    assert shows_address(shown({"n": text})) == is_address
    returned = Frame(event="return", depth=0, file="f.py", line_no=1, source_line="", value=text)
    assert shows_address(returned) == is_address


def shown(values):
    return Frame(event="call", depth=0, file="f.py", line_no=1, source_line="", locals=Locals(values))
