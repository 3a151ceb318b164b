"""A sample of what tests.fuzzing checks at length; the same one each time."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.optional import needs


@needs("hypothesis")
class FuzzTests(SynchronousTestCase):
    """Only documented errors are raised, whatever the input."""

    def test_each(self) -> None:
        """300 inputs to each check."""
        from tests.fuzzing import CHECKS, fuzz

        for name in CHECKS:
            fuzz(name, 300, derandomize=True)
