"""One function for each thing a person can do. Its name is the access rule's action, the URL's verb and the event."""
