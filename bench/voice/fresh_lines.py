"""Lines of other trades than `lines`, written once and left alone.

One rule of words was mended for one of them, "whenever you like". Since November 23 the waits are
chosen with them too: a check on lines that nothing was tuned on needs new ones.
What happens over the persona is the same, so that the two sets differ in the turns alone.
"""

from bench.voice.lines import MURMURS, PERSONA, STOPS

__all__ = ["HESITANT", "MURMURS", "NUMBERS", "PAUSED", "PERSONA", "PLAIN", "STOPS"]

PLAIN = (
    "How many people work in your office?",
    "Who else should be on this call?",
    "What made you look at us in the first place?",
    "We replace the battery free of charge.",
    "Could you walk me through a normal day?",
    "I hear that a lot, to be fair.",
    "That depends on how much you drive.",
    "Does your team use anything like that already?",
    "You can cancel whenever you like.",
    "Where do you keep the boat in winter?",
    "We opened a second workshop last spring.",
    "Is Thursday morning any good for you?",
    "It takes about a week to set up.",
    "What happened the last time it broke down?",
)

PAUSED = (
    "Thanks for picking up. | Is this a bad moment?",
    "I saw that you opened a new branch | in Denver.",
    "When the contract ends, | you keep the phones.",
    "The roof gets sun all afternoon, | so you would make more | than you use.",
    "Nobody likes to change their software. | We move the data for you.",
    "Most of our customers | pay once a year.",
    "Whoever answers the phone | sees the whole history.",
    "You told my colleague | that the invoices come late. | Is that still so?",
    "The difference between the two | is the engine.",
    "I could come by on Friday | and measure the windows.",
    "Unless you want the leather seats, | the small package | has everything.",
    "We have forty technicians. | One of them lives in your street.",
    "What I would suggest | is a trial with five people, | for a month.",
    "It pays for itself | after the third winter.",
    "How much of that | goes to the agency?",
    "They promised you a discount | and never sent it, | is that right?",
)

HESITANT = (
    "Okay, so, um, | the first thing I noticed, | uh, | was the heating bill.",
    "It's not, | it's not the price | that worries me, um, | it's the timing.",
    "Well, the, uh, | the warranty covers the parts.",
    "Let me just, | uh, | look up your order.",
    "I was wondering, um, | who signs off on this?",
    "Yeah, so, | you know, | we could start smaller.",
    "There is, uh, | one more thing | I wanted to mention.",
    "I guess, um, | that would be possible.",
)

NUMBERS = (
    "Your order number is K two nine | zero zero | eight one five.",
    "You can reach me at seven two zero, | five five five, | one eight six two.",
    "We are at thirty one | Harbor Road, | in Portland, Maine.",
    "That makes three thousand | two hundred and fifty dollars | a year.",
    "The visit is on Monday, | the twenty second of June, | at a quarter past nine.",
    "My e-mail is jane | at north wind | dot com.",
)
