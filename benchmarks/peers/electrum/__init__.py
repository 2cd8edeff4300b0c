"""Electrum's lnonion as a peer."""
