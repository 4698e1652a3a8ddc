import subprocess
import sys
from pathlib import Path

import torch
from tiny_models import tiny_model
from torch.utils.flop_counter import FlopCounterMode

from opencwm.model.flops import training_flop, visible_keys

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


def test_visible_keys_are_counted_one_by_one():
    for length in (1, 5, 9):
        for window in (None, 1, 4, 9, 20):
            expected = sum(min(at + 1, window or length) for at in range(length))
            assert visible_keys(length, window) == expected, (length, window)


def test_the_weights_part_is_what_pytorch_counts():
    model = tiny_model(qk_norm=False)
    lengths, num_trained = [20, 12], 7
    heads = model.config.num_attention_heads * model.config.head_dim

    def copy_values(layer, q, k, v):  # no product at all
        return v.repeat_interleave(2, dim=1) + q + k.repeat_interleave(2, dim=1)

    with FlopCounterMode(display=False) as counter:
        hidden = model(torch.arange(32), torch.arange(32), copy_values)
        model.logits(hidden[:num_trained]).sum().backward()
    visible = sum(visible_keys(n, model.config.window(layer)) for layer in range(5) for n in lengths)
    assert training_flop(model.config, lengths, num_trained) == counter.get_total_flops() + 12 * heads * visible


def test_mfu_is_printed_for_a_shape_that_a_cpu_can_run():
    command = [sys.executable, BENCHMARKS / "mfu.py", "--shape", "nano", "--seq", "64", "--steps", "2", "--peak", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "MFU" in done.stdout
    assert "64 tokens a step" in done.stdout
