"""What the persona says next: a pure step from a state and a hearing to a state and a reply.

The order of a reply: what must be reacted to, the answers to what was asked, how an objection was
met or the answer to a close, then at most one concern of the persona's own.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from calls.director.intents import Act, Hearing
from calls.director.pack import Concern, Fact, Intent, Level, Pack, Pool
from calls.director.state import (
    RECENT,
    ConcernState,
    Said,
    State,
    changes,
    digest,
    mood,
    unheard,
)

GAIN_BY_REPEAT = (1.0, 0.4)  # of an act's trust when done again; nothing from the third time on
WORSE_COST = 4.0  # trust, for meeting an objection badly
LONG_COST = 2.0
INTERRUPTION_COST = 1.0
STEER_AFTER = 3  # turns not understood before the persona asks what this is about
TRIAL_MARGIN = 8.0  # a trial close may sound good this much below `agrees_at`
MAX_VOICED = 4  # times one concern is voiced without being asked for
HOLDING_PATIENCE = 2.0  # times longer before a prompt, when the rep asked for a moment
OUTSTANDING_TURNS = 3  # a raised objection keeps others back this long
YES, FIGURE = "affirm", "figure"  # bare answers, among the good ones to a need
MAX_ANSWERS = 2  # questions answered in one reply
QUIET = frozenset({"listen", "affirm", "deny"})


@dataclass(frozen=True, slots=True)
class Reply:
    """What to say, and why. `cue` is JSON: with the state before it, the reply can be replayed."""

    lines: tuple[Said, ...]
    cue: Mapping[str, Any]


def decide(pack: Pack, state: State, hearing: Hearing) -> tuple[State, Reply]:
    """The reply to what the rep said."""
    settled = unheard(state)
    if hearing.words == 0:
        return _ask_again(pack, settled, before=state)
    turn = _Turn(pack, replace(settled, turn=settled.turn + 1, silences=0, last=()), hearing)
    turn.previous = settled.last
    turn.take_in()
    turn.answer()
    return turn.finish(before=state)


def _ask_again(pack: Pack, state: State, *, before: State) -> tuple[State, Reply]:
    """There was speech, but no words came of it. Nothing is held for or against the rep."""
    turn = _Turn(pack, state, _NOTHING)
    turn.say(pack.lines["clarify"], "nothing_heard")
    after, reply = turn.finish(before=before)
    return replace(after, last=state.last), reply


def decide_opening(pack: Pack, state: State) -> tuple[State, Reply]:
    """The persona picks up the phone."""
    turn = _Turn(pack, state, _NOTHING)
    turn.say(pack.lines["openings"], "opening")
    return turn.finish(before=state)


def decide_silence(pack: Pack, state: State, seconds: float) -> tuple[State, Reply]:
    """Two prompts while the rep says nothing, the second more urgent, then none."""
    settled = unheard(state)
    turn = _Turn(pack, settled, _NOTHING)
    patience = HOLDING_PATIENCE if settled.holding else 1.0
    due = settled.silences < 2 and seconds >= patience * pack.silence_after[settled.silences]
    if not due or settled.parted:
        return settled, Reply((), {"rules": ["silence_left"]})
    name = ("silence_first", "silence_second")[settled.silences]
    turn.state = replace(settled, silences=settled.silences + 1)
    turn.say(pack.lines[name], name)
    after, reply = turn.finish(before=state)
    # "Say that again" after a prompt means what was said before it.
    return replace(after, last=settled.last), reply


_NOTHING = Hearing((), 0, question=False, amount=False, nearest=0.0)


@dataclass(slots=True)
class _Turn:
    """One decision being made."""

    pack: Pack
    state: State
    hearing: Hearing
    previous: tuple[Said, ...] = ()
    said: list[Said] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    met: list[tuple[str, Concern]] = field(default_factory=list)  # resolved, unmoved, worse

    # --- helpers -----------------------------------------------------------------------------

    @property
    def level(self) -> Level:
        return self.pack.levels[self.state.difficulty]

    @property
    def room(self) -> int:
        return self.level.lines - len(self.said)

    def intents(self) -> list[tuple[Act, Intent]]:
        return [(a, self.pack.intents[a.intent]) for a in self.hearing.acts]

    def does(self, what: str) -> bool:
        return any(intent.does == what for _, intent in self.intents())

    def takes(self, concern: Concern) -> int:
        return concern.takes[self.state.difficulty]

    def say(self, pool: Pool, rule: str, *marks: str) -> bool:
        """Draws a line that was not said just now. False when the pool has none."""
        key, lines = pool.at(self.state.difficulty, mood(self.pack, self.state))
        text, used = self._draw(key, lines)
        if text is None:
            return False
        self.state = replace(self.state, used={**self.state.used, key: used})
        self.said.append(Said(text, pool.key, marks))
        self.rules.append(rule)
        return True

    def _draw(self, key: str, lines: tuple[str, ...]) -> tuple[str | None, int]:
        used = self.state.used.get(key, 0)
        round_number, position = divmod(used, len(lines))
        order = list(lines)
        # The same in every process: a text seed is hashed by its bytes, not by hash().
        random.Random(f"{self.state.seed}:{key}:{round_number}").shuffle(order)  # noqa: S311
        queue = order[position:] + order[:position]
        never = {s.text for s in (*self.said, *self.previous, *self.state.last)}
        fresh = [t for t in queue if t not in never]
        if not fresh:
            return None, used
        rested = [t for t in fresh if t not in self.state.recent]
        return (rested or fresh)[0], used + 1

    def trust(self, amount: float) -> None:
        # The more it trusts already, the less is won: thirty questions must not beat one lie.
        rising = self.level.gain * (100.0 - self.state.trust) / 60.0
        scale = rising if amount > 0 else self.level.loss
        trust = min(100.0, max(0.0, self.state.trust + amount * scale))
        self.state = replace(self.state, trust=round(trust, 2))

    # --- taking in what was heard ------------------------------------------------------------

    def take_in(self) -> None:
        """Trust, concerns and stage, before a word is chosen."""
        expecting = self.state.expecting
        self._effects()
        for concern in self.pack.concerns.values():
            self._meet(concern, expecting)
        if self.hearing.interrupting and self.hearing.words >= 3:
            self.trust(-INTERRUPTION_COST)
            self.state = replace(self.state, interruptions=self.state.interruptions + 1)
        if self.hearing.words > self.level.long_words:
            self.trust(-LONG_COST)
        acts = dict(self.state.acts)
        for act in self.hearing.acts:
            acts[act.intent] = acts.get(act.intent, 0) + 1
        self.state = replace(self.state, acts=acts, holding=self.does("hold"))

    def _effects(self) -> None:
        for act, intent in self.intents():
            if intent.stage:
                self.state = replace(self.state, stage=intent.stage)
            if _vague(act, intent):
                continue
            share = 1.0
            if intent.trust > 0:
                times = self.state.acts.get(intent.id, 0)
                share = GAIN_BY_REPEAT[times] if times < len(GAIN_BY_REPEAT) else 0.0
            self.trust(intent.trust * share)

    def _meet(self, concern: Concern, expecting: str) -> None:
        """How this turn met a concern. A need may be settled before it was voiced; an objection
        only after, but for what heads it off."""
        now = self.state.concern(concern.id)
        if not self.takes(concern) or now.status == "resolved":
            return
        raised = now.status == "raised"
        good = self._good_answers(concern, raised, asked=expecting == concern.id)
        bad = self.hearing.intents() & concern.worsened_by
        refused = concern.yes_settles and expecting == concern.id and self.does("deny")
        if raised and not good and (bad or refused):
            self.trust(-WORSE_COST)
            self.met.append(("worse", concern))
        elif good - set(now.handled):
            self._progress(concern, now, good)

    def _good_answers(self, concern: Concern, raised: bool, *, asked: bool) -> set[str]:
        if raised:
            counting = concern.resolved_by | concern.eased_by
        elif concern.kind == "need":
            counting = concern.resolved_by
        else:
            counting = concern.preempted_by
        good = {a.intent for a, i in self.intents() if a.intent in counting and not _vague(a, i)}
        if asked and concern.yes_settles and self.does("affirm"):
            good.add(YES)
        if asked and concern.figure_settles and self.hearing.amount and not self._understood():
            good.add(FIGURE)
        return good

    def _progress(self, concern: Concern, now: ConcernState, good: set[str]) -> None:
        handled = tuple(sorted({*now.handled, *good}))
        enough = len(handled) >= self.takes(concern)
        settled = enough and bool(set(handled) & {*concern.resolved_by, YES, FIGURE})
        after = replace(now, handled=handled, status="resolved" if settled else now.status)
        self.state = replace(self.state, concerns={**self.state.concerns, concern.id: after})
        if settled:
            self.trust(concern.trust)
        if now.status != "raised":
            return
        if settled:
            self.met.append(("resolved", concern))
            self._leave_objection(concern)
        elif not any(self._will_reply(a) for a in good - concern.resolved_by):
            self.met.append(("unmoved", concern))  # else the reply to the act itself will do

    def _will_reply(self, name: str) -> bool:
        """The reply to the act itself will say enough."""
        return name in self.pack.intents and self.pack.intents[name].weight > 0

    def _leave_objection(self, concern: Concern) -> None:
        expecting = "" if self.state.expecting == concern.id else self.state.expecting
        stage = "presentation" if self.state.stage == "objection" else self.state.stage
        self.state = replace(self.state, expecting=expecting, stage=stage)

    # --- answering ---------------------------------------------------------------------------

    def answer(self) -> None:
        if self._control():
            return
        if self.hearing.interrupting and not self._understood():
            self._fall_back()
            return
        self._react(weight=2)
        self._react_to_length()
        self._answer_questions()
        self._tell_how_it_was_met()
        self._close_or_probe()
        if self.room > 0:
            self._react(weight=1)
        if not self.said:
            self._insist()
        if self.room > 0 and self._may_raise():
            self._raise_own()
        if not self.said:
            self._react(weight=0)
        if not self.said:
            self._fall_back()
        run = 0 if self.hearing.acts else self.state.unknown_run + 1
        self.state = replace(self.state, unknown_run=run)

    def _control(self) -> bool:
        """Goodbye, "say that again" and "one moment" come before everything else."""
        if self.does("goodbye"):
            lines = self.pack.lines["goodbye_agreed" if self.state.agreed else "goodbye"]
            self.state = replace(self.state, stage="goodbye")
            return self.say(lines, "goodbye", "parted")
        if self.does("repeat") and self.previous:
            return self._repeat()
        if self.does("hold") and not self.hearing.question:
            return self.say(self.pack.lines["hold"], "hold")
        if self.does("hold") and len(self.hearing.acts) == 1:
            return self.say(self.pack.lines["hold"], "hold")
        return False

    def _repeat(self) -> bool:
        """The last reply once more, in other words."""
        pools = {pool.key: pool for pool in self.pack.pools()}
        wanted = [s for s in self.previous if s.pool != self.pack.lines["repeat_lead"].key]
        if self.room > 1:
            self.say(self.pack.lines["repeat_lead"], "repeat_lead")
        for said in wanted[: max(1, self.room)]:
            marks = tuple(m for m in said.marks if not m.startswith("agreed"))
            self.say(pools[said.pool], "repeat", *marks)
        return bool(self.said)

    def _react(self, *, weight: int) -> None:
        """The reply to an act itself: at most one per weight."""
        if weight < 2 and len(self.said) > weight:
            return
        for act, intent in self.intents():
            if intent.weight != weight or self._was_met_by(intent) or self._said_for(intent):
                continue
            if self._stale(intent):
                continue
            opening = weight == 1 and intent.stage == "opening"
            greeted = any(self._is_opening_reply(rule) for rule in self.rules)
            if weight == 1 and self.said and (greeted or not opening):
                return
            if self._say_reply(act, intent, first=opening):
                return

    def _say_reply(self, act: Act, intent: Intent, *, first: bool = False) -> bool:
        pool = intent.vague if _vague(act, intent) and intent.vague else intent.replies
        if pool is None or not self.say(pool, f"reply:{intent.id}"):
            return False
        if first:
            self.said.insert(0, self.said.pop())
            self.rules.insert(0, self.rules.pop())
        return True

    def _is_opening_reply(self, rule: str) -> bool:
        kind, _, name = rule.partition(":")
        return kind == "reply" and self.pack.intents[name].stage == "opening"

    def _was_met_by(self, intent: Intent) -> bool:
        return any(intent.id in c.resolved_by | c.eased_by for _, c in self.met)

    def _said_for(self, intent: Intent) -> bool:
        return f"reply:{intent.id}" in self.rules

    def _stale(self, intent: Intent) -> bool:
        """Nobody says hello twice when there is something else to answer."""
        again = intent.stage == "opening" and self.state.acts.get(intent.id, 0) > 1
        return again and len(self.hearing.acts) > 1

    def _react_to_length(self) -> None:
        if self.hearing.words > self.level.long_words and not self.hearing.question:
            self.say(self.pack.lines["overwhelmed"], "overwhelmed")

    def _answer_questions(self) -> None:
        """What was asked comes first: facts, and acts that are questions themselves."""
        answered: list[str] = []
        for act, intent in self.intents():
            if self.room <= 0 or len(answered) >= MAX_ANSWERS:
                return
            if intent.answers and intent.answers not in answered:
                answered.append(intent.answers)
                self._tell(self.pack.facts[intent.answers])
            elif act.question and self._is_question_to_answer(intent):
                answered.append(intent.id)
                self._say_reply(act, intent)

    def _is_question_to_answer(self, intent: Intent) -> bool:
        own = intent.question and intent.weight == 1 and intent.replies is not None
        return bool(own) and not self._stale(intent) and not self._was_met_by(intent)

    def _tell(self, fact: Fact) -> None:
        needed = fact.trust_needed.get(self.state.difficulty, 0.0)
        unlocked = any(self.state.acts.get(name) for name in fact.unlocked_by)
        if fact.guarded and self.state.trust < needed and not unlocked:
            self.say(fact.guarded, f"guard:{fact.id}")
            return
        known = fact.id in self.state.revealed
        pool = fact.again if known and fact.again else fact.say
        if not self.say(pool, f"fact:{fact.id}", f"fact:{fact.id}"):
            self.say(fact.say, f"fact:{fact.id}", f"fact:{fact.id}")
        more = fact.leads_to.get(self.state.difficulty)
        if more and not known and more not in self.state.revealed and self.room > 0:
            self.say(self.pack.facts[more].say, f"lead:{more}", f"fact:{more}")

    def _tell_how_it_was_met(self) -> None:
        """One word about how a concern was met; the worst news first."""
        for kind in ("worse", "unmoved", "resolved"):
            for met, concern in self.met:
                pool = getattr(concern, kind) or concern.unmoved
                told = met == "resolved" and any(r.startswith("fact:") for r in self.rules)
                told = told or (met == "worse" and self._snapped())
                if met == kind and self.room > 0 and not told:
                    marks = () if kind == "resolved" else (f"raised:{concern.id}",)
                    self.say(pool, f"{kind}:{concern.id}", *marks)
                    return

    def _snapped(self) -> bool:
        """It has just reacted to something that it did not like."""
        replies = [r.partition(":")[2] for r in self.rules if r.startswith("reply:")]
        return any(self.pack.intents[name].trust < 0 for name in replies)

    def _close_or_probe(self) -> None:
        if self.room <= 0:
            return
        if self.does("close"):
            self._close()
        elif self.does("trial") and not self.met:
            self._trial()
        elif self.does("probe"):
            self._probe()

    def _close(self) -> None:
        """Yes only with every need settled and enough trust, else what stands in the way."""
        if self.state.agreed:
            self.say(self.pack.lines["agreed_already"], "agreed_already")
            return
        if any(kind in ("worse", "unmoved") for kind, _ in self.met):
            return  # it has just said what still stands in the way
        standing = self._standing()
        if standing:
            self._voice(standing, "standing")
        elif self.state.trust < self.level.agrees_at:
            self.say(self.pack.lines["hesitate"], "hesitate")
        else:
            self.say(self.pack.lines["agree"], "agree", "agreed")

    def _trial(self) -> None:
        raised = [c for c in self._open_concerns() if self._is_raised(c)]
        if raised:
            self._voice(raised[0], "standing")
        elif self.state.trust >= self.level.agrees_at - TRIAL_MARGIN:
            self.say(self.pack.lines["trial_good"], "trial_good")
        else:
            self.say(self.pack.lines["trial_unsure"], "trial_unsure")

    def _probe(self) -> None:
        """Asked what it minds, the persona says it."""
        concern = self._standing()
        if concern is None:
            self.say(self.pack.lines["no_concerns"], "no_concerns")
        elif not any(c is concern for _, c in self.met):
            self._voice(concern, "probed")

    def _standing(self) -> Concern | None:
        """The blocking concern to name: one already raised before one that never came up."""
        blocking = [c for c in self._open_concerns() if c.blocks]
        raised = [c for c in blocking if self._is_raised(c)]
        waiting = [c for c in blocking if c.at_close and self.state.trust < c.when.trust_below]
        return next(iter(raised + waiting), None)

    def _open_concerns(self) -> list[Concern]:
        return [
            c
            for c in self.pack.concerns.values()
            if self.takes(c) and self.state.concern(c.id).status != "resolved"
        ]

    def _is_raised(self, concern: Concern) -> bool:
        return self.state.concern(concern.id).status == "raised"

    def _voice(self, concern: Concern, rule: str) -> bool:
        pool = concern.again if self._is_raised(concern) else concern.raises
        if concern.kind == "objection" and self.state.stage != "close":
            self.state = replace(self.state, stage="objection")
        return self.say(pool, f"{rule}:{concern.id}", f"raised:{concern.id}")

    # --- the persona's own ---------------------------------------------------------------------

    def _insist(self) -> None:
        """A hard persona says when its question was passed over."""
        name = self.state.expecting
        if not (name and self.level.insists) or self.hearing.question or self.hearing.words < 5:
            return
        concern, now = self.pack.concerns[name], self.state.concern(name)
        probing = self.does("probe") or self.does("listen")
        if now.status == "raised" and now.voiced < MAX_VOICED and not probing:
            self.trust(-1)
            self._voice(concern, "insist")

    def _may_raise(self) -> bool:
        if self.said and self.said[-1].text.endswith("?"):
            return False
        if any(mark.startswith("raised:") for said in self.said for mark in said.marks):
            return False
        if any(kind != "resolved" for kind, _ in self.met) or self.state.agreed:
            return False
        return self.state.turn - self.state.concern_turn >= self.level.gap

    def _raise_own(self) -> None:
        for concern in self._open_concerns():
            now = self.state.concern(concern.id)
            if now.status == "waiting" and self._due(concern) and not self._kept_back(concern):
                self._voice(concern, "own")
                return

    def _kept_back(self, concern: Concern) -> bool:
        """One objection at a time, as long as it is fresh."""
        return concern.kind == "objection" and any(
            c.kind == "objection"
            and self._is_raised(c)
            and self.state.turn - self.state.concern(c.id).turn < OUTSTANDING_TURNS
            for c in self._open_concerns()
        )

    def _due(self, concern: Concern) -> bool:
        when, acts = concern.when, self.state.acts
        if not (when.upon or when.after or when.stages or when.turns):
            return False  # comes up only when asked for, or at the close
        return (
            self.state.turn >= when.turns
            and self.state.trust < when.trust_below
            and (not when.upon or bool(when.upon & self.hearing.intents()))
            and (not when.after or any(acts.get(name) for name in when.after))
            and not any(acts.get(name) for name in when.unless)
            and (not when.stages or self.state.stage in when.stages)
            and all(self.state.concern(c).status == "resolved" for c in when.resolved)
        )

    def _understood(self) -> bool:
        return any(intent.does not in QUIET for _, intent in self.intents())

    def _fall_back(self) -> None:
        """Nothing to answer, or nothing understood."""
        lines, hearing = self.pack.lines, self.hearing
        understood = self._understood()
        if hearing.interrupting and not understood:
            polite = self.state.interruptions % 2 or self.level.insists is False
            name = "interrupted" if polite else "let_me_finish"
        elif understood:
            name = "acknowledge"
        elif self.intents() and not hearing.question:
            name = "next"
        elif self.state.unknown_run + 1 >= STEER_AFTER:
            name = "steer"
        elif hearing.question:
            name = "unknown_question"
        else:
            name = "clarify" if hearing.words < 4 else "acknowledge"
        for choice in (name, "acknowledge", "clarify", "next"):
            if self.say(lines[choice], f"fallback:{choice}"):
                break
        if name == "steer":
            self.state = replace(self.state, unknown_run=-1)

    # --- the end ---------------------------------------------------------------------------------

    def finish(self, *, before: State) -> tuple[State, Reply]:
        said = tuple(self.said)
        recent = (*self.state.recent, *(s.text for s in said))[-RECENT:]
        after = replace(self.state, last=said, pending=said, recent=recent)
        cue = {
            "hearing": self.hearing.as_json(),
            "rules": self.rules,
            "pools": [s.pool for s in said],
            "before": digest(before),
            "after": digest(after),
            "changes": changes(before, after),
        }
        return after, Reply(said, cue)


def _vague(act: Act, intent: Intent) -> bool:
    """A claim that should carry a figure and carries none."""
    return intent.needs_figure and not act.amount
