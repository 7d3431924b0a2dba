import pytest

from policies.loader import load


@pytest.fixture(scope="session")
def rules():
    return load()
