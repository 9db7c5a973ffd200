"""Entry point of `klepaas` and `python -m klepaas`."""

import os
import sys

__all__ = ["main"]

# Read by FastMCP and pydantic when they are first imported. A .env file in the working folder must not set anything;
# pydantic's own plugins would be a stranger's code that nobody guards, and one malformed distribution anywhere on the
# path would make each of its models fail; the others save start-up time and noise.
_ENVIRONMENT = {
    "FASTMCP_ENV_FILE": os.devnull,
    "FASTMCP_LOG_ENABLED": "false",
    "FASTMCP_CHECK_FOR_UPDATES": "off",
    "FASTMCP_MCP_CAMELCASE_COMPAT": "false",
    "PY_KEY_VALUE_DISABLE_BEARTYPE": "true",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}


def main() -> None:
    """Run the command line and exit with its code."""
    os.environ.update(_ENVIRONMENT)
    try:
        from klepaas.startup import collect_garbage_rarely

        collect_garbage_rarely()
        from klepaas.cli import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # also while importing
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
