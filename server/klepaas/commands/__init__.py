"""The command line's tree: which commands there are, how they are read, and what those that are no tool do.

    parser        reads the words of one command, and says what was meant when they are wrong
    tree          every command, klepaas' own and the plugins'
    configuration `klepaas config check` and `config client`
    audit         `klepaas audit show`, `export` and `verify`
    completion    `klepaas completion`

`klepaas.cli` runs them and answers for errors and exit codes.
"""
