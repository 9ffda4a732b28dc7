"""How much one key may ask for in an hour."""

import math
import time

from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter


class OverQuota(Exception):
    def __init__(self, most: int, seconds: int) -> None:
        super().__init__(most, seconds)
        self.most, self.seconds = most, seconds


class Quota:
    """Counts images and questions by owner over the last hour, since the process began."""

    def __init__(self, most: int | None) -> None:
        """most: in an hour; None: as many as there is time for."""
        self._allowed = None if most is None else RateLimitItemPerHour(most)
        self._counted = MovingWindowRateLimiter(MemoryStorage())

    def spend(self, owner: str) -> None:
        """One more. Raises OverQuota, which says when there will be room again."""
        if self._allowed is not None and not self._counted.hit(self._allowed, owner):
            again = self._counted.get_window_stats(self._allowed, owner).reset_time
            raise OverQuota(self._allowed.amount, max(1, math.ceil(again - time.time())))
