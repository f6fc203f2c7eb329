from .rules import rule_analyst


def default_analyst():
    return rule_analyst
