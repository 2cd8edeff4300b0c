"""``python -m keysend_fast``: the same as the command ``keysend-fast``."""

from keysend_fast.cli.__main__ import main

if __name__ == "__main__":
    main()
