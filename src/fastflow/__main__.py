"""`python -m fastflow`."""

from fastflow.cli.main import main

if __name__ == "__main__":
    main()
