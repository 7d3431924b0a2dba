"""Who asks, who decides, what leaves."""
