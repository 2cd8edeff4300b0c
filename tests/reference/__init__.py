"""A slow, obvious implementation of BOLT 1, BOLT 4 and bLIP 3 in pure Python, written from the specifications.

It shares no code with the product and is what the product is compared to. It is not constant-time and wipes nothing:
never give it a key that guards money.
"""
