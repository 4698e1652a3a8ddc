import subprocess
import sys
import time

import pytest

from opencwm.errors import DataError
from opencwm.ledger import Ledger

ITEMS = range(3)


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.add(ITEMS)
    return ledger


def other(ledger, holder, lease_s=60.0):
    """The same ledger, as another process sees it."""
    there = Ledger(ledger.path, lease_s=lease_s)
    there.holder = holder
    return there


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_each_item_is_leased_once_and_done_once(ledger):
    elsewhere = other(ledger, "elsewhere 1 abcd")
    assert [ledger.take(ITEMS), elsewhere.take(ITEMS), ledger.take(ITEMS)] == [0, 1, 2]
    assert ledger.take(ITEMS) is None
    ledger.finish(0, {})
    elsewhere.finish(1, {"key": "time"})
    assert ledger.done() == {0, 1}
    assert ledger.losses(1) == {"key": "time"}
    assert ledger.losses(0) == {}


def test_only_what_is_asked_for_is_taken(ledger):
    assert ledger.take(range(2, 3)) == 2
    assert ledger.take(range(2, 3)) is None
    assert ledger.take(ITEMS) == 0


def test_adding_again_forgets_nothing(ledger):
    ledger.finish(ledger.take(ITEMS), {})
    ledger.add(range(5))
    assert ledger.done() == {0}
    assert ledger.take(range(5)) == 1


def test_the_lease_of_a_process_that_is_gone_is_taken_over_at_once(ledger):
    host = ledger.holder.split(" ")[0]
    other(ledger, f"{host} {dead_process()} abcd").take(ITEMS)
    assert ledger.take(ITEMS) == 0


def test_the_lease_of_an_earlier_process_with_our_own_number_is_taken_over(ledger):
    other(ledger, ledger.holder[:-8] + "00000000").take(ITEMS)
    assert ledger.take(ITEMS) == 0
    assert ledger.take(range(1)) is None


def test_the_lease_of_another_machine_is_taken_over_when_it_runs_out(ledger):
    other(ledger, "elsewhere 1 abcd", lease_s=0.2).take(ITEMS)
    assert ledger.take(range(1)) is None
    time.sleep(0.3)
    assert ledger.take(range(1)) == 0


def test_leases_are_renewed_while_their_holder_lives_and_then_given_back(ledger):
    elsewhere = other(ledger, "elsewhere 1 abcd", lease_s=0.4)
    with elsewhere.kept_alive():
        elsewhere.take(ITEMS)
        time.sleep(0.9)
        assert ledger.take(range(1)) is None
    assert ledger.take(range(1)) == 0


def test_an_item_can_be_opened_again_and_its_losses_are_remembered(ledger):
    ledger.finish(ledger.take(ITEMS), {"key": "memory"})
    ledger.reopen(0)
    assert ledger.take(ITEMS) == 0
    assert ledger.losses(0) == {"key": "memory"}


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(DataError, match=r"ledger\.sqlite cannot be used"):
        Ledger(tmp_path / "ledger.sqlite")
