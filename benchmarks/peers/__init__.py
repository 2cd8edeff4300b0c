"""The same onions made by every implementation that people know, side by side (see README.md here)."""
