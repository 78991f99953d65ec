"""The command line: `python -m loadtest --help`."""

from loadtest.cli import main

if __name__ == "__main__":
    main()
