# SPDX-License-Identifier: MIT
"""What the tests of the Python package share."""

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261123)
