"""How the daemon logs: readable lines on standard error, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import os
import sys
import time

FIELDS = "fields"
"""The `extra` key under which a record carries numbers for the JSON form."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, message, and the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(level: str, json_lines: bool) -> None:
    """Log to standard error; under systemd, whose journal adds the time, without one."""
    handler = logging.StreamHandler(sys.stderr)
    if json_lines:
        handler.setFormatter(JsonFormatter())
    else:
        stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
        handler.setFormatter(logging.Formatter(stamp + "%(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
