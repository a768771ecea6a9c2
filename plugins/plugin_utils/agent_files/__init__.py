"""The .cmd files of the agent as templates: `$name` is filled in by `agent_desired`, the rest is
cmd's own."""
