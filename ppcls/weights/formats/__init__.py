"""Formats of weight files, one module for each: bytes become arrays by name, and back."""
