"""keysend_fast: Lightning keysend onions in batches, natively accelerated.

>>> from keysend_fast import Hop, KeysendPayment, Route, build_keysends
"""

from keysend_fast.config import show_config
from keysend_fast.errors import (
    InputError,
    KeysendFastError,
    KeysendRefused,
    OnionError,
    PeelError,
    RouteError,
    TlvError,
)
from keysend_fast.keysend import (
    AcceptedKeysend,
    KeysendBatch,
    KeysendPayment,
    OnionBudget,
    accept_keysend,
    build_keysend,
    build_keysends,
    build_keysends_columns,
    onion_budget,
)
from keysend_fast.onion import (
    HopTables,
    Onion,
    OnionBatch,
    OnionRequest,
    OnionSecrets,
    PeelBatch,
    PeeledOnion,
    build_onion,
    build_onions,
    peel_onion,
    peel_onions,
)
from keysend_fast.route import Hop, Route
from keysend_fast.status import Status

__all__ = [
    "AcceptedKeysend",
    "Hop",
    "HopTables",
    "InputError",
    "KeysendBatch",
    "KeysendFastError",
    "KeysendPayment",
    "KeysendRefused",
    "Onion",
    "OnionBatch",
    "OnionBudget",
    "OnionError",
    "OnionRequest",
    "OnionSecrets",
    "PeelBatch",
    "PeelError",
    "PeeledOnion",
    "Route",
    "RouteError",
    "Status",
    "TlvError",
    "accept_keysend",
    "build_keysend",
    "build_keysends",
    "build_keysends_columns",
    "build_onion",
    "build_onions",
    "onion_budget",
    "peel_onion",
    "peel_onions",
    "show_config",
]
