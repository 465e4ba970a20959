"""More calls written out, with verdicts decided by hand before the rules saw them.

Each of FITTED was once blind. The embedded judge agreed with 0.56 (beginner, listener), 0.80 (calm,
sloppy, short), 0.78 (drifting, smooth) and 0.72 (plain, green) of its verdicts at first sight; then
it was used to widen the rules, so that it shows nothing about new calls any more. HELD_OUT was never
used for anything: 0.88 at first sight. Whoever changes a rule for its sake moves it to FITTED and
writes a new one.
"""

# ruff: noqa: E501 - one turn is one line

BEGINNER = """
P: Hi, this is Frank.
R: Hey Frank, good afternoon. Priya here, I'm an independent agent with Oak Tree Insurance Group. How's your day going?
P: Pretty good. Hot out.
R: I bet. Frank, I do need to mention that we're on a recorded line. And I'll be honest with you, I don't have every single plan out there in your county. I work with five companies. For the full list there's always Medicare.gov or the 1-800-Medicare number.
P: Sure, I understand.
R: So you're about to turn 65, is that right?
P: Next month, yes sir, ma'am.
R: Happy early birthday. Have you gotten your red, white and blue card yet, with your part A and part B dates on it?
P: Yep. Both start on the first.
R: Perfect. And right now, are you covered through an employer?
P: Through my wife's job. She's retiring too.
R: Congratulations to her. Are you folks getting any assistance from Medicaid or the state?
P: No.
R: Okay. Any doctors that you'd hate to lose?
P: Just the one, Dr. Simmons. Had him for years.
R: Okay, Dr. Simmons. Are you on any medication?
P: Just a statin.
R: Which one?
P: Rosuvastatin.
R: Great, that's a generic. So Frank, I ran your doctor and your medicine through our system, and I've got one plan from Crestline that I like for you. Dr. Simmons participates in it, so you keep him. Your rosuvastatin would cost you nothing. The plan itself has no monthly premium, and a specialist visit runs 35 bucks.
P: That's it?
R: Well, you'd still pay for Part B like everybody else. And if you had a really bad year, the most that'd ever come out of your pocket is 5,500 dollars.
P: Hm. I'm a little nervous about picking the wrong thing.
R: I get it, there's a lot coming at you right now. What part makes you nervous?
P: Just getting stuck in it.
R: You won't be stuck. You've got a full year to try it and go back to regular Medicare if it isn't for you. Does that take some of the worry away?
P: Yeah, that's good to know.
R: So what do you say, want me to put the application in for you?
P: Sure, let's go ahead.
R: Alright. Your plan will kick in on the first of next month, same day as your Medicare. Look for an ID card in the mail in the next couple weeks, and I'll check in with you once it's there.
P: Sounds good. Thanks.
R: Thank you, Frank.
"""
BEGINNER_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "yes",
    "plan_disclaimer": "yes",
    "permission": "no",
    "doctors": "yes",
    "prescriptions": "yes",
    "current_coverage": "partial",
    "eligibility": "yes",
    "budget": "no",
    "priorities": "no",
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

LISTENER = """
P: Hello?
R: Hello, Mrs. Ortiz? My name is Ben and I work for Silver Path Advisors, I'm a licensed agent. Do you have a few minutes?
P: A few, yes.
R: Thank you. Everything we say today is recorded, just to keep us honest. Would you mind if I asked you some questions about your Medicare, and then we can see if there is a plan worth talking about?
P: Go ahead.
R: What's the one thing you'd fix about your health care if you could?
P: The copays. Every time I go to the lung doctor it's fifty dollars.
R: Fifty every time, that adds up. How often do you go?
P: Every month.
R: And who's that with?
P: Dr. Chen, at the university.
R: Anybody else you see?
P: Only my regular doctor, Dr. Abbott.
R: What do you have at the moment for insurance, and are you pleased with it otherwise?
P: It's the Evergreen HMO. It's all right.
R: What do they charge you for it every month?
P: Twenty two dollars.
R: And how about your medicines, what do you take?
P: Two inhalers and something for my thyroid.
R: Okay. I'm looking at a plan here called Clearview Select. You said the lung doctor is costing you fifty dollars a visit. On this one it would be twenty five.
P: Is that so.
R: Yes ma'am. And Dr. Chen and Dr. Abbott are both on their list. There's no premium.
P: And my inhalers?
R: One of them is covered as a tier three, 42 dollars. The other one I honestly can't find, so we'd have to ask your doctor for a substitute.
P: Oh, I don't want to change my inhaler.
R: No, I wouldn't want to either. Then this may not be the one for you.
P: Well, thank you for being honest.
R: I'd rather you stay where you are than lose a medicine that works. How about I look again in October when the new plans come out, and ring you then?
P: That would be nice.
R: Good. I'll put it in my calendar for the fifteenth and give you a call.
P: Thank you, Ben.
R: Take care, Mrs. Ortiz.
"""
LISTENER_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "yes",
    "plan_disclaimer": "no",
    "permission": "yes",
    "doctors": "yes",
    "prescriptions": "yes",
    "current_coverage": "yes",
    "eligibility": "no",
    "budget": "yes",
    "priorities": "yes",
    "ties_to_need": "yes",
    "costs": "yes",
    "network_and_drugs": "yes",
    "out_of_pocket": "no",
    "acknowledges": "yes",
    "clarifies": "no",
    "answers_concern": "yes",
    "confirms_resolved": "no",
    "asks_decision": "no",
    "next_steps": "yes",
    "effective_date": "not_applicable",
    "no_government_claim": "yes",
    "no_overpromise": "yes",
    "no_pressure": "yes",
    "listening": "yes",
}

CALM = """
P: Yes, hello?
R: Hi, is this Mr. Dalton? This is Renee with Cornerstone Medicare Advisors. How are you this morning?
P: Can't complain. What can I do for you?
R: You had mailed us a card about your Medicare options. I'm a licensed broker here in Missouri. Quick heads up, our calls get recorded.
P: That's fine.
R: And we don't represent all of the companies in your county, so if you ever want to see everything, call 1-800-Medicare or go on their website, Medicare.gov.
P: Okay.
R: Are you comfortable with us chatting about Advantage plans and drug coverage today?
P: That's why I mailed it.
R: Great. What made you start looking?
P: My plan's going up and they cut the gym.
R: Oh no. Which company is it?
P: It's Pinnacle. The Gold one.
R: And besides the gym, how do you feel about it?
P: It's decent. The doctors are all right.
R: Tell me who your doctors are.
P: Dr. Kessler is my main one, and I see a foot doctor, Dr. Ng.
R: And what do you take for medicine, if anything?
P: Losartan, and I'm on Jardiance for the sugar. That one's high.
R: What are you paying for the Jardiance?
P: Ninety some a month.
R: Ouch. And do you have Medicaid, or any Extra Help from Social Security?
P: No ma'am.
R: Okay. So besides the gym and the Jardiance, what else would make a plan a good one in your book?
P: Just don't nickel and dime me.
R: Fair enough. Alright, I pulled up a plan from Meadowlark. Kessler and Ng are both in the directory. Losartan's free, that's tier one, and Jardiance drops to forty seven. And it does have the gym.
P: Huh. What's it cost?
R: Twelve dollars a month. Your main doctor is five, specialists are thirty, and the ceiling for the whole year, the worst it could get, is thirty eight hundred.
P: That's not bad. But I don't know, switching is such a hassle.
R: It can feel that way. What part of it sounds like a hassle to you?
P: All the paperwork and telling the doctors.
R: I do the paperwork with you right here, takes about fifteen minutes, and Pinnacle gets notified by Medicare automatically. All you do is show the new card. Does that sound more doable?
P: It does.
R: Then would you like to do that with me now?
P: Let's go ahead, yes.
R: Okay. Once we're done, it takes effect January first, and the card shows up about two weeks before. I'll ring you the first week of January to see how it's going.
P: Appreciate it, Renee.
R: You bet.
"""
CALM_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "yes",
    "plan_disclaimer": "yes",
    "permission": "yes",
    "doctors": "yes",
    "prescriptions": "yes",
    "current_coverage": "yes",
    "eligibility": "partial",
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

SLOPPY = """
P: Hello.
R: hey there it's tyler how's it going
P: Who?
R: tyler with next level health. so you're turning 65 huh
P: In March, yeah.
R: awesome so listen i've got the best plan on the market for you it's the number one plan
P: Okay. I was going to use my wife's insurance.
R: oh you don't want that. so what meds are you on
P: None really. Aspirin.
R: okay that makes it easy. so this plan is zero premium and you get a card with money on it for groceries
P: What's the catch?
R: no catch man it's legit
P: What about if I end up in the hospital?
R: it's like 300 a day or something for a few days. after that it's covered
P: I see Dr. Howell, is he on it?
R: pretty sure he is everybody's on it
P: Hm. I'd want to look at it with my wife first.
R: okay but these go quick. if you wait past today i can't promise you get the grocery card
P: I'll take my chances.
R: alright i'll shoot you a text with the details and call you thursday
P: Fine. Bye.
R: later
"""
SLOPPY_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "no",
    "plan_disclaimer": "no",
    "permission": "no",
    "doctors": "no",
    "prescriptions": "yes",
    "current_coverage": "no",
    "eligibility": "no",
    "budget": "no",
    "priorities": "no",
    "ties_to_need": "no",
    "costs": "yes",
    "network_and_drugs": "no",
    "out_of_pocket": "no",
    "acknowledges": "no",
    "clarifies": "no",
    "answers_concern": "no",
    "confirms_resolved": "no",
    "asks_decision": "no",
    "next_steps": "yes",
    "effective_date": "not_applicable",
    "no_government_claim": "yes",
    "no_overpromise": "partial",
    "no_pressure": "no",
    "listening": "yes",
}

SHORT = """
P: Hello?
R: Good afternoon, this is Angela calling on a recorded line from Valley Senior Services. May I speak with Rosa?
P: This is Rosa. But I'm not interested, I get these calls all day long.
R: I'm sorry about that, Rosa, that must be tiring. Would it help if I took you off our list?
P: Yes, please.
R: I'll do that right now. Before I let you go, is there anything about your Medicare you'd like an answer to?
P: Well, my dentist isn't covered.
R: I see. What do you have now, a supplement or an Advantage plan?
P: A supplement.
R: Those usually don't include dental. Some Advantage plans do, but you'd have to use their network, so it's a trade. Would you want me to mail you a comparison? No obligation.
P: I guess you could mail it.
R: Perfect, you'll have it by next Friday. And I'm not with Medicare itself, we're an independent agency, and we don't carry every plan, so 1-800-Medicare can show you all of them.
P: Thank you, that's very decent of you.
R: Of course. Goodbye, Rosa.
"""
SHORT_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "yes",
    "plan_disclaimer": "yes",
    "permission": "no",
    "doctors": "no",
    "prescriptions": "no",
    "current_coverage": "partial",
    "eligibility": "no",
    "budget": "no",
    "priorities": "no",
    "ties_to_need": "yes",
    "costs": "no",
    "network_and_drugs": "no",
    "out_of_pocket": "no",
    "acknowledges": "yes",
    "clarifies": "no",
    "answers_concern": "yes",
    "confirms_resolved": "no",
    "asks_decision": "no",
    "next_steps": "yes",
    "effective_date": "not_applicable",
    "no_government_claim": "yes",
    "no_overpromise": "yes",
    "no_pressure": "yes",
    "listening": "yes",
}

DRIFTING = """
P: Hello, this is Walt.
R: walt good morning this is chris over at heritage benefits group on a recorded line how you doing
P: Doing fine, how about you?
R: doing great thanks for asking so walt i understand you have some questions about your medicare advantage plan
P: Well, they sent me a letter saying my drug is going up.
R: okay which drug is that
P: The Xarelto.
R: gotcha and is that the only one you take
P: No, there's a water pill and Synthroid.
R: okay and who do you have your plan through
P: It's Lakeshore. Lakeshore Value.
R: now before i go any further are you okay with me showing you what else is out there in medicare advantage
P: Sure.
R: we don't offer every plan in your area i should tell you that we have eight carriers
P: That's plenty.
R: any doctors that are must haves for you walt
P: Dr. Rami. She's my heart doctor.
R: perfect i found something here it's the harborview plus plan and doctor rami is in that network
P: Okay. And the Xarelto?
R: so xarelto on that one is a tier three it's 45 a month after a 200 dollar deductible
P: That's about what I'd pay now.
R: is it okay what are you paying now
P: It'd be fifty.
R: so a little better and the monthly is 15 dollars
P: I pay nothing for Lakeshore now. So that's worse.
R: i hear you that's a good point so you'd be paying 15 to save 5
P: Doesn't make sense to me.
R: no it doesn't let me be straight with you i'd stay put
P: Well, I appreciate that.
R: no problem walt if anything changes you've got my number
P: Okay. Bye, now.
R: bye
"""
DRIFTING_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "yes",
    "plan_disclaimer": "partial",
    "permission": "yes",
    "doctors": "yes",
    "prescriptions": "yes",
    "current_coverage": "partial",
    "eligibility": "no",
    "budget": "yes",
    "priorities": "no",
    "ties_to_need": "yes",
    "costs": "yes",
    "network_and_drugs": "yes",
    "out_of_pocket": "no",
    "acknowledges": "yes",
    "clarifies": "no",
    "answers_concern": "yes",
    "confirms_resolved": "no",
    "asks_decision": "no",
    "next_steps": "no",
    "effective_date": "not_applicable",
    "no_government_claim": "yes",
    "no_overpromise": "yes",
    "no_pressure": "yes",
    "listening": "yes",
}

SMOOTH = """
P: Hello?
R: Good evening Mrs. Greene, my name is Victor, and I'm calling on behalf of the Medicare Savings Center. Do you have a quick minute?
P: I suppose. What's this about?
R: It's regarding new benefits that seniors in your zip code qualify for. Can you confirm you have parts A and B?
P: Yes, I have both.
R: Excellent. And how old are you, ma'am?
P: I'm seventy one.
R: Wonderful. So with parts A and B you qualify for money back in your Social Security check, a grocery card, and dental, at no cost to you. How does that sound?
P: It sounds too good to be true, if you ask me.
R: I can see why you'd say that, but I promise you it's real. Thousands of people in your state have it.
P: What company is it with?
R: It's with Brightwell. It's the best plan in the state. Now, are you taking any prescriptions at the moment?
P: A few. But I'd want my son to look at this.
R: I get it, family's important. What would he be concerned about?
P: That it's a scam, probably.
R: Sure. Well, Brightwell is contracted with Medicare, you can look it up. But enrollment for the grocery card closes tonight, so we'd have to get it done now.
P: I don't do anything without my son.
R: Understood. Could we get him on the line right now?
P: He's at work.
R: Then I'll call back at seven when he's home. Will that work for you?
P: I guess that would be all right.
R: Talk to you at seven, Mrs. Greene.
"""
SMOOTH_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "no",
    "plan_disclaimer": "no",
    "permission": "partial",
    "doctors": "no",
    "prescriptions": "yes",
    "current_coverage": "no",
    "eligibility": "partial",
    "budget": "no",
    "priorities": "no",
    "ties_to_need": "no",
    "costs": "no",
    "network_and_drugs": "no",
    "out_of_pocket": "no",
    "acknowledges": "yes",
    "clarifies": "yes",
    "answers_concern": "yes",
    "confirms_resolved": "no",
    "asks_decision": "no",
    "next_steps": "yes",
    "effective_date": "not_applicable",
    "no_government_claim": "yes",
    "no_overpromise": "partial",
    "no_pressure": "no",
    "listening": "yes",
}

PLAIN = """
P: Hi, who's this?
R: Hi Mr. Lowe, it's Dana Fields. I'm the agent you spoke with last fall, with Blue Harbor.
P: Oh right, Dana.
R: Same drill as last time, they record these calls. And I still can't sell you every plan in the county, so you've got 1-800-Medicare if you ever want the whole list.
P: I remember.
R: I was hoping to do your yearly checkup. Is it all right to go through your Medicare Advantage options?
P: Yeah, let's do it.
R: How'd the Compass plan treat you this year?
P: Good till they raised the eye doctor.
R: What'd that go to?
P: From twenty to forty five.
R: That's a jump. Are you still seeing Dr. Fine and Dr. Abara?
P: Fine retired. I've got Dr. Cole now.
R: Dr. Cole, okay. And has anything changed with your medications?
P: They put me on Farxiga.
R: Anything new with your health otherwise that I should plan for?
P: Might need cataract surgery.
R: Okay, then I want to look at the surgery copay as well. Alright. Compass for next year keeps the zero premium. The eye doctor stays at forty five, outpatient surgery's two fifty. Summit Choice is also zero, with the eye doctor at fifteen and surgery at one seventy five.
P: Is Dr. Cole in Summit?
R: She is, I checked this morning, and so is Dr. Abara.
P: And the Farxiga?
R: Forty seven on both of them.
P: So Summit's better?
R: For the eyes, yes. The flip side is the yearly limit, it's 4,900 on Summit and 3,900 on Compass. So if you landed in the hospital you'd feel that.
P: Hmm. That's a thousand dollars. I don't love that.
R: Yeah, that's a real trade-off. How likely do you think a hospital stay is this year?
P: Besides the cataract, I've never been in.
R: Then the cataract and the eye visits would save you about two hundred dollars over the year. But it's your call. Are you leaning one way?
P: I'd go with Summit.
R: Okay. Should I submit it for January first?
P: Yes, please.
R: It's in. You'll see a letter from Summit within two weeks, and throw your Compass card out on New Year's Day, not before.
P: Thanks, Dana.
R: Talk to you in the spring.
"""
PLAIN_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "yes",
    "plan_disclaimer": "yes",
    "permission": "yes",
    "doctors": "yes",
    "prescriptions": "yes",
    "current_coverage": "partial",
    "eligibility": "no",
    "budget": "yes",
    "priorities": "yes",
    "ties_to_need": "yes",
    "costs": "yes",
    "network_and_drugs": "yes",
    "out_of_pocket": "yes",
    "acknowledges": "yes",
    "clarifies": "yes",
    "answers_concern": "yes",
    "confirms_resolved": "no",
    "asks_decision": "yes",
    "next_steps": "yes",
    "effective_date": "yes",
    "no_government_claim": "yes",
    "no_overpromise": "yes",
    "no_pressure": "yes",
    "listening": "yes",
}

GREEN = """
P: Hello?
R: Hi, um, is this Mrs. Baker? My name is Josh and I'm a new agent with Tri-County Insurance. This call is recorded.
P: Yes, this is she.
R: So I'm supposed to tell you that we don't offer every plan in your area. Please contact Medicare.gov or 1-800-Medicare for all of your options.
P: Okay, honey.
R: Do you have both part A and part B?
P: I do.
R: And do you have Medicaid?
P: No.
R: Okay. Who's your doctor?
P: Dr. Whitfield.
R: And do you take any prescriptions?
P: Just Synthroid.
R: Okay. So the plan is called Sunrise Gold. It's an HMO. The premium is zero. The primary care copay is zero. The specialist copay is 35 dollars. The hospital is 320 dollars a day for days one through five. The out of pocket maximum is 5,000 dollars. It has dental, vision and hearing. Do you have any questions?
P: I have a plan already through my old job. It's free.
R: Oh. Okay. Well, um, this one has dental.
P: So does mine. I don't see why I would change.
R: Okay, I understand. Do you want to enroll?
P: No, I don't think so.
R: Okay. Thank you for your time, Mrs. Baker.
P: You're welcome. Good luck, Josh.
"""
GREEN_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "yes",
    "plan_disclaimer": "yes",
    "permission": "no",
    "doctors": "yes",
    "prescriptions": "yes",
    "current_coverage": "no",
    "eligibility": "yes",
    "budget": "no",
    "priorities": "no",
    "ties_to_need": "no",
    "costs": "yes",
    "network_and_drugs": "no",
    "out_of_pocket": "yes",
    "acknowledges": "yes",
    "clarifies": "no",
    "answers_concern": "no",
    "confirms_resolved": "partial",
    "asks_decision": "yes",
    "next_steps": "no",
    "effective_date": "not_applicable",
    "no_government_claim": "yes",
    "no_overpromise": "yes",
    "no_pressure": "yes",
    "listening": "yes",
}

FITTED = {
    "beginner": (BEGINNER, BEGINNER_VERDICTS),
    "listener": (LISTENER, LISTENER_VERDICTS),
    "calm": (CALM, CALM_VERDICTS),
    "sloppy": (SLOPPY, SLOPPY_VERDICTS),
    "short": (SHORT, SHORT_VERDICTS),
    "drifting": (DRIFTING, DRIFTING_VERDICTS),
    "smooth": (SMOOTH, SMOOTH_VERDICTS),
    "plain": (PLAIN, PLAIN_VERDICTS),
    "green": (GREEN, GREEN_VERDICTS),
}

# --- held out ---------------------------------------------------------------------------------

CAROL = """
P: Hello, this is Carol.
R: Hi Carol, this is Nate Wilson with Prairie Senior Insurance. How are you doing today?
P: Oh, it's quiet here. Just me, Ray, and the cat.
R: Sounds peaceful. Carol, just letting you know our calls are recorded for quality. And I have to say that we don't offer every plan available in your area, so for all your options you can contact Medicare dot gov or 1-800-Medicare.
P: Okay. I appreciate you saying that.
R: You sent in a card asking about plans. Would it be alright if I ask you a couple of things and then show you what I found?
P: Oh, that card. Yes, I did send that.
R: Great. So what insurance do you have right now?
P: I'm on the Northfield Advantage plan.
R: And what do you like about Northfield, what don't you like?
P: Honestly, the dental is a joke. And my Eliquis costs too much.
R: How much is the Eliquis?
P: Forty-seven dollars a month.
R: Ouch. Besides Eliquis what other prescriptions do you take?
P: Metformin and lisinopril.
R: And your doctors, who are they?
P: Doctor Patel, and Doctor Nguyen for my heart.
R: Do you have both A and B, and is the state helping you pay for anything?
P: Yes, both. No, we make a little too much for that.
R: Okay, thank you. Let me pull this up. So there's a plan called Clearwater Choice, it's a PPO. Doctor Patel and Doctor Nguyen are both in network.
P: Well, that matters to me. Good.
R: And it's a zero dollar premium. Ten to see Doctor Patel, thirty for Doctor Nguyen.
P: A zero premium? What's the catch?
R: That's a really good question and I'm glad you asked. The way it works is Medicare pays the insurance company for each member, so they don't need to charge you. You do have copays when you use it, and the most you'd spend in a year is forty five hundred.
P: Okay, so that's how it works.
R: Does that clear it up for you?
P: Yes. What about my teeth?
R: You said the dental was a joke. This one gives you two thousand a year and it'll go toward crowns. And your Eliquis would be thirty five.
P: That would help.
R: So Carol, would you like to get signed up today?
P: I'd want to talk to my daughter first.
R: Absolutely, you should. What do you think Megan's biggest question would be?
P: Whether I'd lose my doctor down the road.
R: I see. Well, you can change your mind during open enrollment from January through March. Want to get her on the phone with us?
P: Okay. Megan would be fine with that.
R: Is there anything else holding you back?
P: No, I think you covered it.
R: So shall we go ahead?
P: Yes. Go ahead and sign me up.
R: Wonderful. It'll start January first, and your card should arrive about two weeks before that.
P: Thank you for your help. Bye now.
R: Bye Carol.
"""
CAROL_VERDICTS = {
    "introduction": "yes",
    "recording_notice": "yes",
    "plan_disclaimer": "yes",
    "permission": "yes",
    "doctors": "yes",
    "prescriptions": "yes",
    "current_coverage": "yes",
    "eligibility": "yes",
    "budget": "yes",
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
    "priorities": "no",
}

ROUGH = """
P: Yes, hello?
R: yeah hi is this carol whitaker
P: Yes. Who's this?
R: this is mike i'm calling about the new medicare plans for next year did you know you might be missing out on some benefits
P: Mm-hm. Everybody's calling about that.
R: well i'm not everybody carol so what plan do you have now
P: I'm on the Northfield Advantage plan.
R: okay and how much are you paying for that
P: Twenty-nine dollars.
R: okay see that's already too much i can get you one for nothing
P: I'm pretty happy with what I've got, though.
R: but why would you pay twenty nine dollars when you can pay zero
P: Like I said, I'm happy where I am.
R: okay well let me just show you the clearwater plan it's ten dollars for your doctor and thirty for the specialist and you get two thousand dollars in dental
P: Is Doctor Patel in it?
R: let me look yeah doctor patel is in the network
P: Okay.
R: so can i sign you up for that one
P: I need to think about it.
R: what's there to think about carol it's better than what you have
P: Now I'm going to think about it even longer.
R: alright suit yourself you're gonna miss out
P: Okay. Goodbye.
"""
ROUGH_VERDICTS = {
    "introduction": "partial",
    "recording_notice": "no",
    "plan_disclaimer": "no",
    "permission": "no",
    "doctors": "no",
    "prescriptions": "no",
    "current_coverage": "partial",
    "eligibility": "no",
    "budget": "yes",
    "priorities": "no",
    "ties_to_need": "yes",
    "costs": "yes",
    "network_and_drugs": "partial",
    "out_of_pocket": "no",
    "acknowledges": "no",
    "clarifies": "no",
    "answers_concern": "yes",
    "confirms_resolved": "no",
    "asks_decision": "yes",
    "next_steps": "no",
    "effective_date": "not_applicable",
    "no_government_claim": "yes",
    "no_overpromise": "yes",
    "no_pressure": "no",
    "listening": "yes",
}

HELD_OUT = {"carol": (CAROL, CAROL_VERDICTS), "rough": (ROUGH, ROUGH_VERDICTS)}
