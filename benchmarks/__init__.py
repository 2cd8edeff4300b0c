"""Benchmarks of keysend_fast; `python -m benchmarks` lists them."""
