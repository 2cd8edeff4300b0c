"""Core Lightning's pyln-proto as a peer."""
