"""Entry point of `klepaas` and `python -m klepaas`."""

import os
import sys

__all__ = ["main"]

# Read by FastMCP when it is first imported. A .env file in the working folder must not set anything; the other four
# save start-up time and noise.
_FASTMCP_ENVIRONMENT = {
    "FASTMCP_ENV_FILE": os.devnull,
    "FASTMCP_LOG_ENABLED": "false",
    "FASTMCP_CHECK_FOR_UPDATES": "off",
    "FASTMCP_MCP_CAMELCASE_COMPAT": "false",
    "PY_KEY_VALUE_DISABLE_BEARTYPE": "true",
}


def main() -> None:
    """Run the command line and exit with its code."""
    os.environ.update(_FASTMCP_ENVIRONMENT)
    from klepaas.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
