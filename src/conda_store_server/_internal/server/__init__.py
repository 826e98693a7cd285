"""What configuration files import from inside of earlier servers."""
