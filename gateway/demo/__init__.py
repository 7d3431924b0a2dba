"""Synthetic studies: a trial to try the gateway on, a large one to time it, a canary one to catch leaks.

This room invents data and knows nothing of the rest of the gateway.
"""
