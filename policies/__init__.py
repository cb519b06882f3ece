"""Rules over configuration files and commands, and the Pulumi policy pack that applies them.

`parsers` and `rules` are pure: the pack applies them to what a preview would write, `verification` to what hosts have.
"""
