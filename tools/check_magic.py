"""Evaluates every `check-magic: <literal> == <expression>` in csrc/ and fails where the two differ.

Expressions are integers over secp256k1's constants, typed here a second time: p, n (SEC 2, section 2.4.1), gx, gy, and lam, beta,
the nontrivial cube roots of 1 mod n and mod p that belong together. Run by `make lint`.
"""

from __future__ import annotations

import ast
import operator
import re
import sys
from collections.abc import Callable
from pathlib import Path

CONSTANTS = {
    "p": 2**256 - 2**32 - 977,
    "n": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    "gx": 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    "gy": 0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
    "lam": 0x5363AD4CC05C30E0A5261C028812645A122E22EA20816678DF02967C1B23BD72,
    "beta": 0x7AE96A2B657C07106E64479EAC3434E99CF0497512F58995C1396C28719501EE,
}
OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
# one comment may hold several checks, each on a line of its own; a backslash at the end belongs to the macro around it
CHECK = re.compile(r"check-magic:\s*(?P<left>.+?)\s*==\s*(?P<right>.+?)\s*(?:\*/.*)?\\?$")


def evaluate(node: ast.expr) -> int:
    """The integer an expression stands for; ValueError for anything but integers, constants, operators and pow()."""
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -evaluate(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](evaluate(left), evaluate(right))
        case ast.Call(func=ast.Name(id="pow"), args=args, keywords=[]) if len(args) in (2, 3):
            return pow(*map(evaluate, args))
    raise ValueError(f"not allowed here: {ast.unparse(node)}")


def check_file(path: Path) -> tuple[int, list[str]]:
    """How many checks a file has, and what is wrong with them."""
    checked, errors = 0, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if "check-magic" not in line:
            continue
        checked += 1
        try:
            found = CHECK.search(line.rstrip())
            if found is None:
                raise ValueError("not of the form `check-magic: <literal> == <expression>`")
            left, right = (evaluate(ast.parse(found[side], mode="eval").body) for side in ("left", "right"))
            if left != right:
                raise ValueError(f"{left:#x} is not {right:#x}")
        except (ValueError, SyntaxError, ZeroDivisionError) as error:
            errors.append(f"{path}:{number}: {error}")
    return checked, errors


def main(argv: list[str]) -> int:
    root = Path(argv[1]) if len(argv) > 1 else Path(__file__).resolve().parent.parent / "csrc"
    assert pow(CONSTANTS["lam"], 3, CONSTANTS["n"]) == 1 == pow(CONSTANTS["beta"], 3, CONSTANTS["p"])
    results = [check_file(path) for path in sorted(root.rglob("*.[ch]"))]
    errors = [error for _, found in results for error in found]
    print(*errors, sep="\n", end="\n" if errors else "", file=sys.stderr)
    checked = sum(count for count, _ in results)
    print(f"{checked} magic constants checked, {len(errors)} wrong")
    return 1 if errors or not checked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
