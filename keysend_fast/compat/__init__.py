"""Other libraries' function shapes over this core: users of Electrum, pyln-proto and coincurve change one line."""
