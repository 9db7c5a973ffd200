"""Where settings come from, which there are, and whether they are right.

    toml_file   the one optional file
    places      where one setting can be given, and what is given there
    registry    every settings class of the server and its plugins
    check       `klepaas config check`
    clients     `klepaas config client`

The classes themselves are `klepaas.settings` and the plugins'. Nothing here is imported before it is needed, except
what reads a value.
"""
