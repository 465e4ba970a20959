"""Lines that no rule, list or wait was chosen with: a check, not a workbench.

Written on November 24 before anything was heard of them. Who looks at single lines of a run over
them, and changes a rule for it, has used them up: say so here, and write new ones.
What happens over the persona is the same, so that the sets differ in the turns alone.
"""

from bench.voice.lines import MURMURS, PERSONA, STOPS

__all__ = ["HESITANT", "MURMURS", "NUMBERS", "PAUSED", "PERSONA", "PLAIN", "STOPS"]

PLAIN = (
    "How do you keep track of the hours today?",
    "Who picks the supplier in the end?",
    "We had the same problem two years ago.",
    "Did the last inspection go well?",
    "Most schools try it for one term.",
    "I can see why that bothers you.",
    "What would you need to see before you say yes?",
    "Our drivers start at five in the morning.",
    "Has anyone shown you the new dashboard?",
    "That was not what I expected to hear.",
    "Where does the time go on a busy day?",
    "You would not have to move anything yourself.",
    "Shall I put the offer in writing?",
    "It works with the printers you already have.",
)

PAUSED = (
    "I read your review of the hotel. | Did they ever reply?",
    "The reason I'm asking | is that your lease ends in spring.",
    "If the oven breaks down, | somebody is there within a day.",
    "Every machine we sell | comes with two free services.",
    "You said the team is growing. | How many seats will you need?",
    "As far as I can tell, | the cheaper one | would do the job.",
    "People often ask me | whether it is hard to learn.",
    "My colleague in Boston | looked after you before, | is that correct?",
    "We can start with one classroom | and see how the children like it.",
    "Nothing changes for your customers. | They call the same number.",
    "What surprised me most | was how old the pumps are.",
    "Once the papers are signed, | the keys are yours.",
    "There are two ways to pay. | Which one would suit you?",
    "She told us to call | before the end of the month.",
    "Would it help | if I sent you a sample?",
    "They looked at the kitchen, | the bathroom, | and the stairs.",
)

HESITANT = (
    "Right, so, um, | we spoke last week, | uh, | about the lease.",
    "The thing with, | with the old boilers, um, | is the parts.",
    "I would, uh, | I would have to ask my manager.",
    "Maybe we should, | um, | start with the garage.",
    "Well, you know, | it's been a strange year.",
    "So, uh, | what happens | when somebody calls in sick?",
    "We, um, | we have never done it that way.",
    "Could you, uh, | say that once more?",
)

NUMBERS = (
    "The booking code is T four seven | one nine | B.",
    "My direct line is three one two, | five five five, | zero nine four four.",
    "The warehouse is at twelve hundred | Lincoln Avenue, | in Dayton, Ohio.",
    "It comes to two thousand | four hundred and ten dollars | with tax.",
    "We could meet on Wednesday, | the fourth of November, | at half past two.",
    "Write to me at sales | at green field | dot org.",
)
