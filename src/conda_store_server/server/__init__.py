"""What configuration files import of the server."""
