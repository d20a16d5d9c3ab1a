"""How long slots are held, learned from those that were: the more at a time, the longer, where work shares a CPU."""

from gateway.moving import moved


class HeldTimes:
    """Learned times, in seconds.

    Attributes:
        deviation: How much they vary.
    """

    def __init__(self) -> None:
        self._means: dict[int, float] = {}  # by how many slots are held at a time
        self.deviation = 0.0

    def learn(self, seconds: float, held: int) -> None:
        """A slot was held for so long, while so many were."""
        mean = self._means.get(held, seconds)
        self._means[held], self.deviation = moved(mean, self.deviation, seconds)

    def mean(self, held: int) -> float:
        """How long a slot is held where so many are: as learned, or in proportion, as for work that shares a CPU."""
        if held in self._means or not self._means:
            return self._means.get(held, 0.0)
        fewer = max((known for known in self._means if known < held), default=None)
        return self._means[min(self._means)] if fewer is None else self._means[fewer] * held / fewer
