"""The sound card of the machine somebody sits at, by PortAudio; and why there may be none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE: Final = 8_000
"""Hz of what is played, as in calls."""


class NoLoudspeaker(Exception):
    """Nothing can be heard here. The text says why, and what to do."""


class Loudspeaker(Protocol):
    """Plays one sound at a time; nothing of it waits."""

    def play(self, sound: NDArray[np.int16], *, loop: bool = False) -> None:
        """Play it in place of what plays, at :data:`RATE`. Raises NoLoudspeaker if the device has gone."""

    def stop(self) -> None:
        """Be silent at once."""


class SoundCard:
    """The machine's usual output. Raises NoLoudspeaker."""

    def __init__(self) -> None:
        self._portaudio = _portaudio()
        try:
            # It may have been plugged in since the package was loaded.
            self._portaudio._terminate()
            self._portaudio._initialize()
            device = self._portaudio.query_devices(kind="output")
        except self._portaudio.PortAudioError:
            raise NoLoudspeaker("this machine has no sound device") from None
        self.name = str(device["name"])
        self._rate = int(device["default_samplerate"])

    def play(self, sound: NDArray[np.int16], *, loop: bool = False) -> None:
        import soxr

        try:
            # Not every device knows the rate of telephones.
            self._portaudio.play(soxr.resample(sound, RATE, self._rate), self._rate, loop=loop)
        except self._portaudio.PortAudioError as error:
            raise NoLoudspeaker(f"the sound device '{self.name}' does not play: {error}") from None

    def wait(self) -> None:
        """Until what plays has ended. Raises NoLoudspeaker."""
        try:
            self._portaudio.wait()
        except self._portaudio.PortAudioError as error:
            raise NoLoudspeaker(f"the sound device '{self.name}' does not play: {error}") from None

    def stop(self) -> None:
        self._portaudio.stop()


def _portaudio() -> Any:
    try:
        import sounddevice
    except ImportError:
        raise NoLoudspeaker("the package sounddevice is not installed: pip install sounddevice") from None
    except OSError:
        raise NoLoudspeaker("the library PortAudio is not installed: apt-get install libportaudio2") from None
    return sounddevice
