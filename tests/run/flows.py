"""Flows the tests call, as operators would write them."""

from __future__ import annotations

from gateway.call import Target
from ivr.flow.loader import load_text
from ivr.flow.model import Flow
from ivr.run.environment import Environment

HEAD = """\
flow: sample
title: Sample
languages: [en]
start: welcome
"""

GROUPS = {
    "front_desk": (Target("sip", "2001"), Target("sip", "2002")),
    "nobody": (),
}

ENVIRONMENT = Environment(groups=GROUPS)


def flow(text: str, head: str = HEAD) -> Flow:
    """A flow from its text; what the checks object to is a fault of the test."""
    flows = load_text(head + text)
    assert flows.ok, [f"{problem.code} {problem.place}: {problem.message}" for problem in flows.problems]
    return next(iter(flows.flows.values()))


OFFICE = """\
on_error: sorry
on_hangup: tidy_up
vars:
  order: {type: digits}
  tier: {type: text, default: standard}
blocks:
  welcome:
    - answer
    - play: welcome
    - goto: main_menu
  main_menu:
    - menu:
        prompt: main_menu
        keys:
          '1': sales
          '4': ask_order
          '0': operator
          '*': main_menu
          '20XX': extension
        no_input: [still_there, main_menu_short]
        no_match: [not_a_choice, main_menu_short]
        failed: operator
  ask_order:
    - collect:
        into: order
        prompt: enter_order
        digits: 8
        check: luhn(order)
        no_input: [enter_order_again]
        no_match: [order_wrong]
        failed: operator
    - confirm:
        prompt: {say: 'Is {order:digits} right?'}
        yes: say_order
        no: ask_order
        failed: operator
  say_order:
    - say: 'Your order is {order:digits}.'
    - tag: {order: '{order}'}
    - goto: main_menu
  sales:
    - if: {when: tier == 'gold', then: operator}
    - transfer: {to: 'sip:2003', ring: 20s, answered: bye, busy: voicemail, refused: voicemail,
                 no_answer: voicemail, offline: operator, failed: operator}
  extension:
    - transfer: {to: 'sip:{input}', ring: 20s, answered: bye, busy: voicemail, refused: voicemail,
                 no_answer: voicemail, offline: voicemail, failed: operator}
  operator:
    - ring: {group: front_desk, strategy: all, ring: 25s, answered: bye, busy: voicemail, no_answer: voicemail,
             failed: voicemail}
  voicemail:
    - play: leave_a_message_later
    - hangup: {cause: nobody}
  bye:
    - hangup
  sorry:
    - play: technical_problem
    - goto: operator
  tidy_up:
    - log: 'caller left in {last.block}'
    - end
"""


SHOP = """\
on_error: sorry
vars:
  pin: {type: digits, secret: true}
blocks:
  welcome:
    - menu:
        prompt: main_menu
        keys:
          '1': {say: [sales, new order], go: sales}
          '2': {say: [order, where is my order], go: number}
          '0': {say: operator, do: [{tag: {by: '{heard.text}'}}], go: operator}
          '5': secret
        no_input: [still_there]
        no_match: [not_understood]
        failed: operator
  sales:
    - ask:
        prompt: what_is_it_about
        intents:
          buy: {say: [buy a bicycle, new bicycle], go: number}
          hire: {say: [hire, rent], go: bye}
        into: said
        next: bye
        failed: operator
  number:
    - collect: {into: order, prompt: enter_order, digits: 4, check: order != '1234', speech: digits, failed: operator}
    - confirm: {prompt: is_that_right, speech: yes, yes: bye, no: number, failed: operator}
  secret:
    - collect: {into: pin, prompt: enter_pin, digits: 4, check: pin == '4711', speech: digits, failed: operator}
    - log: 'heard {coalesce(heard.text, "nothing")}'
    - goto: bye
  operator:
    - transfer: {to: 'sip:2001', ring: 5s, answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye}
  sorry:
    - play: technical_problem
    - hangup
  bye:
    - hangup
"""
"""A flow that listens in all the ways there are."""
