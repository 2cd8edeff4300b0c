"""This project as a peer."""
