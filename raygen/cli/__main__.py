"""Run the command line as `python -m raygen.cli`."""

from raygen.cli.main import main

main()
