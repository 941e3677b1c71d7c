"""Every error this package raises on purpose, under one root.

Each class has a `code`: the word other programs see in a `failed` event or after `ERR` on a serial line.
"""

from __future__ import annotations


class EdgeTtsError(Exception):
    """Root of all errors raised by this package."""

    code = "internal"


class ConfigError(EdgeTtsError, ValueError):
    """A configuration key is unknown or its value does not fit."""

    code = "config"


class BadRequest(EdgeTtsError, ValueError):
    """A request could not be understood; the message says which field and what to do."""

    code = "bad_request"


class NothingToSay(BadRequest):
    """The text held nothing that can be spoken (empty, or only symbols without a reading)."""

    code = "nothing_to_say"


class TextTooLong(BadRequest):
    """The text is longer than the limit for one request."""

    code = "text_too_long"


class LineTooLong(TextTooLong):
    """A line went on beyond the limit; the rest of it is not read."""

    code = "line_too_long"


class InvalidEncoding(BadRequest):
    """The bytes were not valid UTF-8."""

    code = "invalid_utf8"


class UnknownVoice(BadRequest, LookupError):
    """The request names a voice that is not installed."""

    code = "unknown_voice"


class UnknownLanguage(BadRequest, LookupError):
    """No front end or no voice speaks the language asked for."""

    code = "unknown_language"


class QueueFull(EdgeTtsError):
    """The queue is full of requests that may not be dropped for this one."""

    code = "queue_full"


class VoiceError(EdgeTtsError, RuntimeError):
    """A voice failed while it was speaking."""

    code = "voice_failed"


class BundleError(EdgeTtsError, ValueError):
    """A voice folder cannot be loaded; the message names the file that is at fault."""

    code = "bad_bundle"


class AudioDeviceError(EdgeTtsError, OSError):
    """The sound device is absent, busy or was unplugged."""

    code = "audio_device"


class SourceError(EdgeTtsError, OSError):
    """A broker or a serial port could not be reached."""

    code = "source"
