"""Finds the scalars for which the last addition of csrc/secp256k1/var_impl.h meets equal points, and so must double.

    python tests/c/exceptional_scalars.py

A scalar is e = k1 + lambda k2 with halves of 26 odd digits of 5 bits. The sum before the last addition has coordinates
(k1, k2) - T in the basis (P, lambda P), T = digits 0 and 13 of both halves; it equals T exactly where
(k1, k2) = 2 T + w with w in the lattice of relations. T is below 2^71, so w is among the lattice vectors below 2^131;
each of them is tried with every T.
"""

from __future__ import annotations

N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
LAMBDA = 0x5363AD4CC05C30E0A5261C028812645A122E22EA20816678DF02967C1B23BD72
A1, MINUS_B1 = 0x3086D221A7D46BCDE86C90E49284EB15, 0xE4437ED6010E88286F547FA90ABFE4C3
A2 = 0x114CA50F7A8E2F3F657C1108D9D44CFD8
W, DIGITS = 5, 26
ODD = [d for d in range(1 - 2**W, 2**W) if d % 2]


def halves(e: int) -> tuple[int, int]:
    """As ksf_scalar_to_glv: round, then make both odd by adding (a1, b1) and (a2, a1)."""
    g1, g2 = ((2**385 * v + N) // (2 * N) for v in (A1, MINUS_B1))
    c1, c2 = ((e * g + 2**383) >> 384 for g in (g1, g2))
    k1, k2 = e - c1 * A1 - c2 * A2, c1 * MINUS_B1 - c2 * A1
    if k1 % 2 == 0:
        k1, k2 = k1 + A1, k2 - MINUS_B1
    if k2 % 2 == 0:
        k1, k2 = k1 + A2, k2 + A1
    assert (k1 + LAMBDA * k2 - e) % N == 0 and k1 % 2 and k2 % 2 and abs(k1) < 2**129 and abs(k2) < 2**129
    return k1, k2


def digits(k: int) -> list[int]:
    """26 odd digits of 5 bits whose sum of d_j 2^(5j) is k, odd."""
    v = abs(k) >> 1 | 1 << W * DIGITS - 1
    found = [(2 * (v >> W * j & 2**W - 1) - 2**W + 1) * (1 if k > 0 else -1) for j in range(DIGITS)]
    assert sum(d << W * j for j, d in enumerate(found)) == k
    return found


def candidates(w: int) -> list[int]:
    """Odd k below 2^130 with k = 2 (d_0 + 2^65 d_13) + w, d_0 and d_13 its own digits."""
    found = []
    for low in ODD:
        for high in ODD:
            k = 2 * (low + (high << W * DIGITS // 2)) + w
            if abs(k) < 2 ** (W * DIGITS) and digits(k)[0 :: DIGITS // 2] == [low, high]:
                found.append(k)
    return found


def exceptional_scalars() -> list[int]:
    found = set()
    for i in range(-9, 10):
        for j in range(-9, 10):
            w1, w2 = i * A1 + j * A2, -i * MINUS_B1 + j * A1
            if w1 % 2 == 0 or w2 % 2 == 0:
                continue  # 2 T + w would be even
            for k1 in candidates(w1):
                for k2 in candidates(w2):
                    e = (k1 + LAMBDA * k2) % N
                    if e and halves(e) == (k1, k2):
                        found.add(e)
    return sorted(found)


if __name__ == "__main__":
    for scalar in exceptional_scalars():
        print(f"{scalar:064x}")
