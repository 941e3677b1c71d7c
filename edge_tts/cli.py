"""The command edge-ttsd."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_tts import __version__
from edge_tts.errors import AudioDeviceError, ConfigError, EdgeTtsError

if TYPE_CHECKING:
    from edge_tts.config import Config
    from edge_tts.daemon import Daemon
    from edge_tts.sources.once import OnceSource
    from edge_tts.sources.stdin import StdinSource

ARM32 = {"armv6l", "armv7l", "armhf"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 1 an error, 2 wrong arguments, 78 wrong configuration."""
    # numpy reads this when it is first imported. Its idle threads would spin for longer than a chunk takes to compute.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = build_parser().parse_args(argv)
    if sys.maxsize < 2**32 or platform.machine() in ARM32:
        print("edge-ttsd: onnxruntime has no build for 32-bit ARM; install a 64-bit system (arm64)", file=sys.stderr)
        return 1
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except EdgeTtsError as error:
        print(f"edge-ttsd: {error}", file=sys.stderr)
        # The service is not started again with a configuration that cannot work.
        return os.EX_CONFIG if isinstance(error, ConfigError) else 1
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The arguments of all commands."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, metavar="FILE", help="default: /etc/edge-tts/config.toml if it exists")
    common.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key, e.g. --set audio.volume=0.5"
    )
    common.add_argument("--voice", metavar="NAME", help="short for --set voice.default=NAME")
    common.add_argument("--device", metavar="DEVICE", help="short for --set audio.device=DEVICE (name, index, wav:DIR)")

    parser = argparse.ArgumentParser(prog="edge-ttsd", description="A voice for robots and kiosks.")
    parser.add_argument("--version", action="version", version=f"edge-ttsd {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", parents=[common], help="the daemon, in the foreground")
    run.add_argument("--try-out", action="store_true", help="bring a broker and a serial line if there are none")
    run.set_defaults(command=run_command)

    say = commands.add_parser("say", parents=[common], help="speak a text, or with - each line of standard input")
    say.add_argument("text", help="what to say; - reads lines from standard input")
    say.add_argument("-o", "--output", type=Path, metavar="FILE", help="write a WAV file instead of playing")
    say.add_argument("--rate", type=float, default=1.0, help="0.5 to 2, default 1")
    say.add_argument("--pitch", type=float, default=0.0, help="semitones, -6 to 6, default 0")
    say.add_argument("--volume", type=float, default=1.0, help="0 to 1, default 1")
    say.add_argument("--ssml", action="store_true", help="the text is SSML")
    say.set_defaults(command=say_command)

    prerender = commands.add_parser("prerender", parents=[common], help="store the sound of phrases ahead of time")
    prerender.add_argument("phrases", type=argparse.FileType(encoding="utf-8"), help="a file with a text a line")
    prerender.set_defaults(command=prerender_command)

    bench = commands.add_parser("bench", parents=[common], help="time voices on this machine")
    bench.add_argument("voices", type=Path, nargs="*", help="voice folders; default: every installed voice")
    bench.add_argument("--precision", help="apart by commas; default: every one that a voice offers")
    bench.add_argument(
        "--yardstick", type=Path, metavar="ONNX", help="a decoder to compare with, timed in the same run"
    )
    bench.add_argument("--repeats", type=int, default=7, help="default: 7")
    bench.set_defaults(command=bench_command)

    for name, function, text in (
        ("voices", voices_command, "list the installed voices"),
        ("devices", devices_command, "list the sound devices"),
        ("check-config", check_config_command, "print the configuration in force"),
        ("doctor", doctor_command, "check everything speech depends on and say what to do"),
    ):
        commands.add_parser(name, parents=[common], help=text).set_defaults(command=function)
    return parser


def read_config(arguments: argparse.Namespace, **flags: Any) -> Config:
    """The configuration with the command line's overrides. Raises ConfigError."""
    from edge_tts.config import load_config

    for setting in arguments.set:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: write KEY=VALUE, e.g. --set audio.volume=0.5")
        flags[key] = value
    if arguments.voice:
        flags["voice.default"] = arguments.voice
    if arguments.device:
        flags["audio.device"] = arguments.device
    return load_config(arguments.config, flags=flags)


def run_command(arguments: argparse.Namespace) -> int:
    """edge-ttsd run"""
    config = read_config(arguments)
    _log_as(config)
    if arguments.try_out:
        from edge_tts.demo import run_demo

        return run_demo(config)
    from edge_tts.wiring import make_daemon, make_sources

    daemon = make_daemon(config)
    with daemon.stopped_by_signals():
        daemon.run(make_sources(config, daemon))
    return 0


def say_command(arguments: argparse.Namespace) -> int:
    """edge-ttsd say"""
    from edge_tts.audio.wav_sink import FileSink
    from edge_tts.events import Failed
    from edge_tts.request import make_request
    from edge_tts.sources.once import OnceSource
    from edge_tts.sources.stdin import StdinSource
    from edge_tts.wiring import make_daemon

    config = read_config(arguments, **{"log.level": "warning"})
    _log_as(config)
    daemon = make_daemon(config, FileSink(arguments.output) if arguments.output else None)
    fields: dict[str, Any] = {"rate": arguments.rate, "pitch": arguments.pitch, "volume": arguments.volume}
    # A daemon speaks with another voice when its own is missing; who asks for one by name wants that one or none.
    fields["voice"] = arguments.voice
    if arguments.text == "-":
        lines = StdinSource(sys.stdin.buffer, daemon, fields)
        _speak(daemon, lines)
        return 1 if lines.failures else 0
    fields["ssml" if arguments.ssml else "text"] = arguments.text
    once = OnceSource(make_request(fields, source="once"), daemon)
    _speak(daemon, once)
    if isinstance(once.outcome, Failed) and once.outcome.code == AudioDeviceError.code and not arguments.output:
        print("edge-ttsd: `edge-ttsd doctor` says what to do; -o FILE writes a WAV file instead", file=sys.stderr)
    return once.exit_status()


def prerender_command(arguments: argparse.Namespace) -> int:
    """edge-ttsd prerender"""
    from edge_tts.prerender import prerender
    from edge_tts.wiring import front_end, make_renderer, make_voices

    config = read_config(arguments, **{"log.level": "warning"})
    _log_as(config)
    voices = make_voices(config)
    voice = voices.voice_for(None, None)
    return 1 if prerender(arguments.phrases, front_end, voice, make_renderer(config, voices)) else 0


def bench_command(arguments: argparse.Namespace) -> int:
    """edge-ttsd bench"""
    from edge_tts.bench import bench_voices
    from edge_tts.voices.registry import find_bundles, voice_directories

    folders = arguments.voices or find_bundles(voice_directories(read_config(arguments).voice.directory)).values()
    wanted = arguments.precision.split(",") if arguments.precision else []
    bench_voices(list(folders), wanted, arguments.yardstick, arguments.repeats)
    return 0


def voices_command(arguments: argparse.Namespace) -> int:
    """edge-ttsd voices"""
    from edge_tts.voices.bundle import Bundle
    from edge_tts.voices.registry import find_bundles, voice_directories

    config = read_config(arguments)
    directories = voice_directories(config.voice.directory)
    bundles = find_bundles(directories)
    if not bundles:
        print(f"no voices in {', '.join(map(str, directories)) or 'any voice directory'}")
        return 1
    for name, folder in bundles.items():
        try:
            manifest = Bundle(folder).manifest
        except EdgeTtsError as error:
            print(f"{name}  unusable: {error}")
            continue
        precisions = "/".join(Bundle(folder).precisions())
        mark = "*" if name == config.voice.default else " "
        print(f"{mark} {name}  {manifest.language}  {manifest.sample_rate} Hz  {precisions}  {manifest.license}")
    return 0


def devices_command(arguments: argparse.Namespace) -> int:
    """edge-ttsd devices"""
    from edge_tts.audio.devices import query

    found = query()
    for device in found:
        mark = "*" if device.is_default else " "
        print(f"{mark} {device.index:3d}  {device.name}  {device.host_api}  {device.default_rate:.0f} Hz")
    if not found:
        print("no sound device; edge-ttsd writes WAV files with --device wav:FOLDER")
    return 0 if found else 1


def check_config_command(arguments: argparse.Namespace) -> int:
    """edge-ttsd check-config"""
    config = read_config(arguments)
    print(json.dumps(config.model_dump(mode="json", by_alias=True), indent=2))
    return 0


def doctor_command(arguments: argparse.Namespace) -> int:
    """edge-ttsd doctor"""
    from edge_tts.doctor import run_doctor

    return run_doctor(lambda: read_config(arguments))


def _speak(daemon: Daemon, source: StdinSource | OnceSource) -> None:
    with daemon.stopped_by_signals():
        daemon.run([source], until=source.finished)


def _log_as(config: Config) -> None:
    from edge_tts.logs import set_up_logging

    set_up_logging(config.log.level, config.log.json_lines)
