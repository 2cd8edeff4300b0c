"""Random cases for Electrum's onion functions; `plain` ones are what its wallet does, and must be answered natively."""

from __future__ import annotations

from random import Random
from typing import Any

from keysend_fast import _single
from keysend_fast.onion import build_onion
from tests.compat.pyln_cases import bigsize, prefixed, scalar

Case = dict[str, Any]
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
BAD_SCALARS = (bytes(32), ORDER.to_bytes(32, "big"), (ORDER + 7).to_bytes(32, "big"), b"\xff" * 32, b"\x01" * 31, b"")
GENERATOR = bytes.fromhex(
    "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
)
BAD_POINTS = (b"\x02" + b"\xff" * 32, b"\x05" + GENERATOR[1:33], GENERATOR[:33], b"", b"\x02" * 32)


class Electrum:
    """Cases for one release."""

    def __init__(self, release: str, seed: str) -> None:
        self.release = tuple(map(int, release.split(".")))
        self.random = Random(f"{release} {seed}")

    @property
    def blinds(self) -> bool:
        return self.release >= (4, 6)

    def hex(self, most: int) -> str:
        return self.random.randbytes(self.random.randint(0, most)).hex()

    def point(self) -> bytes:
        return _single.base_mul(scalar(self.random))

    # ------------------------------------------------------------ building

    def payload(self, final: bool) -> Case:
        random = self.random
        fields: Case = {
            "amt_to_forward": {"amt_to_forward": random.choice((0, 1, 255, 1000, 16777216, 2**40, 2**64 - 1))},
            "outgoing_cltv_value": {"outgoing_cltv_value": random.choice((0, 144, 800_000, 2**32 - 1))},
        }
        if final:
            total = random.choice((0, 1000, 2**33))
            secret = "0x" + random.randbytes(32).hex()
            fields["payment_data"] = {"payment_secret": secret, "total_msat": total, "amount_msat": total}
        else:
            fields["short_channel_id"] = {"short_channel_id": "0x" + random.randbytes(8).hex()}
        return fields

    def odd_hop(self) -> Case:
        """A hop that is unusual, or one that Electrum itself cannot encode."""
        random = self.random
        payload = self.payload(random.random() < 0.5)
        style = random.randrange(12)
        if style == 0:
            return {"raw": random.randbytes(random.randint(0, 60)).hex()}
        if style == 1:
            return {"raw": prefixed(random.randbytes(random.choice((0, 1, 2, 100, 252, 253, 400)))).hex()}
        if style == 2:
            payload["payment_metadata"] = {"payment_metadata": "0x" + self.hex(40)}
        elif style == 3:
            payload["amt_to_forward"] = {"amt_to_forward": random.choice((-1, 2**64, "0x00", None, 1.5, True))}
        elif style == 4:
            payload["outgoing_cltv_value"] = {"outgoing_cltv_value": random.choice((-1, 2**32, "0x01", None))}
        elif style == 5:
            payload["short_channel_id"] = {"short_channel_id": "0x" + self.hex(9)}
        elif style == 6:
            payload["payment_data"] = {"payment_secret": "0x" + self.hex(33), "total_msat": 5}
        elif style == 7:
            payload["amt_to_forward"] = random.choice(({}, None, {"other": 1}))
        elif style == 8:
            payload["no_such_field"] = {"x": 1}
        elif style == 9:
            return {"payload": {}}
        elif style == 10 and self.release < (4, 4):
            return {"payload": payload, "legacy": True}
        elif style == 11 and self.blinds:
            return {"payload": {"message": {"text": "0x" + self.hex(20)}}, "stream": "onionmsg_tlv"}
        return {"payload": payload, "hmac": random.randbytes(32).hex()}

    def route(self, most: int) -> list[str]:
        return [self.point().hex() for _ in range(self.random.randint(1, most))]

    def building(self) -> tuple[Case, bool]:
        """(the case, whether it is what the wallet does)."""
        random = self.random
        route = self.route(random.choice((2, 4, 8, 20)))
        hops: list[Case] = [{"payload": self.payload(i == len(route) - 1)} for i in range(len(route))]
        case: Case = {
            "op": "build",
            "public_keys": route,
            "session_key": scalar(random).hex(),
            "hops": hops,
            "associated_data": random.randbytes(32).hex(),
        }
        style = random.random()
        if style < 0.15 and len(route) <= 4:
            case["trampoline"] = True
        elif style < 0.3 and self.blinds:
            case["onion_message"] = True
            size = random.choice((40, 300, 1500))
            recipient = {"encrypted_recipient_data": {"encrypted_recipient_data": "0x" + random.randbytes(size).hex()}}
            case["hops"] = [{"payload": recipient, "stream": "onionmsg_tlv"} for _ in route]
            case["associated_data"] = ""
        if random.random() < 0.6:
            too_much = case.get("onion_message") and len(route) * 1540 > 32768
            return case, not too_much
        fault = random.randrange(8)
        if fault == 0:
            case["session_key"] = random.choice(BAD_SCALARS).hex()
        elif fault == 1:
            case["public_keys"][random.randrange(len(route))] = random.choice((*BAD_POINTS, GENERATOR)).hex()
        elif fault == 2:
            case["hops"] = hops + hops[:1] if random.random() < 0.5 else hops[1:]
        elif fault == 3:
            case["hops"] = [{"raw": prefixed(random.randbytes(1300 // len(route))).hex()} for _ in route]
        elif fault == 4:
            case["public_keys"], case["hops"] = [], []
        else:
            case["associated_data"] = self.hex(70)
            for i in range(len(case["hops"])):
                if random.random() < 0.4:
                    case["hops"][i] = self.odd_hop()
        return case, False

    # ------------------------------------------------------------ peeling

    def stream(self) -> bytes:
        """What Electrum can read as a payload."""
        random = self.random
        stream = b"\x02\x02\x03\xe8\x04\x03\x0c\x35\x00"
        if random.random() < 0.5:
            stream += b"\x06\x08" + random.randbytes(8)
        else:
            stream += b"\x08\x22" + random.randbytes(32) + b"\x03\xe8"
        if random.random() < 0.3:
            stream += b"\x11" + bigsize(300) + random.randbytes(300)
        return stream

    def trampoline_payload(self, session_key: bytes, data: bytes, good: bool) -> bytes:
        """A payload with a whole packet in it; good: its key is a point."""
        inner = build_onion(
            [self.point(), self.point()], [self.stream()[:9]] * 2, session_key, data, hop_payloads_size=400
        )
        packet = bytearray(inner.packet)
        packet[1] ^= 0 if good else 4
        return self.stream()[:9] + bigsize(66100) + bigsize(len(packet)) + bytes(packet)

    def odd_frame(self) -> bytes:
        random = self.random
        style = random.randrange(8)
        if style == 0:
            return b"\x00" + random.randbytes(20) + bytes(12) + random.choice((bytes(32), random.randbytes(32)))
        if style == 1:
            return b"\x01" + random.randbytes(40)
        if style == 2:
            return b"\xfd" + random.choice((5, 252, 253, 1298, 1400, 65535)).to_bytes(2, "big") + self.stream()
        if style == 3:
            return random.choice((b"\xfe", b"\xff")) + random.randbytes(20)
        if style == 4:
            return prefixed(random.randbytes(random.randint(2, 300)))
        if style == 5:
            return prefixed(self.stream() + b"\xfe\x00\x01\x00\x00\x01a")  # an even type that Electrum does not know
        if style == 6:
            return prefixed(b"\x04\x01\x05\x02\x01\x07")  # out of order
        return random.randbytes(60)

    def processing(self) -> tuple[Case, bool]:
        """(the case, whether it is what happens to a node)."""
        random = self.random
        key, session_key, data = scalar(random), scalar(random), random.randbytes(32)
        size, options = 1300, {}
        if random.random() < 0.2:
            size, options = 400, {"is_trampoline": True}
        elif self.blinds and random.random() < 0.2:
            size, options = random.choice((1300, 32768)), {"tlv_stream_name": "onionmsg_tlv"}
        hops = random.choice((1, 2, 3)) if size != 400 else random.choice((1, 2))
        payloads = [self.stream()[:9] if size == 400 else self.stream() for _ in range(hops)]
        if options.get("tlv_stream_name"):
            payloads = [b"\x04" + bigsize(len(p)) + p for p in payloads]
        usual = True
        if size == 1300 and not options and random.random() < 0.2:
            usual = random.random() < 0.8
            payloads[0] = self.trampoline_payload(session_key, data, usual)
            hops, payloads = 1, payloads[:1]
        onion = build_onion(
            [_single.base_mul(key), *(self.point() for _ in range(hops - 1))],
            payloads,
            session_key,
            data,
            hop_payloads_size=size,
        )
        packet = onion.packet
        if random.random() < 0.3:
            usual = False
            secret = bytes(onion.secrets.shared_secret(0))
            filled = (self.odd_frame() + random.randbytes(size))[:size]
            rho = _single.chacha20_stream(_single.hmac_sha256(b"rho", secret), size)
            hidden = bytes(a ^ b for a, b in zip(filled, rho, strict=True))
            packet = packet[:34] + hidden + _single.hmac_sha256(_single.hmac_sha256(b"mu", secret), hidden + data)
        fields = {"public_key": packet[1:34].hex(), "hops_data": packet[34:-32].hex(), "hmac": packet[-32:].hex()}
        case: Case = {"op": "process", "packet": fields, "privkey": key.hex(), "associated_data": data.hex(), **options}
        if random.random() < 0.3:
            usual = False
            fault = random.randrange(7)
            if fault == 0:
                fields["hmac"] = random.randbytes(32).hex()
            elif fault == 1:
                case["associated_data"] = self.hex(40)
            elif fault == 2:
                case["privkey"] = random.choice((*BAD_SCALARS, scalar(random))).hex()
            elif fault == 3:
                fields["public_key"] = random.choice((BAD_POINTS[0], BAD_POINTS[1], self.point())).hex()
            elif fault == 4:
                fields["hops_data"] = (packet[34:-32] + bytes(5))[: random.choice((400, 1299, 1300, 1305))].hex()
            elif fault == 5:
                case["is_trampoline"] = not case.get("is_trampoline", False)
            elif self.blinds:
                fields["version"] = 1
        return case, usual

    # ------------------------------------------------------------ failures

    def failing(self) -> tuple[Case, bool]:
        """(a failure on its way back, whether a node of a route of at most 27 hops sent it)."""
        random = self.random
        hops = random.choice((1, 2, 4, 8, 20, 20, 27, 28, 31) if random.random() < 0.2 else (1, 2, 3, 4, 8))
        route = [self.point() for _ in range(hops)]
        session_key = scalar(random)
        onion = build_onion(route, [b"ab"] * hops, session_key, b"", hop_payloads_size=35 * hops)
        secrets = [bytes(onion.secrets.shared_secret(i)) for i in range(hops)]
        erring = random.randrange(hops)
        code = random.choice((0x2002, 0x6002, 0x400F, 0x1007, 0x4016, 0x0017, 0x0001, 0xC005, 0x4321))
        message = code.to_bytes(2, "big") + random.randbytes(random.choice((0, 0, 12, 136)))
        pad = max(0, 256 - len(message))
        body = len(message).to_bytes(2, "big") + message + pad.to_bytes(2, "big") + bytes(pad)
        if random.random() < 0.1:
            body = random.randbytes(random.choice((0, 1, 2, 100, 1000)))
        packet = _single.hmac_sha256(_single.hmac_sha256(b"um", secrets[erring]), body) + body
        for secret in reversed(secrets[: erring + 1]):
            stream = _single.chacha20_stream(_single.hmac_sha256(b"ammag", secret), len(packet))
            packet = bytes(a ^ b for a, b in zip(packet, stream, strict=True))
        usual = hops <= 27
        if random.random() < 0.2:
            usual = False
            packet = packet[:-1] if random.random() < 0.5 else random.randbytes(random.choice((0, 10, 32, 292)))
        case = {
            "op": "decode",
            "packet": packet.hex(),
            "public_keys": [key.hex() for key in route],
            "session_key": session_key.hex(),
        }
        if random.random() < 0.1:
            usual = False
            case["session_key"] = random.choice(BAD_SCALARS).hex()
        elif random.random() < 0.1:
            usual = False
            case["public_keys"] = random.choice(([], [random.choice(BAD_POINTS).hex()], [GENERATOR.hex()]))
        return case, usual

    # ------------------------------------------------------------ the smaller functions

    def small(self) -> tuple[Case, bool]:
        """A call of one of the others, with good or bad keys."""
        random = self.random
        usual = random.random() < 0.7
        key = scalar(random) if usual else random.choice(BAD_SCALARS)
        point = self.point() if usual or random.random() < 0.5 else random.choice((*BAD_POINTS, GENERATOR))
        data = random.randbytes(random.choice((0, 8, 12)) if usual else random.choice((0, 8, 250, 253, 254, 300)))
        code = random.choice((0x400F, 0x2002, 0x1007))
        secret = random.randbytes(32)
        cases: list[Case] = [
            {"op": "secrets", "public_keys": [*self.route(6), point.hex()], "session_key": key.hex()},
            {"op": "key", "key_type": random.choice(("rho", "mu", "um", "pad", "ammag")), "secret": secret.hex()},
            {"op": "stream", "stream_key": secret.hex(), "num_bytes": random.choice((0, 1, 292, 1300, 2600))},
        ]
        if self.release >= (4, 4):
            cases.append({"op": "obfuscate", "packet": self.hex(300), "public_key": point.hex(), "privkey": key.hex()})
        if self.release >= (4, 4) or len(point) == 33:  # before, an OnionPacket is made of it
            cases.append({"op": "construct", "code": code, "data": data.hex(), "public_key": point.hex()})
            cases[-1] |= {"privkey": key.hex(), "height": random.choice((0, 800_000))}
        if self.blinds:
            cases.append({"op": "blinded_node_id", "node_id": point.hex(), "secret": secret.hex()})
            cases.append({"op": "blinded_privkey", "privkey": key.hex(), "blinding": point.hex()})
            cases.append({"op": "next_blinding", "public_key": point.hex(), "secret": secret.hex()})
        if not usual:
            cases.append({"op": "key", "key_type": random.choice(("ammagext", "blinded_node_id", "x")), "secret": ""})
            cases.append({"op": "stream", "stream_key": self.hex(40), "num_bytes": random.choice((-1, 64, 2**20 + 1))})
            if random.random() < 0.2:
                cases.append({"op": "secrets", "public_keys": [], "session_key": key.hex()})
        return random.choice(cases), usual
