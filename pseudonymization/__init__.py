"""What is done to data: a library without people, web, database or clock."""
