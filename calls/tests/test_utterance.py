"""What words say about the end of a turn, as a recogniser writes them."""

import pytest

from calls.live.utterance import Ending, ending_of, is_backchannel, repeats, takes_floor


@pytest.mark.parametrize(
    "text",
    [
        *("", "So, um,", "Well", "I was, um.", "and my", "It depends on the", "Let me", "Let me."),
        *(
            "Your monthly cost would be",
            "I'd like to.",
            "The reason I ask is that",
            "And",
            "you know",
        ),
        *("The second thing is...", "My plan –", "It starts on January.", "Because, you know."),
        *("Is there anything?", "Could you show me", "I know it is."),
    ],
)
def test_more_is_coming(text):
    assert ending_of(text) is Ending.OPEN


@pytest.mark.parametrize(
    "text",
    [
        *("My number is 555.", "My number is 555-014", "You can reach me at 800-331"),
        *("The zip code is 45", "That is spelled H-A-R.", "My e-mail is Adam"),
        *(
            "My email is adam at harbor health",
            "The address is 1240 Maple Street.",
            "It's four hundred",
        ),
        *("Your member number is A 7 449", "Our office is at 12 Oak Avenue,".rstrip(",")),
    ],
)
def test_something_is_being_dictated(text):
    assert ending_of(text) is Ending.DICTATING


@pytest.mark.parametrize(
    "text",
    [
        *("My number is 555-014-2279.", "The zip code is 45402.", "It is about $40."),
        *("My e-mail is adam@harborhealth.com.", "My email is adam at harbor health dot com."),
        *(
            "That makes sense to me.",
            "Let's do that.",
            "Tell me.",
            "Yes, I do.",
            "I appreciate that.",
        ),
        *("The address is 1240 Maple Street in Dayton, Ohio.", "There are two of us in the house."),
        *("Your plan ends in December.", "Thank you for telling me.", "We need part A and part B."),
        *("He was more respectable than he was.", "That depends on where we are."),
        *("You can cancel whenever you like.", "We signed off on this.", "Take two if you like."),
    ],
)
def test_a_closed_sentence(text):
    assert ending_of(text) is Ending.STATEMENT


@pytest.mark.parametrize("text", ["Do you?", "And what is it about?", "Is it 555?", "Okay?"])
def test_a_question_is_one_whatever_its_last_word(text):
    assert ending_of(text) is Ending.QUESTION


def test_a_first_word_and_words_without_a_mark():
    assert ending_of("Okay.") is Ending.OPENER
    assert ending_of("Oh, great") is Ending.OPENER
    assert ending_of("Hey Dana") is Ending.NEUTRAL


@pytest.mark.parametrize("text", ["Mm-hmm.", "Okay, right.", "", "I see.", "Yeah, yeah, okay."])
def test_words_that_only_listen(text):
    assert is_backchannel(text) and not takes_floor(text)


@pytest.mark.parametrize("text", ["Wait, what?", "No", "Stop.", "Hold on.", "Oh, sorry"])
def test_words_that_stop(text):
    assert takes_floor(text)


def test_words_that_do_neither():
    assert not is_backchannel("Okay, but what about my doctor")
    assert not takes_floor("I know that")


def test_an_echo_says_what_was_said_in_the_same_order():
    said = "My doctor is over on the east side, and I see her about four times a year."
    assert repeats("on the east side and I see", said)
    assert repeats("My doctor's over on the east side and I see her about four times", said)
    assert not repeats("Which doctor do you see?", said)
    assert not repeats("doctor", said)  # a single word proves nothing
    assert not repeats("on the east side, which street is it?", said)
