"""Calls written out, with verdicts decided by hand before any rule was run on them.

`R` is the rep, `P` the persona. The texts look like a recogniser's: sometimes without capitals or
commas, numbers as digits or words, no fillers. Times follow from the number of words.
"""

# ruff: noqa: E501 - one turn is one line

import re
from collections.abc import Mapping

from scoring.ports import Line, Role, Transcript, Word

WORDS_PER_SECOND = 2.6
GAP = 0.7  # seconds between two turns
_SPEAKER: Mapping[str, Role] = {"R": "user", "P": "assistant"}


def transcript_of(script: str, *, lag: float = 0.0) -> Transcript:
    """One line per turn, `R: words` or `P: words`; `R<:` begins over the line before it."""
    lines: list[Line] = []
    now = 0.8
    for number, raw in enumerate(filter(None, map(str.strip, script.splitlines())), 1):
        match = re.fullmatch(r"([RP])(<?): (.*)", raw)
        assert match, raw
        speaker, over, text = match.groups()
        start = now - GAP - 1.0 if over else now
        words = text.split()
        end = start + len(words) / WORDS_PER_SECOND
        timed = tuple(
            Word(word, start + i / WORDS_PER_SECOND, start + (i + 1) / WORDS_PER_SECOND)
            for i, word in enumerate(words)
        )
        lines.append(Line(number, _SPEAKER[speaker], text, start, end, timed))
        now = end + GAP
    lags = {line.number: lag for line in lines if line.role == "assistant"}
    return Transcript(tuple(lines), duration=now, lags=lags)


GOOD = """
P: Hello?
R: Good morning, is this Margaret? Hi Margaret, my name is Daniel Brooks and I'm a licensed insurance agent with Harbor Senior Benefits. Before we start, I have to tell you that this call is being recorded.
P: Oh, okay. That's fine.
R: Thank you. We do not offer every plan available in your area. Currently we represent 7 organizations which offer 38 products in your area. Please contact medicare.gov, 1-800-Medicare or your local State Health Insurance Program to get information on all of your options.
P: All right.
R: You sent in a card asking about Medicare Advantage. Is it okay with you if we talk about Medicare Advantage and prescription drug plans today?
P: Yes, that's what I was curious about.
R: Wonderful. So first I'd like to learn a bit about you. When it comes to your health coverage, what matters most to you?
P: Well, I want to keep my doctor, and the dentist has gotten so expensive.
R: I hear that a lot. Who is your doctor?
P: Dr. Patel, at the clinic on Main Street. And I see a Dr. Wong for my heart.
R: Okay, so Dr. Patel and Dr. Wong, the cardiologist. And what prescriptions are you taking right now?
P: Metformin, lisinopril and the Eliquis.
R: Got it. And what kind of coverage do you have today?
P: I'm on original Medicare with a supplement, plan G.
R: And how is that working for you?
P: It's good, but it went up again. It's 189 dollars now.
R: So 189 dollars a month. What would be a comfortable amount for you to spend?
P: Less than that, I'm on a fixed income.
R: I understand. Do you have both part A and part B?
P: Yes, both.
R: And do you get any help from the state, like Medicaid or Extra Help?
P: No, nothing like that.
R: Thank you, Margaret. Give me one second while I look at the plans in your county. Okay. There is one that I think is worth a look, it's a PPO from Bluewater. The monthly premium is zero dollars, and you keep paying your part B premium as you do today.
P: Zero? What's the catch?
R: That's a fair question. What worries you when you hear zero?
P: Well, nothing is for nothing. My neighbor had one of those and they denied her a scan.
R: I'm sorry that happened to her. The reason the premium is zero is that Medicare pays the plan a fixed amount for each member. And yes, some services need approval from the plan first, and if they say no you have the right to appeal. Does that answer your question?
P: I suppose it does. Yes.
R: You told me that you want to keep your doctors. I looked them up, and both Dr. Patel and Dr. Wong are in the network. You'd pay nothing to see Dr. Patel and 30 dollars for Dr. Wong.
P: Oh good.
R: Your metformin and lisinopril are tier one, that's a zero dollar copay, and the Eliquis is 47 dollars a month. And since you mentioned the dentist, it includes two cleanings a year and 1500 dollars towards other dental work.
P: That would help me a lot.
R: And the most you could pay in a year for covered services in the network is 4,200 dollars. How does that sound so far?
P: It sounds good. I'd want to talk to my daughter, though.
R: Of course, that makes sense. It's a big decision. What do you think she'd want to know?
P: Just whether I can go back if I don't like it.
R: You can. You have a trial right because this would be your first Advantage plan, so within the first twelve months you could go back to original Medicare. We can also call your daughter together if you'd like. Does that put your mind at ease?
P: Yes, it does. She'd probably be glad about the dentist.
R: Great. Would you like to go ahead and enroll in this plan today?
P: Yes, let's do it.
R: Perfect. Your coverage starts January 1st. You'll get your new member card in the mail within ten days, and I'll call you on the 5th to make sure you have it.
P: Thank you, Daniel.
R: Thank you, Margaret. Have a good day.
"""
GOOD_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "yes",
    "plan_disclaimer": "yes",
    "permission": "yes",
    "doctors": "yes",
    "prescriptions": "yes",
    "current_coverage": "yes",
    "eligibility": "yes",
    "budget": "yes",
    "priorities": "yes",
    "ties_to_need": "yes",
    "costs": "yes",
    "network_and_drugs": "yes",
    "out_of_pocket": "yes",
    "acknowledges": "yes",
    "clarifies": "yes",
    "answers_concern": "yes",
    "confirms_resolved": "yes",
    "asks_decision": "yes",
    "next_steps": "yes",
    "effective_date": "yes",
    "no_government_claim": "yes",
    "no_overpromise": "yes",
    "no_pressure": "yes",
    "listening": "yes",
}

MEDIOCRE = """
P: Hello, who's this?
R: hi this is kelly calling from brightside insurance how are you today
P: I'm fine. What's this about?
R: i'm calling because it's open enrollment and i wanted to see if we can find you a better plan. do you have a couple of minutes
P: I guess so.
R: great and just so you know our calls are recorded. so are you on medicare right now
P: Yes, I've got an Advantage plan with Summit.
R: okay summit. and do you take any medications
P: A blood pressure pill and something for cholesterol.
R: okay. and who's your primary care doctor
P: Dr. Alvarez.
R: perfect. okay so let me tell you about this plan. it's an hmo from meridian and it has a zero dollar premium and it comes with dental vision and hearing and a gym membership. it's a great fit for you
P: Mm-hm. And what does it cost when I go to the doctor?
R: so the primary care is zero and the specialist is forty dollars
P: Is Dr. Alvarez in it?
R: i think so. you should call the office and ask them to be sure
P: I don't know. I'm pretty happy with what I have.
R: i understand. but this one has more dental and you can always switch back later in the open enrollment period in january
P: I'd have to think about it.
R: okay sure i get that. do you have any other questions
P: Not really.
R: okay well let's get you enrolled then i just need your medicare number
P: No, I said I want to think about it.
R: alright no problem i'll send you the information in the mail and give you a call next tuesday
P: Okay. Bye.
R: bye now
"""
MEDIOCRE_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "yes",
    "plan_disclaimer": "no",
    "permission": "partial",
    "doctors": "yes",
    "prescriptions": "yes",
    "current_coverage": "partial",
    "eligibility": "no",
    "budget": "no",
    "priorities": "no",
    "ties_to_need": "partial",
    "costs": "yes",
    "network_and_drugs": "no",
    "out_of_pocket": "no",
    "acknowledges": "yes",
    "clarifies": "no",
    "answers_concern": "yes",
    "confirms_resolved": "yes",
    "asks_decision": "partial",
    "next_steps": "yes",
    "effective_date": "not_applicable",
    "no_government_claim": "yes",
    "no_overpromise": "yes",
    "no_pressure": "yes",
    "listening": "yes",
}

PUSHY = """
P: Hello?
R: Yes hello, I'm calling from the Medicare benefits department. The government sent me to make sure you get the benefits you are owed.
P: From Medicare? Is something wrong with my card?
R: No, but you're going to lose your benefits if we don't update this today. Do you have your Medicare card with you?
P: Well, let me think. I don't like to give that out.
R<: Ma'am, listen to me. This is completely free, you will never pay a dime for anything again.
P: I already have a plan through my husband's union and I'm happy with it.
R<: That's an old plan, everybody is leaving it. This one covers everything, dental, vision, all of it, free.
P: But would I keep my doctor? I've seen her for twenty years and
R<: Every doctor takes it. Don't worry about that.
P: I'd want to talk to my husband first. He handles these things.
R: You don't need to ask your husband. This offer ends today and I can't hold it for you.
P: That sounds like a scam to me.
R: It's not a scam. You'd be crazy not to take it. So are you ready to sign up? I just need the number on your card.
P: No. I'm not giving you that.
R: Why are you wasting my time then?
P: Goodbye.
"""
PUSHY_VERDICTS = {
    "introduction": "no",
    "recording_notice": "no",
    "plan_disclaimer": "no",
    "permission": "no",
    "doctors": "no",
    "prescriptions": "no",
    "current_coverage": "no",
    "eligibility": "no",
    "budget": "no",
    "priorities": "no",
    "ties_to_need": "no",
    "costs": "no",
    "network_and_drugs": "no",
    "out_of_pocket": "no",
    "acknowledges": "no",
    "clarifies": "no",
    "answers_concern": "no",
    "confirms_resolved": "no",
    "asks_decision": "yes",
    "next_steps": "no",
    "effective_date": "not_applicable",
    "no_government_claim": "no",
    "no_overpromise": "no",
    "no_pressure": "no",
    "listening": "no",
}

CALLS = {
    "good": (GOOD, GOOD_VERDICTS),
    "mediocre": (MEDIOCRE, MEDIOCRE_VERDICTS),
    "pushy": (PUSHY, PUSHY_VERDICTS),
}
