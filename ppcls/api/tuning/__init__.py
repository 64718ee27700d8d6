"""Trying settings out: what is searched (`search`), the trials (`study`), and what they came to
(`results`).
"""
