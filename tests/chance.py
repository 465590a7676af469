"""What keeps chance out of the tests: every test starts from the same random state and sees the same examples.

A failure can be repeated then, and a change that passes here passes elsewhere. To look for new examples, as one should
after a change of what a property speaks of::

    pytest --hypothesis-profile=explore tests/test_...py

An example that fails there goes into its test as an ``@example``.
"""

from __future__ import annotations

import random
import sys
import threading
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

SAME, EXPLORE = "same", "explore"
"""Profiles of Hypothesis: the examples of each run, or new ones."""


def use_the_same_examples() -> None:
    """Set up both profiles; no example is refused for the time that a busy machine takes."""
    patient: dict[str, Any] = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile(SAME, derandomize=True, database=None, **patient)
    settings.register_profile(EXPLORE, **patient)
    settings.load_profile(SAME)
    _leave_out_constants_of_the_code()


def _leave_out_constants_of_the_code() -> None:
    """Keep examples from what happens to be imported: Hypothesis draws numbers and texts of its source, too.

    It has no option for that. Where a version of it keeps them elsewhere, examples depend a little on which tests ran
    before.
    """
    found = getattr(providers, "_get_local_constants", None)
    if found is not None:
        none = providers.Constants()
        providers._get_local_constants = lambda: none if settings.default.derandomize else found()


_before: set[threading.Thread] = set()


def start_anew() -> None:
    """Put the random states that all share to where they are at the start of each test; see which threads there are."""
    _before.clear()
    _before.update(threading.enumerate())
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


def new_threads(name: str) -> list[threading.Thread]:
    """Return the threads whose names begin so and that no earlier test has left behind."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(name) and thread not in _before]
