import pytest
import torch

from opencwm.errors import ConfigError
from opencwm.model.device import choose_device, choose_dtype, fast_dtype


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ConfigError, match="'tpu'"):
        choose_device("tpu")


def test_a_device_that_is_not_there_is_said():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="no cuda"):
        choose_device("cuda")


def test_the_type_of_products_comes_with_its_reason():
    assert fast_dtype(torch.device("cuda"))[0] == torch.bfloat16
    dtype, why = fast_dtype(torch.device("cpu"))
    assert why.startswith("this CPU")
    assert ("not" in why) == (dtype == torch.float32)


def test_int8_is_for_the_cpu():
    assert choose_dtype("int8", torch.device("cpu")) == torch.int8
    assert choose_dtype("auto", torch.device("cuda")) == torch.bfloat16
    with pytest.raises(ConfigError, match="int8 weights are for the CPU, not for cuda"):
        choose_dtype("int8", torch.device("cuda"))
    with pytest.raises(ConfigError, match="there is no dtype 'int4'"):
        choose_dtype("int4", torch.device("cpu"))
