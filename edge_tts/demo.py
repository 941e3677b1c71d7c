"""The daemon as a person first meets it: with a broker and a serial line of its own, and a greeting."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from edge_tts.audio.devices import query
from edge_tts.config import Config, SerialTable
from edge_tts.errors import SourceError
from edge_tts.request import make_request
from edge_tts.sources.once import OnceSource
from edge_tts.try_out import null_modem, private_broker
from edge_tts.wiring import make_daemon, make_sink, make_sources

GREETING = "Hello! I am the voice of this board. Publish a text, and I will say it."
SERIAL_LINK = Path(".run/serial")
SPOKEN = Path("spoken")


def run_demo(config: Config, say: Callable[[str], None] = print) -> int:
    """Run the daemon until Ctrl-C and tell what a person can do with it."""
    # Until the daemon runs and handles it: leave in good order, so that the broker is not left behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with contextlib.ExitStack() as stack:
        config, broker = _with_broker(config, stack)
        port = SerialTable(port=str(stack.enter_context(null_modem(SERIAL_LINK))))
        config = config.model_copy(update={"serial": (*config.serial, port)})
        config, remark = _with_sound(config)
        sink = make_sink(config.audio)
        daemon = make_daemon(config, sink)
        greeting = OnceSource(make_request({"text": GREETING}, source="once"), daemon)

        def introduce() -> None:
            say(f"sound   {sink.description}{remark}")
            say(f"broker  {broker}")
            if config.mqtt.enabled:
                say(f"speak   mosquitto_pub -t {config.mqtt.base_topic}/say -m 'The door is open.'")
                say(f"stop    mosquitto_pub -t {config.mqtt.base_topic}/stop -n")
            say(f"serial  echo 'Battery at 80%.' > {SERIAL_LINK}")
            say("Ctrl-C ends it.")

        with daemon.stopped_by_signals():
            daemon.run([*make_sources(config, daemon), greeting], on_ready=introduce)
    return 0


def _with_broker(config: Config, stack: contextlib.ExitStack) -> tuple[Config, str]:
    """The configuration as it can be used, and a line about the broker; one is started on loopback if none listens."""
    if not config.mqtt.enabled:
        return config, "none (mqtt.enabled is false)"
    if config.mqtt.host not in {"localhost", "127.0.0.1", "::1"}:
        return config, f"{config.mqtt.host}:{config.mqtt.port}"
    try:
        return config, stack.enter_context(private_broker(config.mqtt.port))
    except SourceError as error:
        return config.model_copy(update={"mqtt": config.mqtt.model_copy(update={"enabled": False})}), f"none: {error}"


def _with_sound(config: Config) -> tuple[Config, str]:
    """The configuration with WAV files in place of a sound device where there is none, and a remark that says so."""
    if config.audio.device is not None or query():
        return config, ""
    audio = config.audio.model_copy(update={"device": f"wav:{SPOKEN}"})
    return config.model_copy(update={"audio": audio}), " (no sound device was found)"
