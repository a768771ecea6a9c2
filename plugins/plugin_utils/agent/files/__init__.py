"""The .cmd files of the agent as templates: `$name` is filled in by `agent.desired`, the rest is for cmd."""
