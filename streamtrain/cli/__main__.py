"""Run the command line as `python -m streamtrain.cli`."""

from streamtrain.cli.main import main

main()
