"""A voice for robots and kiosks: text in over MQTT or serial, speech out of the board's sound device."""

__version__ = "0.1.0"
