"""A whole conversation without WebRTC: audio frames in, packets out, on a virtual clock.

Fakes stand for the engines only (detector, words, voice, brain); pipeline, turns, conversation,
playout and recorder are the real ones.
"""

import asyncio

import numpy as np
import pytest

from calls.live.codec import SILENT_PACKET, OpusDecoder, OpusEncoder, Resampler48to16
from calls.live.conversation import CallBrief, Conversation, Engines, Surroundings
from calls.live.echo import EchoGuard
from calls.live.events import FRAME_SAMPLES, FRAME_SECONDS
from calls.live.persona import EXCUSE, GO_AHEAD
from calls.live.pipeline import Pipeline
from calls.live.recorder import Recorder
from calls.live.stt import Ear
from calls.live.tts import LineCache, VoiceStage, voice_key
from calls.live.turns import TurnTaker
from calls.live.vad import SpeechStage
from calls.ports import Line, ProviderRefused, ProviderUnavailable, Transcript


class FakeBrain:
    """Says what it is told to; remembers what it was told."""

    def __init__(self, replies):
        self.replies = list(replies)
        self.heard, self.said, self.state = [], [], 0

    async def opening(self):
        yield Line("Hello?", {"why": "opening"})

    async def reply(self, heard):
        if heard not in self.heard:  # an answer may be prepared and asked for again
            self.heard.append(heard)
        self.state += 1
        for text in self.replies[len({h.text for h in self.heard}) - 1]:
            yield Line(text, {"why": "reply"})

    async def silence(self, seconds):
        yield Line("Are you still there?", {"why": "silence"})

    def spoken(self, text, *, complete):
        self.said.append((text, complete))

    def snapshot(self):
        return {"state": self.state}

    def restore(self, snapshot):
        self.state = snapshot["state"]


class FakeVoice:
    """60 ms of tone a letter, all at once."""

    version = "fake-1"

    def __init__(self):
        self.fails = 0

    async def speak(self, text, *, voice, speed=1.0):
        if self.fails:
            self.fails -= 1
            raise ProviderUnavailable("no voice")
        length = int(0.06 * 48_000) * len(text)
        yield (8000 * np.sin(np.arange(length) * 0.05)).astype(np.int16)


class FakeEars:
    def __init__(self, texts):
        self.texts = list(texts)
        self.passes = 0

    async def live(self, pcm, *, hints=(), previous="", deadline=2.0):
        self.passes += 1
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        if isinstance(text, Exception):
            raise text
        return Transcript(text)

    async def complete(self, pcm):
        return 0.95


class FakeSentences:
    """Knows every sentence to be over, or `fails`."""

    def __init__(self):
        self.asked, self.fails = [], False

    async def complete(self, text):
        self.asked.append(text)
        if self.fails:
            raise ProviderUnavailable("away")
        return 0.9


class Stage:
    """The call of one test. `speak` and `quiet` move the virtual clock."""

    def __init__(self, tmp_path, *, texts, replies):
        self.brain, self.voice, self.ears = FakeBrain(replies), FakeVoice(), FakeEars(texts)
        self.sentences = FakeSentences()
        self.tmp_path = tmp_path
        self.messages, self.turns, self.parts, self.tasks = [], [], [], set()
        self.gave_up = False
        self.frame = 0
        engines = Engines(
            detect=lambda pcm: 0.95 if np.abs(pcm).max() > 1000 else 0.02,
            turn_detector=self.ears,
            sentence_model=self.sentences,
            transcriber=self.ears,
            brain=self.brain,
            voice=self.voice,
            lines=LineCache(tmp_path / "lines"),
            fillers=("Hmm.",),
            excuses=("Not made.", "I lost my thread."),
        )
        turns, ear = TurnTaker(), Ear()
        around = Surroundings(
            now=lambda: self.now,
            own=self._own,
            notify=self.messages.append,
            store=self.turns.append,
            give_up=lambda: setattr(self, "gave_up", True),
        )
        brief = CallBrief(public_id="athos_call_test", persona_name="Dana", voice="af_bella")
        self.conversation = Conversation(
            brief=brief, engines=engines, turns=turns, ear=ear, around=around
        )
        self.recorder = Recorder(self.parts.append)
        resample = Resampler48to16().resample
        self.pipeline = Pipeline(
            decode=lambda packet, samples: resample(np.frombuffer(packet, np.int16)),
            speech=SpeechStage(engines.detect),
            ear=ear,
            turns=turns,
            playout=self.conversation.playout,
            recorder=self.recorder,
            echo=EchoGuard(OpusDecoder().decode),
            on_decisions=self.conversation.carry_out,
        )
        self.sent = []

    @property
    def now(self):
        return self.frame * FRAME_SECONDS

    def _own(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _frames(self, seconds, level):
        for _ in range(round(seconds / FRAME_SECONDS)):
            pcm = np.full(FRAME_SAMPLES, level, np.int16)
            self.pipeline.microphone(packet=pcm.tobytes(), samples=FRAME_SAMPLES, captured=self.now)
            self.sent.append(self.pipeline.next_packet(self.now))
            self.frame += 1
            await asyncio.sleep(0.002 if self.tasks else 0)
            self.conversation.watch_silence()

    def engines_voice(self):
        return VoiceStage(
            speak=lambda text: FakeVoice().speak(text, voice="af_bella"),
            cache=LineCache(self.tmp_path / "lines"),
            voice_key=voice_key("fake-1", "af_bella", 1.0),
        )

    async def speak(self, seconds):
        await self._frames(seconds, 8000)

    async def quiet(self, seconds):
        await self._frames(seconds, 0)

    def said(self, role):
        return [turn.text for turn in self.turns if turn.role == role]


@pytest.fixture
def stage(tmp_path):
    def make(*, texts=("Do you like your plan?",), replies=(["I do."],)):
        made = Stage(tmp_path, texts=texts, replies=replies)
        made.conversation.begin()
        return made

    return make


async def test_the_persona_opens_answers_and_every_turn_is_kept(stage):
    call = stage()
    await call.quiet(1.0)
    await call.speak(1.5)
    await call.quiet(2.0)
    assert [(t.role, t.text) for t in call.turns] == [
        ("assistant", "Hello?"),
        ("user", "Do you like your plan?"),
        ("assistant", "I do."),
    ]
    assert call.brain.said == [("Hello?", True), ("I do.", True)]
    answer = call.turns[-1]
    assert answer.director == {"cues": [{"why": "reply"}]}
    assert sum(
        answer.latency[p] for p in ("silence", "brain", "voice", "playout")
    ) == pytest.approx(answer.latency["total"])
    assert 250 < answer.latency["total"] < 600
    assert 0 <= answer.latency["lead"] <= 20  # the tone begins at once, the codec a little later
    assert answer.latency["mouth_to_ear"] == answer.latency["total"] + answer.latency["lead"]


async def test_what_is_heard_is_told_to_the_browser_in_order(stage):
    call = stage()
    await call.quiet(1.0)
    await call.speak(1.0)
    await call.quiet(2.0)
    spoken = [(m["type"], m["speaking"]) for m in call.messages if m["type"] != "caption"]
    assert spoken == [
        ("personaSpeaking", True),
        ("personaSpeaking", False),
        ("userSpeaking", True),
        ("userSpeaking", False),
        ("personaSpeaking", True),
        ("personaSpeaking", False),
    ]


async def test_an_interrupted_persona_falls_silent_and_keeps_only_what_was_heard(stage):
    long_line = "I have been on the same plan for nine years and I like my doctor very much."
    call = stage(texts=["Tell me more.", "Which doctor is that?"], replies=[[long_line], ["Lee."]])
    await call.quiet(1.0)
    await call.speak(1.0)
    await call.quiet(2.0)
    before = call.frame
    await call.speak(1.2)
    silent = [p for p in call.sent[before:] if p is SILENT_PACKET]
    assert len(silent) >= 0.9 * FRAME_SECONDS**-1  # at most 0.3 s of the 1.2 s were still voice
    await call.quiet(2.0)
    cut = call.turns[2]
    assert 80 < cut.latency["barge_in"] < 250 and "false_stops" not in cut.latency
    assert cut.interrupted and long_line.startswith(cut.text) and 0 < len(cut.text) < 45
    assert call.brain.said[1] == (cut.text, False)
    assert call.brain.heard[-1].interrupting
    assert call.said("assistant")[-1] == "Lee."


async def test_a_murmur_over_the_persona_is_let_pass(stage):
    long_line = "I have been on the same plan for nine years and I like my doctor."
    call = stage(texts=["Tell me more.", "Mhm."], replies=[[long_line]])
    await call.quiet(1.0)
    await call.speak(1.0)
    await call.quiet(2.0)
    await call.speak(0.3)
    await call.quiet(5.0)
    assert call.said("assistant") == ["Hello?", long_line]
    assert call.said("user") == ["Tell me more."]
    assert call.turns[-1].latency["false_stops"] == 1 and "barge_in" not in call.turns[-1].latency


async def test_a_yes_over_the_end_of_her_question_is_answered_when_she_has_ended(stage):
    question = "Would that be good for you, do you think?"
    call = stage(texts=["Tell me more.", "Yeah."], replies=[[question], ["Good."]])
    await call.quiet(1.0)
    await call.speak(1.0)
    await call.quiet(2.6)
    await call.speak(0.3)
    await call.quiet(4.0)
    assert call.said("assistant") == ["Hello?", question, "Good."]
    assert call.said("user") == ["Tell me more.", "Yeah."]
    assert call.brain.said[1] == (question, True)
    assert not call.brain.heard[-1].interrupting


async def test_a_rep_who_goes_on_is_answered_once_with_all_that_was_said(stage):
    call = stage(
        texts=["I am calling about your plan.", "And your doctor."],
        replies=[["What about my plan?"], ["Okay."]],
    )
    await call.quiet(1.0)
    await call.speak(1.0)
    await call.quiet(0.86)  # the answer has just begun
    await call.speak(1.2)
    await call.quiet(2.0)
    assert call.brain.heard[-1].text == "I am calling about your plan. And your doctor."
    assert call.said("user") == ["I am calling about your plan.", "And your doctor."]
    assert call.turns[-1].text == "Okay."
    assert call.turns[-2].latency["cut_off"] == 1.0
    assert call.brain.state == 1  # the first answer was taken back


async def test_the_sentence_model_is_asked_about_all_words_of_a_turn(stage):
    call = stage(texts=["The plan I have in mind", "is cheap."])
    await call.quiet(1.0)
    await call.speak(2.0)
    await call.quiet(0.5)
    await call.speak(1.0)
    await call.quiet(2.0)
    assert call.sentences.asked == [
        "The plan I have in mind",
        "The plan I have in mind is cheap.",
    ]


async def test_without_the_sentence_model_a_turn_is_waited_out_and_answered(stage):
    call = stage(texts=["I am calling about your plan."], replies=[["Yes?"]])
    call.sentences.fails = True
    await call.quiet(1.0)
    await call.speak(1.0)
    await call.quiet(0.75)
    assert call.said("user") == []
    await call.quiet(2.0)
    assert call.said("user") == ["I am calling about your plan."]
    assert call.said("assistant") == ["Hello?", "Yes?"]


async def test_a_rep_who_goes_on_before_the_answer_sounds_is_answered_once(stage):
    call = stage(
        texts=["I am calling about your plan.", "And your doctor."], replies=[["Yes?"], ["Okay."]]
    )
    await call.quiet(1.0)
    await call.speak(1.0)
    slow = asyncio.Event()
    speak = call.voice.speak

    async def held(text, **options):
        await slow.wait()
        async for pcm in speak(text, **options):
            yield pcm

    call.voice.speak = held
    await call.quiet(0.85)
    await call.speak(1.0)
    slow.set()
    await call.quiet(2.0)
    assert call.said("assistant") == ["Hello?", "Okay."]
    assert call.brain.heard[-1].text == "I am calling about your plan. And your doctor."


async def test_an_answer_is_made_while_it_is_not_sure_that_the_turn_is_over(stage):
    call = stage(texts=["My plan is good."], replies=[["I see."]])
    await call.quiet(1.0)
    await call.speak(1.0)
    await call.quiet(0.45)
    assert call.brain.state == 1  # decided, and not a sound of it
    assert call.said("user") == [] and not call.conversation.playout.pending
    await call.quiet(0.4)
    assert call.conversation.playout.speaking
    await call.quiet(1.0)
    assert call.turns[-1].latency["brain"] == call.turns[-1].latency["voice"] == 0.0


async def test_an_answer_made_for_half_a_turn_never_was(stage):
    call = stage(
        texts=["My plan is good.", "My plan is good, but dear."],
        replies=[["I see."], ["How dear?"]],
    )
    await call.quiet(1.0)
    await call.speak(1.0)
    await call.quiet(0.45)
    assert call.brain.heard[-1].text == "My plan is good."
    await call.speak(1.0)
    assert call.brain.state == 0
    await call.quiet(2.0)
    assert call.said("assistant") == ["Hello?", "How dear?"]
    assert call.said("user") == ["My plan is good, but dear."]
    assert call.brain.state == 1


async def test_a_rep_who_presses_a_button_is_answered_when_letting_go(stage):
    call = stage(texts=["So, um,"], replies=[["Yes?"]])
    await call.quiet(1.0)
    call.conversation.button(pressed=True)
    await call.speak(0.5)
    await call.quiet(4.0)  # thinking, with the finger on the button
    assert call.said("user") == []
    call.conversation.button(pressed=False)
    await call.quiet(0.3)
    assert call.said("user") == ["So, um,"]
    await call.speak(1.0)  # to somebody else
    await call.quiet(2.0)
    assert call.said("user") == ["So, um,"]
    assert call.said("assistant") == ["Hello?", "Yes?"]


async def test_the_persona_heard_in_the_microphone_is_no_turn(stage):
    line = "I have been on the same plan for nine years and I like my doctor."
    call = stage(texts=["Tell me more.", "the same plan for nine years"], replies=[[line]])
    await call.quiet(1.0)
    await call.speak(1.0)
    await call.quiet(1.5)
    await call.speak(0.5)
    await call.quiet(5.0)
    assert call.said("user") == ["Tell me more."]
    assert call.said("assistant") == ["Hello?", line]
    assert call.turns[-1].latency["false_stops"] == 1.0


async def test_a_brain_with_nothing_to_say_to_silence_is_asked_again_later(stage):
    call = stage()
    asked = []

    async def silence(seconds):
        asked.append(seconds)
        if seconds > 14:
            yield Line("Are you still there?", {})

    call.brain.silence = silence
    await call.quiet(18.0)
    assert call.said("assistant") == ["Hello?", "Are you still there?"]
    assert [round(seconds) for seconds in asked] == [8, 12, 16]


async def test_a_long_silence_is_broken_twice_and_no_more(stage):
    call = stage()
    await call.quiet(60.0)
    assert call.said("assistant") == ["Hello?", "Are you still there?", "Are you still there?"]


async def test_words_that_cannot_be_had_are_asked_for_again(stage):
    call = stage(texts=[ProviderUnavailable("away")], replies=[["Sorry, what was that?"]])
    await call.quiet(1.0)
    await call.speak(1.0)
    await call.quiet(5.0)
    assert call.brain.heard[0].text == ""
    assert call.said("assistant")[-1] == "Sorry, what was that?"


async def test_a_voice_that_is_gone_ends_the_call_after_three_tries(stage):
    call = stage(replies=[["One."], ["Two."], ["Three."]])
    await call.quiet(1.0)
    call.voice.fails = 6  # each answer is prepared once and tried once more
    for _ in range(3):
        await call.speak(1.0)
        await call.quiet(1.0)
    assert call.gave_up


async def test_both_sides_are_recorded_on_one_time_line(stage):
    call = stage()
    call.pipeline._decode = lambda packet, samples: np.zeros(samples // 3, np.int16)
    encoder = OpusEncoder()
    for _ in range(600):
        packet = encoder.encode(np.zeros(FRAME_SAMPLES, np.int16))
        call.pipeline.microphone(packet=packet, samples=FRAME_SAMPLES, captured=call.now)
        call.pipeline.next_packet(call.now)
        call.frame += 1
    call.recorder.close()
    for channel in ("rep", "persona"):
        parts = [part for part in call.parts if part.channel == channel]
        assert sum(part.duration for part in parts) == pytest.approx(12.0)
        assert [part.offset for part in parts] == pytest.approx([0.0, 5.0, 10.0])
    await call.conversation.close()
    await asyncio.sleep(0.01)
    assert not call.tasks


async def test_a_line_that_was_down_makes_the_persona_say_her_sentence_again(tmp_path):
    lines = ["A first short one.", "A second one that is cut.", "And a third."]
    stage = Stage(tmp_path, texts=["Do you like it?"], replies=[lines])
    stage.conversation.begin()
    await stage.quiet(2)
    await stage.speak(1)
    while stage.conversation._reply is None or len(stage.conversation._reply.lines) < 3:
        await stage.quiet(0.02)
    first, second, _ = stage.conversation._reply.lines
    while second.started_at is None or stage.now < second.started_at + 0.5:
        await stage.quiet(0.02)
    since = first.ended_at - 0.1  # it was down before anybody noticed
    stage.conversation.line_down()
    heard = len(stage.sent)
    await stage.quiet(3)
    assert set(stage.sent[heard:]) == {SILENT_PACKET}
    back = stage.now
    stage.conversation.line_up(since)
    await stage.quiet(6)
    assert stage.said("assistant")[1:] == [
        "A first short one. A second one that is cut. And a third."
    ]
    assert first.started_at >= back and second.started_at > first.started_at
    assert second.ended_at - second.started_at > 1.4  # whole, from its beginning
    turn = stage.turns[-1]
    assert not turn.interrupted and turn.latency["total"] < 3000
    assert stage.brain.said[-1] == (turn.text, True)


async def test_a_sentence_that_ended_while_the_line_went_down_is_said_again(tmp_path):
    stage = Stage(tmp_path, texts=["Well?"], replies=[])
    stage.conversation.begin()
    await stage.quiet(1.5)
    [turn] = stage.turns
    stage.conversation.line_down()
    await stage.quiet(2)
    stage.conversation.line_up(turn.end - 0.1)
    await stage.quiet(1.5)
    assert stage.said("assistant") == ["Hello?", "Hello?"]
    assert len(stage.brain.said) == 1  # it knows that it said it, once


async def test_a_line_that_comes_back_with_nothing_lost_says_nothing(tmp_path):
    stage = Stage(tmp_path, texts=["Well?"], replies=[])
    stage.conversation.begin()
    await stage.quiet(3)
    stage.conversation.line_down()
    await stage.quiet(2)
    stage.conversation.line_up(stage.now - 2)
    await stage.quiet(1)
    assert stage.said("assistant") == ["Hello?"]


async def test_what_stands_holds_the_turn_that_is_not_answered_yet(tmp_path):
    stage = Stage(tmp_path, texts=["Do you like it?"], replies=[["I do, very much so."]])
    stage.conversation.begin()
    await stage.quiet(2)
    await stage.speak(1)
    while stage.said("user") == []:
        await stage.quiet(0.02)
    standing = stage.conversation.standing()
    assert standing["heard"]["text"] == "Do you like it?"
    assert standing["brain"] == {"state": 0}  # before it was answered
    await stage.quiet(3)
    assert stage.conversation.standing() == {"brain": {"state": 1}, "heard": None}

    other = Stage(tmp_path, texts=["?"], replies=[["I do, very much so."]])
    other.conversation.resume(standing)
    await other.quiet(6)
    assert other.said("assistant") == [f"{EXCUSE} I do, very much so."]
    assert other.brain.said == [("I do, very much so.", True)]  # nothing of the excuse
    assert other.brain.heard[0].text == "Do you like it?"


async def test_a_voice_that_dies_in_the_middle_of_a_word_is_excused_with_what_was_made(stage):
    call = stage(replies=[["I have had the same plan for nine years."]])
    voice = call.engines_voice()
    await voice.warm("I lost my thread.")
    speak = call.voice.speak

    async def dies(text, **options):
        async for pcm in speak(text, **options):
            yield pcm[: len(pcm) // 4]
        raise ProviderUnavailable("died")

    await call.quiet(1.0)
    call.voice.speak = dies
    await call.speak(1.0)
    await call.quiet(4.0)
    answer = call.turns[-1]
    assert answer.role == "assistant" and answer.text.endswith("I lost my thread.")
    assert answer.text.startswith("I have")
    assert not call.gave_up


async def test_the_sound_of_words_made_for_one_call_is_not_kept(stage, tmp_path):
    async def reply(heard):
        yield Line("Hi Sam, I do.", authored=False)

    call = stage()
    call.brain.reply = reply
    await call.quiet(1.0)
    await call.speak(1.0)
    await call.quiet(2.0)
    assert call.said("assistant") == ["Hello?", "Hi Sam, I do."]
    assert len(list((tmp_path / "lines").rglob("*.opus-packets"))) == 1  # the opening


async def test_a_slow_answer_is_no_silence(stage):
    call = stage(replies=[["I do."]])
    await call.engines_voice().warm("Hmm.")
    await call.quiet(1.0)
    speak, made = call.voice.speak, asyncio.Event()

    async def slow(text, **options):
        await made.wait()
        async for pcm in speak(text, **options):
            yield pcm

    call.voice.speak = slow
    await call.speak(1.0)
    before = call.frame
    await call.quiet(3.2)
    loud = [n for n, packet in enumerate(call.sent[before:]) if packet is not SILENT_PACKET]
    assert loud[0] * FRAME_SECONDS < 3.0
    made.set()
    await call.quiet(2.0)
    answer = call.turns[-1]
    assert answer.text == "Hmm. I do."
    assert call.brain.said[-1] == ("I do.", True)
    assert answer.latency["filled"] > 200
    assert answer.latency["mouth_to_ear"] >= answer.latency["total"] + answer.latency["filled"]


@pytest.mark.parametrize("fails", [False, True])
async def test_words_that_come_late_are_no_silence(stage, fails):
    """The rep's words take four seconds, or are given up then."""
    call = stage(replies=[["I do."]])
    await call.engines_voice().warm("Hmm.")
    await call.quiet(1.0)
    live, known = call.ears.live, asyncio.Event()

    async def late(pcm, **options):
        await known.wait()
        if fails:
            raise ProviderUnavailable("too late")
        return await live(pcm, **options)

    call.ears.live = late
    await call.speak(1.0)
    before = call.frame
    await call.quiet(4.0)
    known.set()
    await call.quiet(2.0)
    loud = [n for n, packet in enumerate(call.sent[before:]) if packet is not SILENT_PACKET]
    gaps = [(b - a) * FRAME_SECONDS for a, b in zip([0, *loud], loud, strict=False)]
    assert max(gaps) < 3.0
    assert call.said("assistant")[-2:] == ["Hmm.", "I do."]
    assert [heard.text for heard in call.brain.heard] == ["" if fails else "Do you like your plan?"]
    assert call.brain.said[-1] == ("I do.", True)


async def test_a_rep_who_goes_on_over_a_filler_is_answered_once(stage):
    call = stage(texts=("My plan is", "My plan is", "a good one."), replies=[["I see."]])
    await call.engines_voice().warm("Hmm.")
    await call.quiet(1.0)
    live, known = call.ears.live, asyncio.Event()

    async def late(pcm, **options):
        await known.wait()
        return await live(pcm, **options)

    call.ears.live = late
    await call.speak(1.0)
    await call.quiet(2.1)  # the filler has begun
    known.set()
    await call.speak(1.0)
    await call.quiet(3.0)
    assert call.said("assistant")[-1] == "I see."
    assert len(call.brain.heard) == 1 and len(call.said("user")) == 1


async def test_fillers_are_bounded(stage):
    call = stage(replies=[["I do."]])
    await call.engines_voice().warm("Hmm.")
    await call.quiet(1.0)
    made = asyncio.Event()

    async def never(text, **options):
        await made.wait()
        yield np.zeros(960, np.int16)

    call.voice.speak = never
    await call.speak(1.0)
    await call.quiet(9.0)
    await call.conversation.close()
    assert call.turns[-1].text in ("Hmm.", "Hmm. Hmm. Hmm.")  # one of one, at most three
    made.set()


async def test_a_standing_that_nobody_can_read_leaves_the_call_alive(tmp_path):
    stage = Stage(tmp_path, texts=["?"], replies=[])

    def refuse(snapshot):
        raise ProviderRefused("of another release")

    stage.brain.restore = refuse
    stage.conversation.resume({"brain": {}, "heard": None})
    await stage.quiet(6)
    assert stage.said("assistant") == [f"{EXCUSE} {GO_AHEAD}"]
