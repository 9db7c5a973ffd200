"""How klepaas itself and everything that it depends on is: tools for a client, and the checks of its own machine."""
