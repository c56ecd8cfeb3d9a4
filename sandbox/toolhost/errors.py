"""How a call fails: a code from a closed list, and text for whoever asked."""


class CallFailed(Exception):
    """The call ends here, with an error the caller can act on."""

    code = "tool_error"


class BadArguments(CallFailed):
    """The arguments are not what the tool takes."""

    code = "bad_arguments"


class NotFound(CallFailed):
    """There is no such tool, module or file."""

    code = "not_found"


class ResultTooLarge(CallFailed):
    """The result is longer than a result may be."""

    code = "result_too_large"
