"""Who vouches for people: each way to log in is a class that operators may subclass in their configuration."""
