"""The audio path of one call, frame by frame: nothing in here waits."""

from collections.abc import Callable

from calls.live.codec import SILENT_PACKET
from calls.live.echo import EchoGuard
from calls.live.events import FRAME_SECONDS, WIRE_RATE, Pcm, SpeechWindow
from calls.live.foreground import Foreground
from calls.live.playout import Playout
from calls.live.recorder import Recorder
from calls.live.stt import Ear
from calls.live.turns import OFF, Decision, TurnTaker
from calls.live.vad import SpeechStage


class Pipeline:
    """Microphone in, decisions out; persona out, one packet per 20 ms.

    `decode` gives the rep's packet (None: lost) of so many samples at 48 kHz as sound at 16 kHz.
    """

    def __init__(
        self,
        *,
        decode: Callable[[bytes | None, int], Pcm],
        speech: SpeechStage,
        ear: Ear,
        turns: TurnTaker,
        playout: Playout,
        recorder: Recorder,
        echo: EchoGuard,
        on_decisions: Callable[[list[Decision]], None],
    ) -> None:
        self._decode = decode
        self._speech = speech
        self._ear = ear
        self._turns = turns
        self._playout = playout
        self._recorder = recorder
        self._echo = echo
        self._foreground = Foreground()
        self._on_decisions = on_decisions
        self._heard_until = 0.0

    def microphone(self, *, packet: bytes | None, samples: int, captured: float) -> None:
        """One packet, or the hole of a lost one; `captured` in seconds of the call.

        Packets follow each other on the time line even when two connections overlap. A sound card
        that runs fast may be a frame ahead; it is not allowed to push the line ahead for good.
        """
        early = self._heard_until - captured
        at = self._heard_until if early > FRAME_SECONDS else captured
        self._heard_until = at + samples / WIRE_RATE
        self._recorder.rep(at, packet)
        heard = self._decode(packet, samples)
        self._ear.hear(at, heard)
        self._echo.hear(self._heard_until, heard)
        for window in self._speech.push(self._heard_until, heard):
            decisions = self._turns.window(window.at, self._rep_speaks(window))
            if decisions:
                self._on_decisions(decisions)

    def next_packet(self, at: float) -> bytes:
        """What the persona says in the frame that starts at `at`."""
        self._playout.skip_to(at)
        packet = self._playout.next()
        self._recorder.persona(at, packet)
        self._echo.played(at, packet)
        return SILENT_PACKET if packet is None else packet

    def _rep_speaks(self, window: SpeechWindow) -> float:
        """Of what sounds like speech, the persona's own and that of people far away are none."""
        if window.probability < OFF:
            return window.probability
        far = self._foreground.is_far(window.at, window.pcm)
        return 0.0 if far or self._echo.hears_persona() else window.probability
