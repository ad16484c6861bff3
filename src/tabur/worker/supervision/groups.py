"""The children of one supervisor that work the same queues."""

from __future__ import annotations

from tabur.worker.supervision.children import Child


class Group:
    """So many children for the same queues."""

    def __init__(self, queues: tuple[str, ...], wanted: int) -> None:
        self.queues = queues
        self.wanted = wanted
        self.children: list[Child] = []
        self.not_before = 0.0
        """When the next one may start."""
        self.pause = 0.0
        self.left_behind = 0
        """Jobs that the last dead one held."""

    @property
    def staying(self) -> list[Child]:
        """Those that count: not who is replaced or on its way out."""
        return [child for child in self.children if child.stays and not child.surplus]

    def let_go(self) -> None:
        """Choose who is one too many: who runs least, and of those the youngest."""
        least = sorted(
            (child for child in self.staying if child.lives),
            key=lambda child: (child.board.seen().running, -child.started),
        )
        for child in least[: max(0, len(self.staying) - self.wanted)]:
            child.surplus = True
