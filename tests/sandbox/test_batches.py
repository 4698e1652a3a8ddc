from hypothesis import given
from hypothesis import strategies as st

from opencwm.sandbox.batches import in_batches


@given(st.lists(st.sampled_from(["well", "kills", "weak"])), st.integers(1, 5))
def test_only_who_is_lost_alone_is_to_blame(jobs, size):
    """`kills` ends its child; `weak` only ends one in which something ran before it."""
    asked = []

    def ask(batch):
        asked.append(len(batch))
        answers = []
        for index, job in enumerate(batch):
            if job == "kills" or (job == "weak" and index):
                break
            answers.append(job)
        return answers

    answers = list(in_batches(iter(jobs), ask, size=size))
    assert answers == [None if job == "kills" else job for job in jobs]
    assert max(asked, default=0) <= size
    if "kills" not in jobs and "weak" not in jobs:
        assert len(asked) == -(-len(jobs) // size)
