"""Hand-written Python onion loops over coincurve: what this project is measured against."""
