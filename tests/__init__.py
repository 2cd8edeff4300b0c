"""The test suite of keysend_fast."""
