"""What a partner runs: ask, download, verify offline, decrypt, load. Needs no gateway and no database."""
