"""Asking web servers that nobody vouches for: addresses, redirections, time, private networks."""
