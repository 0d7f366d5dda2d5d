"""A vault for each test, of a few lines."""

import pytest
from interchange.fixtures import Shelf


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()
