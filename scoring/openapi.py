"""The score of a call as the API's document describes it. docs/scoring.md says what it means."""

from scoring.ports import Answer
from tenants.describing import (
    Schema,
    array,
    boolean,
    integer,
    moment,
    nullable,
    number,
    obj,
    ref,
    text,
)

_QUOTE: dict[str, Schema] = {
    "turn": integer("Which turn: `number` in the transcript.", minimum=0),
    "quote": text("The words, cut from the transcript."),
    "firstCharacter": integer("Where they begin in the turn's `content`.", minimum=0),
    "lastCharacter": integer("The first character after them.", minimum=0),
    "start": number("Seconds of the call.", minimum=0),
    "end": number("Seconds of the call.", minimum=0),
}


def _evidence(kind: str, description: str, properties: dict[str, Schema]) -> Schema:
    told = {"kind": {"type": "string", "const": kind}, **properties, "trigger": ref("Quote")}
    return obj(description, told, optional=("trigger",))


def _counted(description: str, schema_number: Schema | None = None) -> Schema:
    return nullable({**(schema_number or number("")), "description": description, "minimum": 0})


SHAPES: dict[str, Schema] = {
    "Quote": obj("Words of one turn, with their place.", _QUOTE),
    "QuoteEvidence": _evidence("quote", "It was said, in these words of the rep.", _QUOTE),
    "AbsenceEvidence": _evidence(
        "absence",
        "It was not said: the span that was searched.",
        {
            "firstTurn": integer("The first turn searched.", minimum=0),
            "lastTurn": integer("The last turn searched.", minimum=0),
            "start": number("Seconds of the call.", minimum=0),
            "end": number("Seconds of the call.", minimum=0),
            "turnsSearched": integer("How many turns of the rep that were.", minimum=0),
        },
    ),
    "NoEvidence": _evidence(
        "none", "The check did not apply, was counted, or could not be verified.", {}
    ),
    "Evidence": {
        "description": (
            "What the answer rests on. `trigger`, where it is there, is the persona's sentence"
            " that made the check apply."
        ),
        "oneOf": [ref("QuoteEvidence"), ref("AbsenceEvidence"), ref("NoEvidence")],
        "discriminator": {
            "propertyName": "kind",
            "mapping": {
                "quote": "#/components/schemas/QuoteEvidence",
                "absence": "#/components/schemas/AbsenceEvidence",
                "none": "#/components/schemas/NoEvidence",
            },
        },
    },
    "Criterion": obj(
        "One check of the rubric and how the call answered it.",
        {
            "key": text("Names the check within its rubric."),
            "section": text("`key` of the section it belongs to."),
            "title": text("A few words for people."),
            "question": text("What was asked of the call."),
            "answer": text("`yes` is good, for every check.", enum=[str(a) for a in Answer]),
            "points": number("Points earned.", minimum=0),
            "maxPoints": integer("Points that could be earned.", minimum=0),
            "verified": boolean("`false`: the evidence did not hold, so the check did not count."),
            "evidence": ref("Evidence"),
            "reason": text("Why, in a sentence; may be empty."),
            "advice": text("What to do better; may be empty."),
            "override": ref("Override"),
        },
        optional=("override",),
    ),
    "Override": obj(
        "Only there when a manager changed the answer: `answer`, `points` and `verified` are then"
        " the manager's, the evidence stays the judge's.",
        {
            "aiAnswer": text("What the judge answered.", enum=[str(a) for a in Answer]),
            "aiPoints": number("What that earned.", minimum=0),
            "aiVerified": boolean("Whether its evidence held."),
            "reason": text("Why, in the manager's words."),
            "at": moment("When."),
        },
    ),
    "ScoreSection": obj(
        "A part of the rubric.",
        {
            "key": text("Names the section within its rubric."),
            "title": text("A few words for people."),
            "earned": number("Points earned.", minimum=0),
            "possible": number("Points that could be earned.", minimum=0),
        },
    ),
    "Metrics": obj(
        "Counted from times and words, beside the score. `null`: too little to say.",
        {
            "talkRatio": _counted("The rep's speech by all speech, silence left out: 0 to 1."),
            "longestMonologueSec": _counted("Seconds for which the rep held the floor."),
            "paceWordsPerMinute": _counted("The rep's words per minute of the rep's speech."),
            "questions": integer("Sentences of the rep that ask.", minimum=0),
            "interruptions": _counted("Turns of the rep that began over the persona.", integer("")),
            "patienceSec": _counted("Median seconds before the rep answers."),
            "silenceSec": _counted("Seconds in which nobody spoke."),
            "repSpeechSec": number("Seconds of speech of the rep.", minimum=0),
            "personaSpeechSec": number("Seconds of speech of the persona.", minimum=0),
            "repTurns": integer("Turns of the rep.", minimum=0),
            "personaTurns": integer("Turns of the persona.", minimum=0),
        },
    ),
    "ScoreVersions": obj(
        "With what the call was scored.",
        {
            "scorecard": integer("1 is the first scoring; scoring again adds one.", minimum=1),
            "rubric": obj(
                "The rubric.",
                {
                    "key": text("Its name."),
                    "version": integer("Its version.", minimum=1),
                    "digest": text("SHA-256 of its content."),
                },
            ),
            "judge": obj(
                "Who answered the checks.",
                {
                    "name": text("Which judge."),
                    "version": text("Its version."),
                    "model": text("The model behind it."),
                },
            ),
        },
    ),
    "Score": obj(
        "How the call was scored. Texts that quote the call are empty once the transcript's days of"
        " retention are over. More keys may come.",
        {
            "overallScore": integer(
                "The final score, in percent: with what managers overrode.", minimum=0, maximum=100
            ),
            "valid": boolean("`false`: a manager said that this score does not count."),
            "aiScore": integer(
                "The judge's score. Only there once a manager overrode a verdict.",
                minimum=0,
                maximum=100,
            ),
            "overriddenAt": moment("When a manager last did; only there beside `aiScore`."),
            "summary": text("What stood out, in a few sentences."),
            "feedback": text("What to do better, each point tied to a moment of the call."),
            "sections": array("The parts of the rubric, in order.", ref("ScoreSection")),
            "hardFails": array("Keys of the checks that capped the score.", {"type": "string"}),
            "criteria": array("Every check of the rubric, in order.", ref("Criterion")),
            "metrics": ref("Metrics"),
            "coverage": number(
                "The share of the points that applied whose answers are verified.",
                minimum=0,
                maximum=1,
            ),
            "versions": ref("ScoreVersions"),
        },
        optional=("valid", "aiScore", "overriddenAt"),
    ),
}

SCORE_EXAMPLE = {
    "overallScore": 82,
    "valid": True,
    "aiScore": 50,
    "overriddenAt": "2026-06-06T08:12:40.731Z",
    "summary": "Medicare Advantage full sale: 82 of 100, 16.4 of 20 points.",
    "feedback": "Doctors to keep (−3.6). It was not said in this call. Ask early, by name.",
    "sections": [{"key": "discovery", "title": "Finding out", "earned": 16.4, "possible": 20}],
    "hardFails": [],
    "criteria": [
        {
            "key": "prescriptions",
            "section": "discovery",
            "title": "Prescriptions",
            "question": "Did the rep ask what the customer takes and pays?",
            "answer": "yes",
            "points": 10,
            "maxPoints": 10,
            "verified": True,
            "evidence": {
                "kind": "quote",
                "turn": 3,
                "quote": "What do you pay for your prescriptions today?",
                "firstCharacter": 22,
                "lastCharacter": 67,
                "start": 16.52,
                "end": 19.04,
            },
            "reason": "",
            "advice": "",
        },
        {
            "key": "doctors",
            "section": "discovery",
            "title": "Doctors to keep",
            "question": "Did the rep ask which doctors the customer wants to keep?",
            "answer": "partial",
            "points": 6.4,
            "maxPoints": 10,
            "verified": True,
            "evidence": {
                "kind": "absence",
                "firstTurn": 1,
                "lastTurn": 5,
                "start": 5.02,
                "end": 29.2,
                "turnsSearched": 3,
            },
            "reason": "",
            "advice": "Ask early, by name.",
            "override": {
                "aiAnswer": "no",
                "aiPoints": 0,
                "aiVerified": True,
                "reason": "She asked for the clinic, which names the doctor.",
                "at": "2026-06-06T08:12:40.731Z",
            },
        },
    ],
    "metrics": {
        "talkRatio": 0.56,
        "longestMonologueSec": 14.2,
        "paceWordsPerMinute": 148,
        "questions": 2,
        "interruptions": 0,
        "patienceSec": 0.8,
        "silenceSec": 3.1,
        "repSpeechSec": 12.6,
        "personaSpeechSec": 9.9,
        "repTurns": 3,
        "personaTurns": 3,
    },
    "coverage": 1,
    "versions": {
        "scorecard": 1,
        "rubric": {"key": "ma-full-sale", "version": 3, "digest": "5b1f8c0e…"},
        "judge": {"name": "embedded", "version": "1", "model": "all-MiniLM-L6-v2"},
    },
}
