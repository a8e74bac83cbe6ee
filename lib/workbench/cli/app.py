"""How every command ends: on any signal, error or trouble with a file, with one exit code and one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from workbench.core.errors import RequestError, RunError, in_words
from workbench.core.printed import redact_output
from workbench.core.processes import ignore_signals, interrupt_on_signals
from workbench.core.secrets import secrets_of_process

_UNREAD = 141  # what a shell says of a program whose output nobody reads: 128 and the number of SIGPIPE


def main() -> None:
    """Run the command line, with one sentence on standard error for each thing that is wrong with a request."""
    interrupt_on_signals()
    try:
        code, sentences = _outcome()
        ignore_signals()  # Python would handle them no more, and the exit code be theirs
        for sentence in sentences:
            print(f"workbench: {sentence}", file=sys.stderr)
    except OSError:  # nobody reads standard error any more
        code = _UNREAD
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:  # Python would complain of it once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _outcome() -> tuple[int, Sequence[str]]:
    """The exit code of the command that is on the command line, and what is to be said on standard error."""
    try:
        redact_output(secrets_of_process())
        from workbench.cli.commands import call  # takes half a second, in which signals are handled already

        code = call()
        print(end="", flush=True)  # a disk may be full, too, to which standard output goes
    except RequestError as error:
        return 2, error.sentences
    except RunError as error:
        return 1, error.sentences
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        return _UNREAD, []
    except OSError as error:
        return 1, [in_words(error)]
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return getattr(error, "exit_code", 1), [error.format_message()]  # Click's own usage errors
    if code == 130:
        exec("")  # where Ctrl-C came in another `exec`, CPython would take it for unhandled, and end by SIGINT
        return code, ["interrupted"]
    return code if isinstance(code, int) else 0, []


if __name__ == "__main__":
    main()
