import copy

import pytest

from calls.director.pack import DIFFICULTIES, PackError, pack_digest, pack_load, pack_merge
from calls.director.phrases import (
    PatternError,
    has_amount,
    matches,
    pattern_compile,
    pieces,
    plain,
)
from calls.tests.director_help import pack, shipped


def test_the_shipped_pack_is_rich_enough_to_practise_on():
    loaded = pack()
    by_example = [i for i in loaded.intents.values() if not i.rules_only]
    objections = [c for c in loaded.concerns.values() if c.kind == "objection"]
    assert len(loaded.intents) >= 60
    assert len(loaded.facts) >= 25
    assert len(objections) >= 6
    assert all(len(i.examples) >= 6 for i in by_example)
    assert set(loaded.levels) == set(DIFFICULTIES)


def test_a_harder_level_trusts_less_and_asks_for_more():
    beginner, advanced, elite = (pack().levels[name] for name in DIFFICULTIES)
    asked = [sum(c.takes[name] for c in pack().concerns.values()) for name in DIFFICULTIES]
    assert beginner.trust > advanced.trust > elite.trust
    assert beginner.gain > advanced.gain > elite.gain
    assert beginner.loss < advanced.loss < elite.loss
    assert asked == sorted(set(asked))


def test_every_line_is_short_enough_to_be_spoken_and_starts_soon():
    lines = [line for pool in pack().pools() for group in pool.groups.values() for line in group]
    firsts = [len(pieces(line)[0]) for line in lines]
    assert sum(length <= 45 for length in firsts) / len(firsts) > 0.8
    assert max(firsts) <= 110


def test_the_digest_does_not_depend_on_the_order_of_keys():
    backwards = dict(reversed(list(shipped().items())))
    changed = shipped() | {"title": "Another title"}
    assert pack_digest(backwards) == pack_digest(shipped()) == pack().digest
    assert pack_digest(changed) != pack().digest


def test_a_pack_replaces_and_takes_away_what_it_extends():
    base = {"lines": {"a": ["x", "y"], "b": ["z"]}, "n": 1}
    merged = pack_merge(base, {"lines": {"a": ["other"], "b": None}, "m": 2})
    assert merged == {"lines": {"a": ["other"]}, "n": 1, "m": 2}
    assert base["lines"] == {"a": ["x", "y"], "b": ["z"]}


def _broken(path, value):
    raw = copy.deepcopy(dict(shipped()))
    *parents, last = path.split("/")
    node = raw
    for key in parents:
        node = node[key]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("persona", ..., "pack: 'persona' is missing"),
        ("persona/voice", "", "pack.persona.voice: must be a text"),
        ("persona/speed", "fast", "pack.persona.speed: must be a number"),
        ("facts/doctors/say", ["Only one."], "pack.facts.doctors.say.any: needs two different"),
        ("facts/doctors/say", ["He is 67.", "No."], "pack.facts.doctors.say.any[0]: has digits"),
        ("facts/doctors/say", ["word " * 26, "No."], "has more than 25 words"),
        ("facts/doctors/sya", ["A.", "B."], "pack.facts.doctors: 'sya' is not known here"),
        ("intents/ask_doctors/answers", "nobody", "there is no 'nobody'"),
        ("intents/ask_doctors/patterns", ["a (b"], "pack.intents.ask_doctors.patterns[0]: cannot"),
        ("intents/ask_doctors/patterns", ["... ... ... ... x"], "at most 3 gaps"),
        ("intents/ask_doctors/does", "sing", "pack.intents.ask_doctors.does: must be one of"),
        ("objections/scam_fear/takes", {"Hard": 1}, "pack.objections.scam_fear.takes: 'Hard'"),
        ("objections/scam_fear/resolved_by", ["magic"], "there is no 'magic'"),
        ("difficulties/Elite", ..., "pack.difficulties.Elite: is missing"),
        ("lines/openings", ..., "pack.lines.openings: is missing"),
        ("silence", [9, 3], "must come after the first"),
        ("intents", {"Bad Name": {}}, "is not a name"),
        ("intents", 3, "pack.intents: must be a mapping"),
    ],
)
def test_a_broken_pack_is_refused_with_its_path(path, value, message):
    with pytest.raises(PackError) as refused:
        pack_load(_broken(path, value))
    assert message in str(refused.value)


def test_all_problems_are_named_at_once():
    raw = _broken("facts/doctors/say", ["Only one."])
    raw["objections"]["scam_fear"]["trust"] = 99
    with pytest.raises(PackError) as refused:
        pack_load(raw)
    assert [p.split(":")[0] for p in refused.value.problems] == [
        "pack.facts.doctors.say.any",
        "pack.objections.scam_fear.trust",
    ]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("are you ... robot|machine", "Wait, are you really a robot?", True),
        ("are you ... robot|machine", "are you one two three four five robot", False),
        ("prescri* ?drug plan", "a prescription plan", True),
        ("prescri* ?drug plan", "a prescription drug plan", True),
        ("^ hello", "hello there", True),
        ("^ hello", "oh hello", False),
        ("bye $", "good bye", True),
        ("bye $", "bye now", False),
        ("let me (make sure|repeat back)", "let me repeat back what you said", True),
        ("don't have to", "You don’t have to.", True),
        ("cat", "concatenate", False),
    ],
)
def test_patterns_find_words(pattern, text, found):
    assert matches((pattern_compile(pattern),), plain(text)) is found


@pytest.mark.parametrize("pattern", ["", "(", "a||b", ".*", "a+", "x ^ y", "(a|b", "..."[:2]])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(PatternError):
        pattern_compile(pattern)


def test_text_is_made_plain():
    assert plain("It's $1,200 — Dr. O’Neil, 5%!") == "its 1200 dollars dr oneil 5 percent"
    assert has_amount(plain("thirty bucks"))
    assert not has_amount(plain("that one"))


def test_lines_are_cut_into_sentences_but_no_single_words():
    assert pieces("No. I like my plan. Why would I change?") == (
        "No. I like my plan.",
        "Why would I change?",
    )
    assert pieces("Speaking.") == ("Speaking.",)
    assert pieces("I paid that. Why?") == ("I paid that. Why?",)
