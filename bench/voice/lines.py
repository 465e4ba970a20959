"""What the reps of the bench say. "|" is a place where a speaker may stop in the middle."""

PLAIN = (
    "Which doctors do you see?",
    "Do you take any prescription medicines?",
    "What do you pay for your plan each month?",
    "What do you like most about the plan you have now?",
    "I understand. Many people feel that way.",
    "It also covers dental, vision, and hearing.",
    "What questions do you have so far?",
    "How does that sound to you?",
    "Would that be helpful for you?",
    "When did you last talk to somebody about your coverage?",
    "Thank you for telling me.",
    "Are you taking care of anybody else at home?",
    "I'm glad to hear that.",
    "That makes sense.",
    "How often do you go to the dentist?",
    "Who helps you with decisions like this one?",
)

PAUSED = (
    "I'm calling about your Medicare options for next year. | Do you have a few minutes?",
    "Just so you know, | this call is recorded.",
    "And is it important to you | to keep seeing them?",
    "Let me ask you, | how often do you go to the dentist?",
    "Is there anything | you would change about it?",
    "The plan I have in mind | has no monthly premium.",
    "Your doctor is in the network. | I just checked.",
    "That is a fair point. | May I explain how it works?",
    "The most you would pay in a year | is four thousand dollars.",
    "Shall we go ahead | and get you enrolled today?",
    "If I could show you a plan | that covers all of that, | would you want to hear more?",
    "So what I hear is | that the price | is what matters most.",
    "I looked at three plans for you, | and one of them | keeps both of your doctors.",
    "You mentioned your husband. | Is he on the same plan?",
    "With the card you get, | you can go to any pharmacy | in the county.",
    "Before we go on, | I need to confirm | that you have part A and part B.",
    "What would happen | if you had to go to the hospital tomorrow?",
    "I can send it to you by mail, | or we go through it | right now.",
)

HESITANT = (
    "Well, um, | I wanted to ask you | about your prescriptions.",
    "So, uh, | the thing is, um, | it would cost a little more.",
    "I think, | um, | we could look at the other plan.",
    "Let me see, | uh, | your current plan ends in December.",
    "And, um, | do you, | do you see a specialist?",
    "It's, uh, | it's about twenty dollars | for each visit.",
    "Right, so, | um, | what did they tell you?",
    "Because, you know, | um, | it starts in January.",
    "Hmm, | let me check that for you. | Yes, it is covered.",
    "The, uh, | the deductible is, | um, two hundred dollars.",
)

NUMBERS = (
    "My number is five five five, | zero one four, | two two seven nine.",
    "The address is twelve forty | Maple Street, | in Dayton, Ohio.",
    "Your appointment is on Tuesday, | the fourteenth of March, | at ten thirty.",
    "Your member number is A seven | four four nine | one two eight six.",
    "Your date of birth is May the third, | nineteen fifty two. | Is that right?",
    "It would be one hundred | and sixty four dollars | and ninety cents.",
    "The zip code is four five | four zero two.",
    "It runs from January first | to December thirty first, | twenty twenty seven.",
)

# Over the persona, to take the floor.
STOPS = (
    "Wait, wait.",
    "Stop there for a second.",
    "No, that is not what I meant.",
    "Hold on, hold on.",
    "Sorry, can I ask you something?",
    "Actually, my question was about the premium.",
    "Excuse me, which doctor did you say?",
    "But what does it cost you today?",
    "Let me stop you there, I need to ask about your doctors.",
    "I'm sorry to interrupt, but how long have you had that plan?",
)

# Over the persona, to show that one listens.
MURMURS = (
    "Mhm.",
    "Right.",
    "Okay.",
    "Yeah.",
    "Uh-huh.",
    "I see.",
    "Got it.",
    "Sure.",
    "Oh, okay.",
    "Yeah, right.",
)

# Spoken by the persona of the offline bench, for what happens over it.
PERSONA = (
    "I have had the same plan for years, and nobody has ever called me about it before today.",
    "My doctor is over on the east side, and I see her about four times a year for my blood sugar.",
    "To be honest, I get so many of these calls that I don't know whom to believe any more.",
    "It costs me around forty dollars a month, and then there is what I pay at the pharmacy.",
)
