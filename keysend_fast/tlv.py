"""TLV streams: the payloads inside an onion and the custom records inside those (BOLT 1, Type-Length-Value Format).

``parse`` accepts exactly the streams that ``encode`` makes: types increase, integers are as short as they can be, and
lengths stay inside the stream. Both are compiled; ``keysend_fast.kernels.tlv_scan_many`` finds records without copying them.
"""

from keysend_fast._tlv import encode, parse
from keysend_fast.errors import TlvError

__all__ = ["TlvError", "encode", "parse"]
