"""The commands of the program `eventwriter`, one a file.

A command is a module with these names:

    SUMMARY             one line for the list of commands
    EXAMPLE             a call to type
    HELP                what `eventwriter COMMAND --help` says above the arguments
    arguments(parser)   adds the command's arguments to an `argparse` parser
    run(options)        carries the command out; prints its results, raises its errors

Every call of the program imports all of these modules. So that help and mistakes are answered at
once, a command imports TensorBoard, the demo and other slow modules inside `run`.

Modules whose names begin with an underscore are shared by several commands.
"""

NAMES = ("demo", "view", "inspect")
"""The commands, in the order in which the help lists them. A test compares it with the folder."""
