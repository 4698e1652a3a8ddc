"""`python -m opencwm` is the `opencwm` command."""

from opencwm.cli.main import main

if __name__ == "__main__":
    main()
