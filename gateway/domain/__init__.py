"""The nouns and the moves: frozen values without clock, disk or framework."""
