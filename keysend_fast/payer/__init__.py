"""The streaming payer: feeds and splits in, routes planned, onions out, every millisatoshi accounted for."""
