"""Going through another flow, or a block, and coming back."""

from __future__ import annotations

from ivr.flow.model import Step
from ivr.flow.nodes import calling
from ivr.run.activity import Enter, Outcome, Return
from ivr.run.conversation import Conversation, StepError
from ivr.run.verbs.behaviour import Behaviour


def call(talk: Conversation, step: Step) -> Outcome:
    settings: calling.Call = step.settings
    if settings.block is not None:
        return Enter("block", talk.flow, settings.block, talk.variables, talk.secret_variables)
    name = settings.flow or ""
    flow = talk.flow if name == talk.flow.name else talk.environment.flows.get(name)
    if flow is None:
        raise StepError(f"there is no flow '{name}'")
    variables = {one.name: one.default for one in flow.variables.values()}
    secret = {one.name for one in flow.variables.values() if one.secret}
    scope = talk.scope()
    for argument in settings.args:
        variables[argument.name] = argument.value.evaluate(scope)
        if argument.value.names & talk.secret_variables:
            secret.add(argument.name)
    return Enter("flow", flow, flow.start, variables, secret)


def return_(talk: Conversation, step: Step) -> Outcome:
    settings: calling.Return = step.settings
    if settings.value is None:
        return Return()
    value = settings.value.evaluate(talk.scope())
    return Return(value, bool(settings.value.names & talk.secret_variables))


BEHAVIOURS = {"call": Behaviour(call), "return": Behaviour(return_)}
