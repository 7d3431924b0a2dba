"""What a study's columns are: profiled, proposed by rule and content, settled by a steward in a column file."""
