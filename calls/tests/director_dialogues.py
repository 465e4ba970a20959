"""Calls of about five minutes, as three kinds of rep would lead them."""

OPENING = (
    "Hi, is this Carol?",
    "Hi Carol, my name is Sam Carter, I'm a licensed agent with Bright Path Insurance.",
    "I'm calling about the card you mailed in. Is now a good time?",
    "Great. This call is recorded, and we do not offer every plan available in your area. You can "
    "always contact Medicare.gov or 1-800-MEDICARE.",
    "Before we talk about plans, do I have your permission to discuss Medicare Advantage today?",
)
DISCOVERY = (
    "So tell me, what plan do you have right now?",
    "And what do you like about it?",
    "If you could change one thing about it what would it be?",
    "I understand. If your plan is still the best one I'll be the first to tell you to keep it.",
    "Which doctors do you see?",
    "Any specialists?",
    "What prescriptions do you take?",
    "And how much is the Eliquis costing you?",
    "Which pharmacy do you use?",
    "Do you travel at all?",
    "So let me make sure I have this right. You want to keep Doctor Patel, pay less for the "
    "Eliquis, and get that crown taken care of.",
)
PRESENTATION = (
    "Let me look up your doctors first.",
    "Both of your doctors are in the network for the Clearwater Choice PPO.",
    "The premium is zero dollars a month, and it's $10 for your doctor and $30 for a specialist.",
    "The Eliquis would be thirty five dollars a month on this plan.",
    "It also comes with two thousand dollars a year for dental, so that would help with the crown.",
    "The most you could pay in a year is forty five hundred dollars.",
)
REASSURANCE = (
    "You can also switch back between January and March if it isn't right for you.",
    "Right now you pay forty five for the specialist and with this plan you'd pay thirty.",
    "You're welcome to verify my license with the Ohio Department of Insurance.",
    "Medicare pays the plan a set amount for every member, that's how the premium can be zero.",
)
FAMILY = (
    "I understand. We can get Megan on the line with us right now.",
    "And I will mail you a summary of benefits so you have it in writing.",
)
GOOD = (
    *OPENING,
    *DISCOVERY,
    *PRESENTATION,
    "How does that sound so far?",
    *REASSURANCE,
    "What other concerns do you have?",
    *FAMILY,
    "Would you like to move forward with this plan?",
    "So shall we go ahead and get you enrolled?",
)
# The same call without a good answer to anything she minds.
DEAF = (
    *OPENING,
    *DISCOVERY[:3],
    *DISCOVERY[4:10],
    *PRESENTATION[1:],
    "Shall we go ahead and get you enrolled?",
    "So are you ready to get enrolled?",
    "Let's get you started on the application.",
)
PUSHY = (
    "Hello Carol, this is Rick calling about your Medicare benefits.",
    "You have to sign up today, this offer expires tonight.",
    "It's completely free, guaranteed.",
    "What's your Medicare number?",
    "Don't worry about that. Just trust me.",
    "If you don't do it today you will lose your coverage.",
    "You don't need to talk to your daughter.",
    "Let's get you enrolled right now.",
    "Come on, just say yes.",
    "Shall we go ahead and get you enrolled?",
)
# What a good rep answers when she asks or minds something, one after the other.
ANSWERS = {
    "who_is_calling": ("My name is Sam Carter, I'm with Bright Path Insurance.",),
    "how_got_number": ("You filled out a card and mailed it in, that's where I got your number.",),
    "doctor_in_plan": (
        "Let me look up Doctor Patel right now.",
        "Yes, Doctor Patel is in the network, I see him in the directory.",
    ),
    "drug_cost": ("Your Eliquis would be thirty five dollars a month on this plan.",),
    "total_cost": ("The premium is zero dollars a month.",),
    "happy_with_plan": (
        "That's fair. If your plan is still the best one I'll tell you to stay where you are.",
        "Right now you pay forty five for a specialist and with this plan you'd pay thirty.",
    ),
    "scam_fear": (
        "You're welcome to verify my license with the Department of Insurance.",
        "And I will never ask you for your bank account or social security number.",
    ),
    "too_many_calls": ("I can put you on our do not call list so that nobody else calls.",),
    "lose_doctor": (
        "I checked the directory and Doctor Patel is in the network for next year.",
        "If that ever changes you can switch back between January and March.",
    ),
    "too_good": ("Medicare pays the plan a set amount for every member, so no premium is needed.",),
    "talk_to_daughter": (
        "We can get Megan on the line with us right now.",
        "And I'll mail you a summary of benefits so she can read it too.",
    ),
    "think_about_it": ("What questions do you still have for me?",),
    "send_mail": ("I'll mail you a summary of benefits today.",),
}
