"""The pages for the three people: read a form, call one action, write HTML. Nothing is decided here."""
