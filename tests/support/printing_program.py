"""A program that prints while it is imported, which must not reach the messages of a protocol."""

import sys

from served_programs import storyteller as tell

__all__ = ["tell"]

sys.stdout.write("not a message\n")
