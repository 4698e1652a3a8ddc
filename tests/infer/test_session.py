import random

import pytest
from tiny_models import VOCAB, naive, tiny_model

from opencwm.infer.engine import Engine
from opencwm.infer.kv_cache import Step
from opencwm.infer.session import Session
from opencwm.protocols import Request


@pytest.fixture(scope="module")
def model():
    return tiny_model(qk_norm=True)


@pytest.mark.parametrize("prefix_bytes", [0, 200_000, 1 << 30])
def test_a_session_rewound_forced_and_branched_is_that_of_starting_afresh(model, prefix_bytes):
    rng = random.Random(prefix_bytes)
    sessions = [Session(Engine(model, prefix_bytes=prefix_bytes), [rng.randrange(VOCAB) for _ in range(70)])]
    for _ in range(12):
        session = rng.choice(sessions)
        action = rng.choice(["rewind", "fork", "force"])
        if action == "rewind":
            session.rewind(rng.randrange(1, len(session.tokens)))
        elif action == "fork":
            sessions.append(session.fork())
        else:
            session.force([rng.randrange(VOCAB) for _ in range(rng.randrange(40))])
        before, count = list(session.tokens), rng.randrange(1, 12)
        assert session.go_on(Request(prompt=(), max_tokens=count)).tokens == naive(model, before, count)[0]
        assert session.tokens[: len(before)] == before
        assert len(session.tokens) == len(before) + count


def test_going_on_from_any_place_computes_only_what_is_new(model, monkeypatch):
    computed = []
    init = Step.__init__
    monkeypatch.setattr(
        Step, "__init__", lambda step, caches, counts: (computed.append(sum(counts)), init(step, caches, counts))[1]
    )
    engine = Engine(model, num_drafted=0)
    session = Session(engine, [7] * 200)
    session.go_on(Request(prompt=(), max_tokens=100))
    for place in (290, 150, 75, 33):
        branch = session.fork()
        branch.rewind(place)
        computed.clear()
        branch.go_on(Request(prompt=(), max_tokens=1))
        assert sum(computed) <= engine.prefixes.block


def test_there_is_no_place_beyond_the_end(model):
    with pytest.raises(IndexError, match="place 4 of a session of 3"):
        Session(Engine(model), [1, 2, 3]).rewind(4)
