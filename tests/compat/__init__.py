"""The real libraries in environments of their own, as oracles for keysend_fast.compat."""
