"""The pages: rendered on the server, through the same services as the API."""
