"""Writes small_curve.h: curves y^2 = x^3 + b over secp256k1's field with a subgroup so small that every scalar can be tried.

    python tests/c/small_curves.py > tests/c/small_curve.h

The six curves with complex multiplication by the cube roots of unity over this field have orders p + 1 - t for the six values t
below (SEC 2 gives one of them); small primes divide the others. A comb of window w with nw digits is admissible where
w (nw - 1) < bits of n <= w nw, and its split where bit w * split of n is 0 (docs/batched-ecdh.md).
"""

from __future__ import annotations

from math import isqrt

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ORDERS = (199, 10903, 109903, 5290657)
WINDOWS = (5, 6, 7, 8)

Point = tuple[int, int] | None


def add(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(k: int, a: Point) -> Point:
    result: Point = None
    while k:
        if k & 1:
            result = add(result, a)
        a, k = add(a, a), k >> 1
    return result


def curve_orders() -> list[int]:
    t = P + 1 - N
    v = isqrt((4 * P - t * t) // 3)
    assert t * t + 3 * v * v == 4 * P
    return [P + 1 - s * u for u in (t, (t + 3 * v) // 2, (t - 3 * v) // 2) for s in (1, -1)]


def subgroup(order: int) -> tuple[int, tuple[int, int]]:
    """The smallest b, and on its curve the first point in x whose multiple has this prime order."""
    (curve,) = (total for total in curve_orders() if total % order == 0)
    for b in range(1, 100):
        for x in range(1, 100):
            y2 = (x**3 + b) % P
            y = pow(y2, (P + 1) // 4, P)
            if y * y % P != y2:
                continue
            if multiply(curve, (x, y)) is not None:
                break  # another of the six curves
            point = multiply(curve // order, (x, y))
            if point is not None:
                return b, point
    raise AssertionError(order)


def combs(order: int) -> list[tuple[int, int, int]]:
    """Admissible (w, nw, split), the split nearest the middle; none for windows where no bit fits."""
    found = []
    for w in WINDOWS:
        nw = -(-order.bit_length() // w)
        splits = [s for s in range(1, nw) if not order >> w * s & 1]
        if splits:
            found.append((w, nw, min(splits, key=lambda s: (abs(2 * s - nw), s))))
    return found


def words(value: int) -> str:
    return "{" + ", ".join(f"0x{value >> 64 * i & 2**64 - 1:016X}ULL" for i in range(4)) + "}"


def header() -> str:
    lines = [
        "/* small_curve.h - written by small_curves.py: in the place of csrc/secp256k1/curve.h's constants, those of a curve",
        " * y^2 = x^3 + b over the same field with a subgroup of KSF_EXHAUSTIVE_ORDER points. */",
        "/* clang-format off */",
        "#ifndef KSF_SMALL_CURVE_H",
        "#define KSF_SMALL_CURVE_H",
        "#define KSF_N0 KSF_EXHAUSTIVE_ORDER",
        "#define KSF_N1 0",
        "#define KSF_N2 0",
        "#define KSF_N3 0",
    ]
    for i, order in enumerate(ORDERS):
        b, (x, y) = subgroup(order)
        rows = " ".join(f"X({w}, {nw}, {split})" for w, nw, split in combs(order))
        lines += [
            f"#{'el' if i else ''}if KSF_EXHAUSTIVE_ORDER == {order}",
            f"#define KSF_CURVE_B {b}",
            f"#define KSF_CURVE_BITS {order.bit_length()}",
            f"#define KSF_GX {words(x)}",
            f"#define KSF_GY {words(y)}",
            f"#define KSF_COMB_WINDOWS(X) {rows}",
        ]
    return "\n".join([*lines, "#else", '#error "no such order"', "#endif", "#endif", ""])


if __name__ == "__main__":
    print(header(), end="")
