"""Reads scalefs volumes. Written from FORMAT.md alone, independent of the C++ that writes them."""
