"""Other implementations as oracles, through the adapters of benchmarks/peers."""
