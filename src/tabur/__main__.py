"""`python -m tabur`: the same as the command `tabur`."""

from tabur.cli import main

if __name__ == "__main__":
    main()
