"""Operational log lines: what the process did, never what the data says. The access log is another thing (audit/)."""

import logging
import secrets
import sys

import structlog


def configure(*, level: str = "INFO", as_json: bool = False) -> None:
    """Send structured lines to standard error. Tracebacks are rendered without local variables."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(_TRACELESS)


class _Traceless(logging.Filter):
    """Turns a foreign logger's traceback into an incident: the text of an exception may quote a cell."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass, without the exception it carries."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            record.msg, record.args = "something failed; the incident is %s", (incident("server", error),)
            record.exc_info, record.exc_text = None, None
        return True


_TRACELESS = _Traceless()


def logger(room: str) -> structlog.stdlib.BoundLogger:
    """The logger of one room of the house."""
    log: structlog.stdlib.BoundLogger = structlog.get_logger(room=room)
    return log


def incident(room: str, error: BaseException) -> str:
    """Log an unexpected failure by type and place in our code, and return the id to show outside.

    The exception's text is left out on purpose: texts of foreign libraries may quote a cell.
    """
    number = secrets.token_hex(6)
    trace = error.__traceback__
    where = []
    while trace is not None:
        code = trace.tb_frame.f_code
        where.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}:{code.co_name}")
        trace = trace.tb_next
    logger(room).error("incident", incident=number, kind=type(error).__name__, where=where[-6:])
    return number
