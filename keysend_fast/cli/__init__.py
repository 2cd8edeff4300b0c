"""Commands, progress bars and tables (extra ``cli``). Nothing below this package knows that it exists."""
