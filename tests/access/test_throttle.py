"""The throttle of logins."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twistedcam.access.throttle import LONGEST_DELAY_SECONDS, MAX_WAITING, LoginThrottle, TooManyAttemptsError
from twistedcam.errors import AccessDeniedError


class ThrottleTestCase(SynchronousTestCase):
    """A throttle with a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.throttle = LoginThrottle(self.clock)
        self.checks: list[float] = []  # when each was made

    def attempt(
        self, answer: Deferred[None] | Exception | None, name: str = "me", network: str = "10.0.0.1"
    ) -> Deferred[None]:
        """An attempt whose check ends as C{answer} does, or fails with it, or succeeds."""

        async def check() -> None:
            self.checks.append(self.clock.seconds())
            if isinstance(answer, Exception):
                raise answer
            if answer is not None:
                await answer

        return Deferred.fromCoroutine(self.throttle.attempt(network, name, check))

    def good(self, name: str = "me", network: str = "10.0.0.1") -> Deferred[None]:
        """An attempt that succeeds."""
        return self.attempt(None, name, network)

    def bad(self, name: str = "me", network: str = "10.0.0.1") -> Deferred[None]:
        """An attempt that fails."""
        return self.attempt(AccessDeniedError("wrong"), name, network)

    def fail_times(self, count: int, name: str = "me") -> None:
        """Let attempts fail, each as soon as it may be made."""
        for _ in range(count):
            failed = self.bad(name)
            self.clock.advance(LONGEST_DELAY_SECONDS)
            self.failureResultOf(failed, AccessDeniedError)


class LoginThrottleTests(ThrottleTestCase):
    """Delays after failures."""

    def test_at_once(self) -> None:
        """Attempts are made at once while none fails."""
        for _ in range(100):
            self.successResultOf(self.good())

    def test_delays_grow(self) -> None:
        """A failure is told at once, and the next attempt waits: 0.5 s, then twice as long each time, at most 8 s."""
        for _ in range(7):
            failed = self.bad()
            while not failed.called:
                self.clock.advance(0.25)
            self.failureResultOf(failed, AccessDeniedError)
        self.assertEqual(self.checks, [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 23.5])

    def test_others(self) -> None:
        """Failures of one name from one network delay neither another name there nor the name elsewhere."""
        self.failureResultOf(self.bad(), AccessDeniedError)
        self.successResultOf(self.good("you"))
        self.successResultOf(self.good(network="10.0.0.2"))
        self.assertNoResult(waiting := self.good())
        self.clock.advance(0.5)
        self.successResultOf(waiting)

    def test_success_forgives_one_name(self) -> None:
        """A success forgives the failures of its name, and of no other."""
        self.failureResultOf(self.bad("you"), AccessDeniedError)
        self.failureResultOf(self.bad(), AccessDeniedError)
        forgiving = self.good()
        self.clock.advance(0.4)
        self.assertNoResult(self.good("you"))
        self.clock.advance(0.1)
        self.successResultOf(forgiving)
        self.successResultOf(self.good())

    def test_one_at_a_time(self) -> None:
        """However many attempts come at once, and however long a check takes, one is made at a time."""
        first: Deferred[None] = Deferred()
        attempts = [self.attempt(first), *(self.bad() for _ in range(10))]
        self.assertEqual(len(self.checks), 1)
        first.errback(AccessDeniedError("wrong"))
        self.failureResultOf(attempts[0], AccessDeniedError)
        self.assertEqual(len(self.checks), 1)
        # Those whose turn would come when their connections are ended are told so now.
        self.assertEqual([attempt.called for attempt in attempts[1:]], [False] * 4 + [True] * 6)
        for attempt in attempts[5:]:
            self.failureResultOf(attempt, TooManyAttemptsError)
        self.clock.pump([0.25] * 200)
        self.assertEqual(self.checks, [0.0, 0.5, 1.5, 3.5, 7.5])
        for attempt in attempts[1:5]:
            self.failureResultOf(attempt, AccessDeniedError)

    def test_many_at_once(self) -> None:
        """A browser's requests, which come together, are all let in if the password is right, however long it takes."""
        first: Deferred[None] = Deferred()
        attempts = [self.attempt(first), *(self.good() for _ in range(8))]
        first.callback(None)
        for attempt in attempts:
            self.successResultOf(attempt)

    def test_a_thousand_attempts_at_once(self) -> None:
        """Of attempts that come together few wait, and the rest is told when to come again."""
        attempts = [self.bad() for _ in range(1000)]
        refused = [attempt for attempt in attempts if attempt.called][1:]
        self.assertGreaterEqual(len(refused), 1000 - 1 - MAX_WAITING)
        for attempt in attempts[:1]:
            self.failureResultOf(attempt, AccessDeniedError)
        error = self.failureResultOf(refused[0], TooManyAttemptsError).value
        assert isinstance(error, TooManyAttemptsError)
        self.assertGreaterEqual(error.retry_seconds, 1.0)
        for attempt in attempts:
            attempt.addErrback(lambda failure: None)
        self.clock.pump([0.5] * 200)
        self.assertTrue(all(attempt.called for attempt in attempts))

    def test_too_late(self) -> None:
        """An attempt is refused at once if its turn would come after the connection is ended."""
        self.fail_times(10)
        self.failureResultOf(self.bad(), AccessDeniedError)
        waiting = self.good()
        self.assertNoResult(waiting)
        self.failureResultOf(self.good(), TooManyAttemptsError)
        self.clock.advance(LONGEST_DELAY_SECONDS)
        self.successResultOf(waiting)

    def test_gone(self) -> None:
        """An attempt that is cancelled while it waits gives its turn to the next, and leaves nothing in the clock."""
        self.failureResultOf(self.bad(), AccessDeniedError)
        gone = [self.bad() for _ in range(3)]
        owner = self.good()
        for attempt in gone:
            attempt.cancel()
            self.failureResultOf(attempt, CancelledError)
        self.clock.advance(0.5)
        self.successResultOf(owner)
        self.assertEqual((len(self.checks), self.clock.getDelayedCalls()), (2, []))

    def test_cancelled_check(self) -> None:
        """A check that is cancelled ends its turn."""
        checking = self.attempt(Deferred())
        waiting = self.good()
        checking.cancel()
        self.failureResultOf(checking, CancelledError)
        self.successResultOf(waiting)

    def test_unforeseen_error(self) -> None:
        """A check that fails unexpectedly ends its turn too."""
        self.failureResultOf(self.attempt(ZeroDivisionError()), ZeroDivisionError)
        self.successResultOf(self.good())

    def test_forgotten(self) -> None:
        """Failures are forgotten after ten minutes, and those of names that failed long ago when there are too many."""
        self.fail_times(10)
        self.clock.advance(700)
        self.failureResultOf(self.bad(), AccessDeniedError)
        self.assertNoResult(waiting := self.good())
        self.clock.advance(0.5)
        self.successResultOf(waiting)
        for number in range(12_000):
            self.failureResultOf(self.bad(str(number)), AccessDeniedError)
        self.assertLessEqual(len(self.throttle._turns), 10_000)

    def test_failures_at_many_names(self) -> None:
        """Failures at very many other names do not shorten the delay of the one that is being guessed."""
        self.fail_times(5)
        self.failureResultOf(self.bad(), AccessDeniedError)
        waiting = self.good()
        for number in range(25_000):
            self.failureResultOf(self.bad(str(number)), AccessDeniedError)
        self.clock.advance(LONGEST_DELAY_SECONDS - 0.1)
        self.assertNoResult(waiting)
        self.clock.advance(0.1)
        self.successResultOf(waiting)

    def test_nothing_kept(self) -> None:
        """Nothing is kept of names that have not failed, or were forgiven."""
        for number in range(100):
            self.successResultOf(self.good(str(number)))
        self.failureResultOf(self.bad(), AccessDeniedError)
        waiting = self.good()
        self.clock.advance(0.5)
        self.successResultOf(waiting)
        self.assertEqual(len(self.throttle._turns), 0)

    def test_odd_names(self) -> None:
        """Names may be long, and hold anything."""
        for name in ("x" * 4096, "a b", "", "\x1b", "\ud800"):
            self.failureResultOf(self.bad(name), AccessDeniedError)
