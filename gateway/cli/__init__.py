"""The command line: read the words, call one action, write the answer."""
