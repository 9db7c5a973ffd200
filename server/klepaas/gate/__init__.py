"""The gate: what every call passes, on every transport.

`gate` is FastMCP's middleware; `change_calls` is the way of a call that changes something, `confirmation` asks a person
with the text of `questions`, and `handles` are what their answers refer to.
"""
