"""Lines and tags for those who read records. Secret values are masked."""

from __future__ import annotations

from ivr.flow.model import Step
from ivr.flow.nodes import marking
from ivr.run.actions import Log, Mark, Tag
from ivr.run.activity import Exit, Outcome
from ivr.run.conversation import Conversation
from ivr.run.verbs.behaviour import Behaviour


def log(talk: Conversation, step: Step) -> Outcome:
    settings: marking.Log = step.settings
    talk.do(Log(settings.text.fill(talk.public_scope()), str(step.place)))
    return Exit()


def tag(talk: Conversation, step: Step) -> Outcome:
    settings: marking.Tag = step.settings
    scope = talk.public_scope()
    talk.do(*[Tag(value.name, value.value.fill(scope)) for value in settings.values])
    return Exit()


def disposition(talk: Conversation, step: Step) -> Outcome:
    settings: marking.Disposition = step.settings
    talk.do(Mark("disposition", settings.name))
    return Exit()


def goal(talk: Conversation, step: Step) -> Outcome:
    settings: marking.Goal = step.settings
    talk.do(Mark("goal", settings.name))
    return Exit()


BEHAVIOURS = {
    "log": Behaviour(log),
    "tag": Behaviour(tag),
    "disposition": Behaviour(disposition),
    "goal": Behaviour(goal),
}
