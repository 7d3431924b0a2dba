"""The only room where bytes become secret: keys, recipients, sealing, signing."""
