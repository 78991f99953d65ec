"""The command line: `python -m loadtest --help`."""

import sys

if __name__ == "__main__":
    try:
        from loadtest.cli import main

        main()
    except KeyboardInterrupt:  # while it was still being loaded
        sys.exit(130)
