import pytest

from opencwm.errors import ConfigError
from opencwm.infer.resolve import open_model
from opencwm.provider import ServerModel


def test_a_url_with_a_name_is_a_server():
    model = open_model("http://localhost:8000#qwen")
    assert isinstance(model, ServerModel)
    assert (model.url, model.name) == ("http://localhost:8000/v1", "qwen")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("http://localhost:8000", "which of the server's models"),
        ("no/such/folder", "there is no model 'no/such/folder'"),
    ],
)
def test_what_is_no_model_is_said(name, said):
    with pytest.raises(ConfigError, match=said):
        open_model(name)


def test_a_folder_that_is_not_a_model_is_said(tmp_path):
    with pytest.raises(ConfigError, match="not a model folder"):
        open_model(str(tmp_path))


def test_the_dtype_of_a_served_model_is_its_servers():
    with pytest.raises(ConfigError, match="its server chose the dtype"):
        open_model("http://localhost:8000#qwen", dtype="int8")
