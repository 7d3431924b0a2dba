"""Why rules or facts were not accepted. None carries a cell value.

RuleFault          a rule file, list or access row that is not well formed: file and line
└── FactFault      facts that are not in the vocabulary: the path inside the document
"""


class RuleFault(Exception):
    """A rule file, a dated list or an access row is wrong, and nothing of it was taken.

    `reason` is one lower-case sentence, `place` says where (`file.yaml:12`, `recipient.ownership[0].pct`),
    `cure` says what to do.
    """

    def __init__(self, reason: str, *, place: str = "", cure: str = "") -> None:
        self.reason, self.place, self.cure = reason, place, cure
        super().__init__(f"{place}: {reason}" if place else reason)


class FactFault(RuleFault):
    """A fact is not in the vocabulary, or has a value no such fact can have."""
