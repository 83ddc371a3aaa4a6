"""Requests that wait for the sampler, and when a batch of them begins: no sockets, no clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from nitrogen_jax.serving.session import Prepared


@dataclass(frozen=True, eq=False)
class Request:
    """One chunk that somebody waits for. Times are of one monotonic clock, in seconds."""

    peer: bytes
    number: int  # the client's own
    session: str
    question: Prepared
    arrived: float
    deadline: float = float("inf")


class Waiting:
    """A bounded queue, in order of arrival."""

    def __init__(self, most_batch: int, most_wait: float, limit: int):
        """
        Args:
            most_batch: requests to a batch at most.
            most_wait: seconds for which the oldest waits for others while nothing else is done.
            limit: of the queue's length.
        """
        self.most_batch, self.most_wait, self.limit = most_batch, most_wait, limit
        self._requests: deque[Request] = deque()

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def full(self) -> bool:
        return len(self._requests) >= self.limit

    def add(self, request: Request) -> None:
        """Takes a request; ask `full` first."""
        self._requests.append(request)

    def of(self, session: str) -> int:
        """How many requests of a session wait."""
        return sum(one.session == session for one in self._requests)

    def due(self, now: float) -> float | None:
        """Seconds until a batch is to begin, None where nobody waits."""
        if not self._requests:
            return None
        if len(self._requests) >= self.most_batch:
            return 0.0
        return max(0.0, self._requests[0].arrived + self.most_wait - now)

    def take(self, now: float) -> tuple[list[Request], list[Request]]:
        """The next batch, and the requests whose deadline has passed meanwhile."""
        late = [one for one in self._requests if one.deadline <= now]
        left = [one for one in self._requests if one.deadline > now]
        # NOTE: known actions need another program, so a batch has them throughout or nowhere.
        kind = left[0].question.known is None if left else None
        batch = [one for one in left if (one.question.known is None) == kind][: self.most_batch]
        taken = set(map(id, batch))
        self._requests = deque(one for one in left if id(one) not in taken)
        return batch, late
