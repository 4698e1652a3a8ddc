import pytest
from basket import Basket


@pytest.fixture
def basket():
    return Basket()


def test_total(basket):
    basket.add("apple", 2)
    basket.add("tea")
    assert basket.total() == 480


@pytest.mark.parametrize(("name", "total"), [("apple", 162), ("bread", 1275)])
def test_discount(basket, name, total):
    basket.add(name, 6)
    assert basket.total() == total


def test_what_is_not_sold(basket):
    basket.add("gold")
    with pytest.raises(KeyError):
        basket.total()


def test_nothing_cannot_be_added(basket):
    with pytest.raises(ValueError, match="not a number"):
        basket.add("tea", 0)
