"""klepaas: the MCP server through which an LLM client runs a platform.

This package is the server and the kit for plugin authors. It knows no cloud and no cluster: everything that does is a
plugin, found through the entry-point group `klepaas`. Importing it loads nothing heavy.
"""

__version__ = "0.1.0"
