"""The one table of exit codes: every command ends with one of these, and docs/cli.md is made from it."""

from enum import IntEnum


class Exit(IntEnum):
    """What a command ends with."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    DIFFERS = 3
    MISFIT = 4
    MISSES = 5
    DOUBTFUL = 6
    BUG = 70
    INTERRUPTED = 130


MEANING: dict[Exit, str] = {
    Exit.OK: "done; a plan fits, and meets its targets where there are any",
    Exit.REFUSED: "refused in words: an option, a file or an answer cannot be used, or a check found a fault",
    Exit.USAGE: "the command line is not understood",
    Exit.DIFFERS: "`--check`: the file differs from what would be written",
    Exit.MISFIT: "the model does not fit, or nothing in the data serves the workload",
    Exit.MISSES: "a plan fits, and misses a target of the workload",
    Exit.DOUBTFUL: "the plan is predicted not to start, inside the error band of the estimate",
    Exit.BUG: "a bug of this tool; `--debug` shows the traceback",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
}
