from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """What one user agent has seen; every number only grows."""

    datagrams_received: int = 0
    keepalives: int = 0  # datagrams of nothing but line ends
    malformed_requests: int = 0  # answered with 400, 505 or 513
    malformed_datagrams: int = 0  # dropped: not even a Via to answer by
    rejected_requests: int = 0  # answered with a final response >= 300 by the agent itself
    merged_requests: int = 0
    refused_calls: int = 0  # 503: not accepting, or too many calls
    refused_transactions: int = 0  # 503 or dropped: too many transactions
    refused_sources: int = 0  # dropped: too many requests of one source address
    challenges: int = 0  # 401
    wrong_credentials: int = 0  # of these, to who has said a name, and not proved it
    stray_acks: int = 0
    stray_responses: int = 0
    calls_received: int = 0
    calls_placed: int = 0
    calls_answered: int = 0  # by either side
    calls_ended: int = 0
    requests_by_method: Counter[str] = field(default_factory=Counter)  # that came; those we do not know are `other`
    responses_by_class: Counter[int] = field(default_factory=Counter)  # that came: 1 to 6
    requests_sent: Counter[str] = field(default_factory=Counter)  # by method, without ACK
    responses_sent: Counter[int] = field(default_factory=Counter)  # by status; none twice
