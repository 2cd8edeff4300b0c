"""Entry point of ``keysend-fast``: runs the commands and turns every end into its exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from keysend_fast.cli.exits import Exit
from keysend_fast.errors import KeysendFastError, MissingDependencyError

__all__ = ["main"]


def _leave(code: int, message: str | None = None) -> NoReturn:
    if message:
        print(f"keysend-fast: {message}", file=sys.stderr)
    sys.exit(code)


def main() -> NoReturn:
    """Run the command that argv names and exit with its code (keysend_fast.cli.exits)."""
    try:
        import click  # noqa: PLC0415 - an extra: without it there is a message, not a traceback
        import rich  # noqa: F401, PLC0415
    except ModuleNotFoundError as e:
        _leave(Exit.MISSING, f"the commands need click and rich ({e}): pip install 'keysend-fast[cli]'")
    from keysend_fast.cli.commands import cli  # noqa: PLC0415 - needs click

    try:
        _leave(cli.main(prog_name="keysend-fast", standalone_mode=False) or Exit.DONE)
    except click.ClickException as e:
        e.show()
        _leave(e.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _leave(Exit.INTERRUPTED, "interrupted")
    except MissingDependencyError as e:
        _leave(Exit.MISSING, str(e))
    except KeysendFastError as e:
        _leave(Exit.INCOMPLETE, str(e))
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _leave(Exit.INCOMPLETE)


if __name__ == "__main__":
    main()
