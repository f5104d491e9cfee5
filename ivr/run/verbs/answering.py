"""Taking a call, letting it ring, refusing it, ending it."""

from __future__ import annotations

from ivr.flow.model import Step
from ivr.flow.nodes import answering, control
from ivr.run.actions import Reject, Ringing
from ivr.run.activity import Enter, Exit, Finish, Outcome
from ivr.run.conversation import Conversation
from ivr.run.verbs.behaviour import Behaviour


def answer(talk: Conversation, step: Step) -> Outcome:
    return Exit()


def ringing(talk: Conversation, step: Step) -> Outcome:
    if not talk.answer_asked:
        talk.do(Ringing())
    return Exit()


def early(talk: Conversation, step: Step) -> Outcome:
    settings: answering.Early = step.settings
    block = talk.where()[1]
    return Enter("steps", talk.flow, block, talk.variables, talk.secret_variables, settings.steps)


def reject(talk: Conversation, step: Step) -> Outcome:
    settings: answering.Reject = step.settings
    if talk.answer_asked:
        return Finish("rejected")
    talk.do(Reject(settings.status(talk.met), settings.text))
    return Finish("rejected", rejected=True)


def hangup(talk: Conversation, step: Step) -> Outcome:
    settings: control.Hangup = step.settings
    return Finish(settings.cause)


def end(talk: Conversation, step: Step) -> Outcome:
    return Finish("end")


BEHAVIOURS = {
    "answer": Behaviour(answer, needs_answer=True),
    "ringing": Behaviour(ringing),
    "early": Behaviour(early),
    "reject": Behaviour(reject),
    "hangup": Behaviour(hangup),
    "end": Behaviour(end),
}
