"""Concrete sinks, voices, front ends and sources, put together as the configuration says."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edge_tts.audio.sink import AudioSink
from edge_tts.cache import PhraseCache
from edge_tts.config import AudioTable, Config, MqttTable
from edge_tts.daemon import Daemon
from edge_tts.frontend.base import SpokenPart
from edge_tts.frontend.parts import parts
from edge_tts.rendering import Renderer
from edge_tts.request import SpeechRequest
from edge_tts.sources.base import RequestHandler, RequestSource
from edge_tts.synthesizer import Synthesizer
from edge_tts.voices.base import ChunkPlan
from edge_tts.voices.store import VoiceStore

if TYPE_CHECKING:
    from edge_tts.sources.mqtt_client import MqttOptions

WAV_PREFIX = "wav:"
SERVICE_STATE = Path("/var/lib/edge-tts")


def state_folder() -> Path:
    """Where choices and phrases are kept: systemd's StateDirectory, the service's own if we may, else the user's."""
    given = os.environ.get("STATE_DIRECTORY")
    if given:
        return Path(given.split(":")[0])
    if os.access(SERVICE_STATE, os.W_OK):
        return SERVICE_STATE
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "edge-tts"


def front_end(request: SpeechRequest, language: str) -> Iterable[SpokenPart]:
    """The request's sentences. Raises BadRequest or one of its kinds."""
    return parts(text=request.text, ssml=request.ssml, phonemes=request.phonemes, language=language)


def make_sink(audio: AudioTable) -> AudioSink:
    """The sound device, or with `wav:FOLDER` as the device a folder of WAV files."""
    if isinstance(audio.device, str) and audio.device.startswith(WAV_PREFIX):
        from edge_tts.audio.wav_sink import WavSink

        return WavSink(Path(audio.device.removeprefix(WAV_PREFIX)), volume=audio.volume)
    from edge_tts.audio.sounddevice_sink import SoundDeviceSink

    return SoundDeviceSink(audio.device, latency_ms=audio.latency_ms, keep_warm=audio.keep_warm, volume=audio.volume)


def make_voices(config: Config) -> VoiceStore:
    """The store of installed voices; nothing is loaded yet."""
    voice = config.voice
    return VoiceStore(voice.default, voice.directory, voice.precision, voice.threads, state_folder())


def make_renderer(config: Config, voices: VoiceStore) -> Renderer:
    """The renderer with its cache of phrases, some of which may have been rendered ahead of time."""
    streaming = config.streaming
    plan = ChunkPlan(streaming.first_chunk_ms, streaming.chunk_ms, streaming.overlap_window)
    cache = PhraseCache(config.voice.cache_mb << 20, state_folder() / "phrases")
    return Renderer(cache, plan, voices.edition)


def make_daemon(config: Config, sink: AudioSink | None = None) -> Daemon:
    """A daemon for this configuration; `sink` replaces the configured one."""
    voices = make_voices(config)
    used = sink if sink is not None else make_sink(config.audio)
    renderer = make_renderer(config, voices)
    return Daemon(
        lambda emit, metrics: Synthesizer(front_end, voices, used, emit, renderer, metrics),
        voices,
        used,
        queue_size=config.queue.size,
        duplicate_window=config.queue.duplicate_window,
    )


def make_sources(config: Config, handler: RequestHandler) -> list[RequestSource]:
    """The broker and the serial ports that the configuration names."""
    sources: list[RequestSource] = []
    if config.mqtt.enabled:
        from edge_tts.sources.mqtt import MqttSource

        sources.append(MqttSource(mqtt_options(config.mqtt), config.device.id, handler))
    if config.serial:
        from edge_tts.sources.serial_port import SerialSource

        sources += [SerialSource(table.port, handler, baud=table.baud) for table in config.serial]
    return sources


def mqtt_options(table: MqttTable) -> MqttOptions:
    """Where the broker is and how to enter, as the configuration says."""
    from edge_tts.sources.mqtt_client import MqttOptions, TlsOptions

    tls = TlsOptions(**table.tls.model_dump()) if table.tls else None
    return MqttOptions(
        host=table.host,
        port=table.port,
        username=table.username,
        password_file=table.password_file,
        tls=tls,
        base_topic=table.base_topic,
    )
