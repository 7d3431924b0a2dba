"""The HTTP door under /v1: read the call, call one action, write the answer."""
