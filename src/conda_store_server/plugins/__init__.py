"""Where earlier servers had the types of lock plugins.

Importing it raises ImportError: a plugin that could be imported, and then was never called, would be worse.
"""

raise ImportError("conda_store_server.plugins is gone: lock plugins are not called, locks are solved by rattler")
