"""Who is to blame for a failure and what the payer does next: BOLT 4, Receiving Failure Codes; docs/failures.md."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from keysend_fast._failure_codes import FailureCode, FailureFlag, Field
from keysend_fast._route import Route

PAYER: Final = -1  # the index of the payer's own node, where the onion starts at its peer


class Action(Enum):
    """What a payer does next."""

    RETRY_SAME_ROUTE = "retry the same route later"
    AVOID_CHANNEL = "take a route without the channel"
    AVOID_NODE = "take a route without the node"
    AVOID_ROUTE = "take another route: nobody can be named"
    WRONG_CLTV = "build again from the current block height, with other CLTV deltas"
    RECIPIENT_REFUSES_KEYSEND = "stop: the recipient takes no keysend like this one"
    GIVE_UP = "stop: no other attempt will do better"


class Location(NamedTuple):
    """A place on a route. short_channel_id, direction (BOLT 7: 0 from the lesser node id) and node_id: None where unknown."""

    node_id: bytes | None
    short_channel_id: int | None
    direction: int | None


class Blame(NamedTuple):
    """Who is at fault: one node, or the channel between two neighbours, which cannot be told apart.

    nodes: indexes in the onion, one for a node, two for a channel in the payment's direction; -1 is the payer.
    """

    nodes: tuple[int, ...]

    @property
    def node(self) -> int | None:
        """Index of the node, or None where the blame is on a channel."""
        return self.nodes[0] if len(self.nodes) == 1 else None

    @property
    def channel(self) -> tuple[int, int] | None:
        """Indexes of the channel's ends in the payment's direction, or None where the blame is on a node."""
        return (self.nodes[0], self.nodes[1]) if len(self.nodes) > 1 else None

    def locate(self, route: Route, payer_id: bytes | None = None) -> Location:
        """The node, or the channel and the direction in which the payment used it, on the onion's route.

        payer_id: 33 bytes, needed for the direction of the payer's own channel where the route starts at its peer.
        """
        ids = {PAYER: payer_id, **dict(enumerate(route.node_ids))}
        if self.channel is None:
            return Location(ids[self.nodes[0]], None, None)
        source, target = (ids[node] for node in self.channel)
        channel = route.hops[self.channel[1]].short_channel_id  # a packed route has a number here
        direction = None if source is None or target is None else int(source > target)
        return Location(None, None if channel is None else int(channel), direction)


class Advice(NamedTuple):
    """What to do next.

    action: see Action. target: whom to avoid, None where nobody is. seconds: for how long, or after how long to come back;
    None means until the graph says otherwise.
    """

    action: Action
    target: Blame | None
    seconds: int | None

    @property
    def retry(self) -> bool:
        """Whether another attempt may settle the payment."""
        return self.action not in (Action.RECIPIENT_REFUSES_KEYSEND, Action.GIVE_UP)


class Place(Enum):
    """Whom a report blames, seen from the node that made it."""

    NODE = "itself"
    OUTGOING = "its channel towards the recipient"
    INCOMING = "its channel towards the payer"


class Rule(NamedTuple):
    """What a code means from one role."""

    action: Action
    place: Place
    seconds: int | None = None


# Liquidity moves within minutes; policies change when gossip says so, which nodes send at most once an hour or so; a node
# that restarts is back in seconds.
RESTART, LIQUIDITY, POLICY, CORRUPTION = 10, 120, 3600, 3600

_BAD_NODE: Final = Rule(Action.AVOID_NODE, Place.NODE)
_GIVE_UP: Final = Rule(Action.GIVE_UP, Place.NODE)
_POLICY: Final = Rule(Action.AVOID_CHANNEL, Place.OUTGOING, POLICY)
_GONE: Final = Rule(Action.AVOID_CHANNEL, Place.OUTGOING)
_CORRUPT: Final = Rule(Action.AVOID_CHANNEL, Place.OUTGOING, CORRUPTION)
_CHEATED: Final = Rule(Action.AVOID_CHANNEL, Place.INCOMING, POLICY)
_CLTV: Final = Rule(Action.WRONG_CLTV, Place.NODE, 0)
_REFUSED: Final = Rule(Action.RECIPIENT_REFUSES_KEYSEND, Place.NODE)
_TRAMPOLINE: Final = (Rule(Action.AVOID_NODE, Place.NODE, POLICY), _GIVE_UP)

# Code: from a forwarding node, from the recipient. What only the other role may send (BOLT 4, Requirements of Failure
# Messages) is the sender's own fault, or that of a private network behind the recipient.
RULES: Final[Mapping[FailureCode, tuple[Rule, Rule]]] = {
    FailureCode.TEMPORARY_NODE_FAILURE: (
        Rule(Action.AVOID_NODE, Place.NODE, LIQUIDITY),
        Rule(Action.RETRY_SAME_ROUTE, Place.NODE, RESTART),
    ),
    FailureCode.PERMANENT_NODE_FAILURE: (_BAD_NODE, _GIVE_UP),
    FailureCode.REQUIRED_NODE_FEATURE_MISSING: (_BAD_NODE, _GIVE_UP),
    FailureCode.INVALID_ONION_VERSION: (_CORRUPT, _GIVE_UP),
    FailureCode.INVALID_ONION_HMAC: (_CORRUPT, _GIVE_UP),
    FailureCode.INVALID_ONION_KEY: (_CORRUPT, _GIVE_UP),
    FailureCode.TEMPORARY_CHANNEL_FAILURE: (
        Rule(Action.AVOID_CHANNEL, Place.OUTGOING, LIQUIDITY),
        Rule(Action.RETRY_SAME_ROUTE, Place.NODE, LIQUIDITY),
    ),
    FailureCode.PERMANENT_CHANNEL_FAILURE: (_GONE, _GIVE_UP),
    FailureCode.REQUIRED_CHANNEL_FEATURE_MISSING: (_GONE, _GIVE_UP),
    FailureCode.UNKNOWN_NEXT_PEER: (_GONE, _GIVE_UP),
    FailureCode.AMOUNT_BELOW_MINIMUM: (_POLICY, _GIVE_UP),
    FailureCode.FEE_INSUFFICIENT: (_POLICY, _GIVE_UP),
    FailureCode.INCORRECT_CLTV_EXPIRY: (_POLICY, _GIVE_UP),
    FailureCode.EXPIRY_TOO_SOON: (_CLTV, _CLTV),
    FailureCode.INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS: (_BAD_NODE, _REFUSED),
    FailureCode.FINAL_INCORRECT_CLTV_EXPIRY: (_BAD_NODE, _CHEATED),
    FailureCode.FINAL_INCORRECT_HTLC_AMOUNT: (_BAD_NODE, _CHEATED),
    FailureCode.CHANNEL_DISABLED: (_POLICY, _GIVE_UP),
    FailureCode.EXPIRY_TOO_FAR: (_CLTV, _CLTV),
    FailureCode.INVALID_ONION_PAYLOAD: (_BAD_NODE, _REFUSED),
    FailureCode.MPP_TIMEOUT: (_BAD_NODE, Rule(Action.RETRY_SAME_ROUTE, Place.NODE, RESTART)),
    FailureCode.INVALID_ONION_BLINDING: (_CORRUPT, _GIVE_UP),
    FailureCode.INVALID_REALM: (_BAD_NODE, _GIVE_UP),
    FailureCode.INCORRECT_PAYMENT_AMOUNT: (_BAD_NODE, _GIVE_UP),
    FailureCode.FINAL_EXPIRY_TOO_SOON: (_BAD_NODE, _CLTV),
    FailureCode.TRAMPOLINE_FEE_INSUFFICIENT: _TRAMPOLINE,
    FailureCode.TRAMPOLINE_EXPIRY_TOO_SOON: _TRAMPOLINE,
    FailureCode.TEMPORARY_TRAMPOLINE_FAILURE: _TRAMPOLINE,
    FailureCode.TRAMPOLINE_FEE_OR_EXPIRY_INSUFFICIENT: _TRAMPOLINE,
    FailureCode.UNKNOWN_NEXT_TRAMPOLINE: _TRAMPOLINE,
}

# What the payer's own HTLC to its peer says is nobody else's doing: the peer is the recipient and finds it wrong.
OWN_HTLC: Final[Mapping[FailureCode, Rule]] = {
    FailureCode.FINAL_INCORRECT_CLTV_EXPIRY: _CLTV,
    FailureCode.FINAL_INCORRECT_HTLC_AMOUNT: _GIVE_UP,
}


_KEYSEND_PREIMAGE_TYPE: Final = 5482373484  # bLIP 3


def rule_of(code: int | None, data: Mapping[str, Field], *, recipient: bool, first: bool) -> Rule:
    """What a report means. code: None where the node said nothing readable. first: the erring node is the payer's peer."""
    if code is None:
        return _GIVE_UP if recipient else _BAD_NODE
    if not isinstance(code, FailureCode):
        return _unknown_code_rule(code, recipient)
    if recipient and first and code in OWN_HTLC:
        return OWN_HTLC[code]
    if recipient and code is FailureCode.INVALID_ONION_PAYLOAD:
        keysend = data.get("type", _KEYSEND_PREIMAGE_TYPE) == _KEYSEND_PREIMAGE_TYPE
        return _REFUSED if keysend else _GIVE_UP  # another record of ours, or another field
    return RULES[code][recipient]


def blame_of(place: Place, index: int) -> Blame:
    """Whom a report by the node at index blames."""
    if place is Place.NODE:
        return Blame((index,))
    return Blame((index, index + 1) if place is Place.OUTGOING else (index - 1, index))


def _unknown_code_rule(code: int, recipient: bool) -> Rule:
    """By the flags of a code that is in no table."""
    lasting = bool(code & FailureFlag.PERM)
    if recipient:
        return _GIVE_UP if lasting else Rule(Action.RETRY_SAME_ROUTE, Place.NODE, LIQUIDITY)
    seconds = None if lasting else LIQUIDITY
    if code & FailureFlag.BADONION:
        return _CORRUPT
    if code & FailureFlag.NODE:
        return Rule(Action.AVOID_NODE, Place.NODE, seconds)
    return Rule(Action.AVOID_CHANNEL, Place.OUTGOING, seconds)
